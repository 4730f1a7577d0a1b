"""Layers whose width is chosen for each frame while the hardware runs: Bit-Mixer's weights, kept once.

A configuration gives every runtime layer one of a few widths. A layer at width b multiplies the top b bits of its
weights, so that no weight is stored twice; the activation that it reads has b bits. What follows its accumulators
depends on up to three widths: of the layer that made its input, its own, and of the layer that reads the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flow.bits import check_runtime_widths
from flow.errors import FlowError, unknown
from flow.ir.nodes import Matvec, Node, WeightCode, _integers
from flow.ir.types import TensorType, signed_width

#: layers whose widths select a table of a `RequantizeTable`, at most
MAX_SELECT = 3


def check_widths(widths: tuple[int, ...]) -> None:
    """Raises ValueError unless `widths` are what `flow.bits.check_runtime_widths` takes, the narrowest first."""
    try:
        ascending = check_runtime_widths(widths) == tuple(widths)
    except FlowError as error:
        raise ValueError(str(error)) from error
    if not ascending:
        raise ValueError(f"runtime bits {widths}: should be ascending")


@dataclass(frozen=True)
class RuntimeWidths:
    """What can be chosen at run time.

    Attributes:
        widths: bits, ascending.
        layers: names of the runtime layers, in the order of computation, which is the order of a configuration's
            fields.
    """

    widths: tuple[int, ...]
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        check_widths(self.widths)
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise ValueError(f"runtime layers {self.layers}: expected one at least, each once")

    @property
    def field_bits(self) -> int:
        """Bits of a field: an index into `widths`."""
        return (len(self.widths) - 1).bit_length()

    def network_wide(self, width: int) -> dict[str, int]:
        """The configuration with the same width for all layers."""
        return dict.fromkeys(self.layers, width)

    @property
    def widest(self) -> dict[str, int]:
        """The configuration that the hardware has after power-up."""
        return self.network_wide(self.widths[-1])

    @property
    def word_bits(self) -> int:
        """Bits of a configuration as the hardware takes it."""
        return self.field_bits * len(self.layers)

    def fields(self, configuration: Configuration, frames: int) -> np.ndarray:
        """Indices into `widths`, int64 (frames, layers).

        Args:
            configuration: bits by layer, or bits of all layers in the order of `layers`: (layers,) for all frames,
                (frames, layers) for each.

        Raises:
            FlowError: a layer is missing or unknown, or a width is none of `widths`.
        """
        if isinstance(configuration, Mapping):
            for name in configuration:
                if name not in self.layers:
                    raise unknown("runtime layer", str(name), self.layers)
            for name in self.layers:
                if name not in configuration:
                    raise FlowError(f"configuration: runtime layer '{name}' is missing")
            configuration = [configuration[name] for name in self.layers]
        bits = np.asarray(configuration)
        if bits.ndim == 1:
            bits = np.broadcast_to(bits, (frames, *bits.shape))
        if bits.shape != (frames, len(self.layers)):
            raise FlowError(f"configuration: shape {bits.shape}, expected ({frames} frames, {len(self.layers)} layers)")
        found = np.searchsorted(self.widths, bits).clip(max=len(self.widths) - 1)
        wrong = np.argwhere(np.asarray(self.widths)[found] != bits)
        if len(wrong):
            frame, layer = wrong[0]
            legal = ", ".join(map(str, self.widths))
            raise FlowError(f"configuration: layer '{self.layers[layer]}': {bits[frame, layer]} bits, may be {legal}")
        return found.astype(np.int64)

    def words(self, fields: np.ndarray) -> list[int]:
        """Each frame's fields as one word, the first layer in the low bits.

        Args:
            fields: indices (frames, layers), as `fields` gives them.
        """
        shifts = [i * self.field_bits for i in range(len(self.layers))]
        return [sum(int(value) << shift for value, shift in zip(row, shifts)) for row in fields]

    def tables(self, select: Sequence[str], fields: np.ndarray) -> np.ndarray:
        """Which table each frame takes, int64 (frames,): a number whose digits are the selected fields, first on top.

        Args:
            select: names of layers.
            fields: indices (frames, layers).
        """
        table = np.zeros(len(fields), dtype=np.int64)
        for name in select:
            table = table * len(self.widths) + fields[:, self.layers.index(name)]
        return table


#: what a caller may give for a configuration; see `RuntimeWidths.fields`
Configuration = Mapping[str, int] | Sequence[int] | np.ndarray


@dataclass(frozen=True, eq=False)
class SerialMatvec(Matvec):
    """Matrix-vector product whose weights have the width that the frame's configuration gives the layer `select`.

    At width b of `widths` y = (weights >> (weight_bits - b)) @ x: the top b bits, the shift rounding down. There is
    no bias: it would lie on another grid at each width.

    Attributes:
        widths: bits to choose from, ascending; the last is `weight_bits`.
        select: the runtime layer.
        odd: what is left of a weight is a code k that means 2k + 1. `weight_code` stays as it is, for `weights` are
            these codes and not the odd numbers, of which the top bits would not be the nested ones.
    """

    widths: tuple[int, ...] = ()
    select: str = ""
    odd: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.widths)
        self._require(self.widths[-1] == self.weight_bits, f"weight_bits is {self.weight_bits}, widths {self.widths}")
        self._require(self.weight_code is WeightCode.TWOS, "bit planes of odd weights are not nested; see `odd`")
        self._require(not self.bias.any(), "a bias has another grid at each width; it belongs into the table behind")

    @property
    def selection(self) -> tuple[str, ...]:
        """The runtime layers whose widths it looks at."""
        return (self.select,)

    def at(self, width_bits: int) -> np.ndarray:
        """The weights at one of `widths`, int64 (MH, MW)."""
        codes = self.weights >> (self.weight_bits - width_bits)
        return 2 * codes + 1 if self.odd else codes

    @property
    def factors(self) -> np.ndarray:
        """The weights at the widest: a narrower one is no larger and has the same sign, or is -1 for a smaller one."""
        return self.at(self.weight_bits)


@dataclass(frozen=True, eq=False)
class RequantizeTable(Node):
    """`Requantize` whose constants the frame's configuration selects.

    saturate((x * multiplier[t, c] + bias[t, c]) >> shift) between `minimum(t)` and `maximum[t]`, where t is the number
    whose digits are the indices of the selected layers' widths, the first layer's on top.

    Attributes:
        multiplier, bias: int64 (T, C); T = len(widths) ** len(select).
        maximum: int64 (T,), 2^b - 1: the largest code of b bits, or the largest of signed codes of b + 1.
        shift: bits, at least 0, of all tables.
        widths: bits that a layer can have, ascending.
        select: one to three runtime layers.
    """

    multiplier: np.ndarray
    bias: np.ndarray
    maximum: np.ndarray
    shift: int
    widths: tuple[int, ...]
    select: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_widths(self.widths)
        self._require(
            1 <= len(self.select) <= MAX_SELECT and len(set(self.select)) == len(self.select),
            f"select {self.select}: expected one to {MAX_SELECT} different layers",
        )
        shape = (self.tables, self.output.channels)
        for name, expected in (("multiplier", shape), ("bias", shape), ("maximum", shape[:1])):
            object.__setattr__(self, name, _integers(self.name, name, getattr(self, name), expected))
        self._require(0 <= self.shift <= 62, f"shift {self.shift}, expected 0..62")
        whole = (self.maximum >= 1) & (self.maximum & (self.maximum + 1) == 0)
        self._require(bool(whole.all()), "each maximum is a power of two less one")
        self._require(int(self.maximum.max()) <= self.output.maximum, "a maximum does not fit the output's type")

    @property
    def selection(self) -> tuple[str, ...]:
        """The runtime layers whose widths it looks at."""
        return self.select

    @property
    def tables(self) -> int:
        return len(self.widths) ** len(self.select)

    @property
    def minimum(self) -> np.ndarray:
        """The least code of each table, int64 (T,)."""
        return -1 - self.maximum if self.output.signed else np.zeros_like(self.maximum)

    def check(self, *sources: TensorType) -> None:
        self._require(self.output.shape == sources[0].shape, "output shape differs from its source")
        extreme = max(-sources[0].minimum, sources[0].maximum) * int(np.abs(self.multiplier).max())
        self._require(extreme + int(np.abs(self.bias).max()) < 1 << 62, "product exceeds 63 bits")

    @property
    def multiplier_bits(self) -> int:
        """Signed bits that hold every multiplier."""
        return signed_width(int(self.multiplier.min()), int(self.multiplier.max()))

    @property
    def bias_bits(self) -> int:
        """Signed bits that hold every bias."""
        return signed_width(int(self.bias.min()), int(self.bias.max()))


def check_runtime(runtime: RuntimeWidths | None, nodes: Sequence[Node]) -> None:
    """Raises ValueError unless nodes and runtime layers belong together: one `SerialMatvec` for each layer, all
    selections known, one set of widths, one order."""
    serial = [node for node in nodes if isinstance(node, SerialMatvec)]
    tables = [node for node in nodes if isinstance(node, RequantizeTable)]
    for node in (*serial, *tables):
        if runtime is None:
            raise ValueError(f"{node.name}: the graph has no runtime widths")
        if node.widths != runtime.widths:
            raise ValueError(f"{node.name}: widths {node.widths}, the graph has {runtime.widths}")
    for node in tables:
        for name in node.select:
            if name not in runtime.layers:
                raise ValueError(f"{node.name}: selects {name}, which is no runtime layer")
    if runtime and tuple(node.select for node in serial) != runtime.layers:
        raise ValueError(f"runtime layers are {runtime.layers}, the SerialMatvecs are of {[n.select for n in serial]}")
