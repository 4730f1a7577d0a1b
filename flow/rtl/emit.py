"""SystemVerilog text: modules made of wires and instances, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Port:
    """A port of a generated module; `width_bits` of 0 is a scalar."""

    direction: str
    name: str
    width_bits: int = 0

    def declare(self) -> str:
        return f"{self.direction:<6} logic {_range(self.width_bits)}{self.name}"


@dataclass
class Module:
    """A module under construction: add wires, assignments and instances, then take its `text`."""

    name: str
    purpose: str
    ports: list[Port]
    body: list[str] = field(default_factory=list)
    #: hand-written components that it instantiates
    components: set[str] = field(default_factory=set)

    def wire(self, name: str, width_bits: int = 0) -> str:
        self.body.append(f"  logic {_range(width_bits)}{name};")
        return name

    def assign(self, target: str, value: str) -> None:
        self.body.append(f"  assign {target} = {value};")

    def instance(self, module: str, name: str, parameters: Mapping[str, object], ports: Mapping[str, str]) -> None:
        """Instantiates `module`; string parameters are quoted, booleans become 0 or 1."""
        self.components.add(module)
        values = ",\n".join(f"    .{key}({_literal(value)})" for key, value in parameters.items())
        wires = ",\n".join(f"    .{key}({value})" for key, value in ports.items())
        head = f"  {module} #(\n{values}\n  ) {name} (" if parameters else f"  {module} {name} ("
        self.body.append(f"\n{head}\n{wires}\n  );")

    @property
    def text(self) -> str:
        ports = ",\n".join(f"  {port.declare()}" for port in self.ports)
        comment = "\n".join(f"// {line}".rstrip() for line in self.purpose.splitlines())
        return f"{comment}\nmodule {self.name} (\n{ports}\n);\n" + "\n".join(self.body) + "\n\nendmodule\n"


def stream_ports(direction: str, prefix: str, width_bits: int, copies: int = 1) -> list[Port]:
    """The three ports of a stream; `direction` is that of the data. `copies` handshakes for a fork."""
    back = "input" if direction == "output" else "output"
    handshake = 0 if copies == 1 else copies
    return [
        Port(direction, f"{prefix}_tdata", width_bits * copies),
        Port(direction, f"{prefix}_tvalid", handshake),
        Port(back, f"{prefix}_tready", handshake),
    ]


def stream_wires(module: Module, name: str, width_bits: int) -> dict[str, str]:
    """Declares the three wires of a stream."""
    module.wire(f"{name}_tdata", width_bits)
    module.wire(f"{name}_tvalid")
    module.wire(f"{name}_tready")
    return stream_of(name)


def stream_of(prefix: str) -> dict[str, str]:
    """The names of a stream's signals by their role."""
    return {role: f"{prefix}_{role}" for role in ("tdata", "tvalid", "tready")}


def connect(port_prefix: str, stream: Mapping[str, str]) -> dict[str, str]:
    """Port connections of one stream."""
    return {f"{port_prefix}_{role}": wire for role, wire in stream.items()}


def _range(width_bits: int) -> str:
    return f"[{width_bits - 1}:0] " if width_bits else ""


def _literal(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(int(value))  # type: ignore[call-overload]
