"""The IP block around a network's top: beats that DMA engines take, and its registers on AXI4-Lite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.folding import Folding
from flow.ir import Graph, TensorType
from flow.rtl.beats import to_bus
from flow.rtl.network import BYTE, padded_bits

#: the component that the block adds to the network's own
REGISTERS = "axi_lite_registers"
#: byte address of the first runtime layer's width, see verilog/axi_lite_registers.sv; the others follow, 4 bytes each
LAYER_BITS = 0x40
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class AxisPort:
    """One AXI4-Stream side of the IP block.

    Attributes:
        kind: of the tensor.
        lanes: elements of a beat.
    """

    kind: TensorType
    lanes: int

    @property
    def network_bytes(self) -> int:
        """Bytes of a beat of `<network>_top`."""
        return self.lanes * padded_bits(self.kind.width_bits) // BYTE

    @property
    def bytes(self) -> int:
        """Bytes of a beat of the IP block: a power of two, as DMA engines want it; what is above is padding."""
        return 1 << (self.network_bytes - 1).bit_length()

    @property
    def beats(self) -> int:
        """Of a frame."""
        return self.kind.elements // self.lanes

    def words(self, x: np.ndarray) -> np.ndarray:
        """uint8 (frames x beats, bytes): the beats of the IP block."""
        beats = to_bus(x, self.kind, self.lanes)
        return np.pad(beats, ((0, 0), (0, self.bytes - beats.shape[1])))

    def describe(self) -> dict:
        """What the host driver reads of it."""
        kind = self.kind
        return {
            "shape": list(kind.shape), "lanes": self.lanes, "beats": self.beats, "beat_bytes": self.bytes,
            "element_bytes": padded_bits(kind.width_bits) // BYTE, "width_bits": kind.width_bits,
            "signed": kind.signed, "fraction_bits": kind.fraction_bits,
        }  # fmt: skip


def ports(graph: Graph, folding: Folding) -> tuple[AxisPort, AxisPort]:
    """The way in and the way out."""
    source = AxisPort(graph.input.output, folding.output_lanes(graph, graph.input))
    return source, AxisPort(graph.output.output, folding.input_lanes(graph, graph.output))


def name_of(network: str) -> str:
    """The block's module."""
    return f"{network}_ip"


def address_bits(graph: Graph) -> int:
    """Of its registers, whose addresses count bytes."""
    return 8 if graph.runtime else 6


def ip_block(graph: Graph, folding: Folding, identity: int) -> str:
    """The block, in Verilog.

    Args:
        identity: what its BUILD register says, 32 bits.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    source, sink = ports(graph, folding)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    return environment.get_template("ip.v.j2").render(
        network=graph.name, ip=name_of(graph.name), identity=f"{identity:08x}", source=source, sink=sink,
        runtime=graph.runtime, address_bits=address_bits(graph),
    )  # fmt: skip
