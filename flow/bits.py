"""How many bits each weight layer and each activation quantizer has.

A user writes `--bits 4` (one width wherever the model leaves it open) or `--bits bits.yaml`:

    weights:     {conv1: 8, s1_conv1: 4, s1_conv2: 3, ..., dense: 8}
    activations: {conv1_relu: 8, s1_in: 4, s1_relu1: 4, ..., s3_out: 4}

The file names every layer of the model, no more and no fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flow.errors import FlowError, unknown

if TYPE_CHECKING:
    from keras_models.spec import ModelSpec

MIN_BITS = 1
MAX_BITS = 8
#: of layers whose width is chosen while the network runs: the least, and how many there are to choose from; the field
#: of a layer in the hardware's configuration has two bits
MIN_RUNTIME_BITS = 2
MAX_RUNTIME_WIDTHS = 4
#: and how many layers can have a register, see verilog/axi_lite_registers.sv
MAX_RUNTIME_LAYERS = 48


def check_runtime_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Widths between which layers change, in rising order.

    Raises:
        FlowError: fewer than two, more than `MAX_RUNTIME_WIDTHS`, one twice, or one outside 2..8.
    """
    found = tuple(sorted(widths))
    listed = ", ".join(map(str, found))
    if not 2 <= len(found) <= MAX_RUNTIME_WIDTHS or len(set(found)) < len(found):
        raise FlowError(f"runtime bits {listed}: 2 to {MAX_RUNTIME_WIDTHS} different widths are needed")
    if not MIN_RUNTIME_BITS <= found[0] <= found[-1] <= MAX_BITS:
        raise FlowError(f"runtime bits {listed}: widths are {MIN_RUNTIME_BITS} to {MAX_BITS} bits")
    return found


class BitsSpec(BaseModel):
    """The width of every quantizer of one network.

    Attributes:
        weights: bits by weight layer; 1 means the values -1 and +1, 2 to 8 two's complement.
        activations: bits by activation quantizer; unsigned behind a rectifier, signed on a
            residual branch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, int]
    activations: dict[str, int]

    @classmethod
    def uniform(cls, spec: ModelSpec, bits: int) -> BitsSpec:
        """One width for all; first and last weights and the operands of adds have 8 bits.

        Raises:
            FlowError: `bits` is outside 1..8.
        """
        if not MIN_BITS <= bits <= MAX_BITS:
            raise FlowError(f"--bits {bits}: widths are {MIN_BITS} to {MAX_BITS} bits")
        return cls(
            weights={w.name: w.default_bits or bits for w in spec.weight_layers()},
            activations={a.name: a.default_bits or bits for a in spec.activation_layers()},
        )

    @classmethod
    def parse(cls, spec: ModelSpec, text: str) -> BitsSpec:
        """What `--bits` was given: a number, or the path of a YAML file.

        Raises:
            FlowError: neither, or the file is not right for the model.
        """
        try:
            return cls.uniform(spec, int(text))
        except ValueError:
            return cls.load(spec, Path(text))

    @classmethod
    def load(cls, spec: ModelSpec, path: Path) -> BitsSpec:
        """Reads a YAML file that names every layer of the model.

        Raises:
            FlowError: the file is missing, is not YAML, or does not fit the model; the message
                names the layer.
        """
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FlowError(f"--bits {path}: neither a number from {MIN_BITS} to {MAX_BITS} nor a file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise FlowError(f"--bits {path}: cannot be read: {error}") from error
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line = f" at line {where.line + 1}" if where else ""
            raise FlowError(f"{path}: not valid YAML{line}") from error
        return cls.from_mapping(spec, given, str(path))

    @classmethod
    def from_mapping(cls, spec: ModelSpec, given: object, where: str) -> BitsSpec:
        """Checks the two maps of a YAML file or a checkpoint against a model.

        Args:
            spec: the model whose layers the maps must name.
            given: ``{"weights": {...}, "activations": {...}}``.
            where: what the error message calls the source.

        Raises:
            FlowError: the maps are not right for the model.
        """
        if not isinstance(given, dict):
            raise FlowError(f"{where}: must hold the two maps 'weights' and 'activations'")
        for key in given:
            if key not in cls.model_fields:
                raise FlowError(f"{where}: {unknown('key', str(key), cls.model_fields)}")
        for key in cls.model_fields:
            if not isinstance(given.get(key), dict):
                raise FlowError(f"{where}: the map '{key}' is missing")
            for layer, bits in given[key].items():
                if isinstance(bits, bool) or not isinstance(bits, int):
                    raise FlowError(f"{where}: {key}: {layer}: {bits!r} is not a whole number")
        try:
            found = cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            at = ".".join(str(part) for part in first["loc"])
            raise FlowError(f"{where}: {at}: {first['msg']}") from error
        try:
            found.check(spec)
        except FlowError as error:
            raise FlowError(f"{where}: {error}") from error
        return found

    def check(self, spec: ModelSpec) -> None:
        """Compares with a model: every layer is named, no other is, all widths are 1 to 8.

        Raises:
            FlowError: with the name of the layer that is wrong.
        """
        _check_map("weights", self.weights, [w.name for w in spec.weight_layers()], spec.name)
        _check_map("activations", self.activations, [a.name for a in spec.activation_layers()], spec.name)
        for layer in spec.activation_layers():
            if layer.signed and self.activations[layer.name] < 2:
                raise FlowError(f"activations: {layer.name} is signed and needs 2 to {MAX_BITS} bits, not 1")

    def label(self, spec: ModelSpec) -> str:
        """A short name: ``w4a4`` for a uniform network, ``mixed-<hash>`` for another."""
        for bits in range(MIN_BITS, MAX_BITS + 1):
            if self == BitsSpec.uniform(spec, bits):
                return f"w{bits}a{bits}"
        import hashlib

        ordered = BitsSpec(  # a file may list the layers in any order
            weights={w.name: self.weights[w.name] for w in spec.weight_layers()},
            activations={a.name: self.activations[a.name] for a in spec.activation_layers()},
        )
        return "mixed-" + hashlib.sha256(ordered.to_yaml().encode()).hexdigest()[:8]

    def to_yaml(self) -> str:
        """The file that `load` reads."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)


def _check_map(kind: str, given: dict[str, int], known: list[str], model: str) -> None:
    for name, bits in given.items():
        if name not in known:
            raise FlowError(f"{kind}: {unknown(f'layer of {model}', name, known)}")
        if not MIN_BITS <= bits <= MAX_BITS:
            raise FlowError(f"{kind}: {name}: {bits} bits; widths are {MIN_BITS} to {MAX_BITS}")
    for name in known:
        if name not in given:
            raise FlowError(f"{kind}: layer {name} of {model} is missing")
