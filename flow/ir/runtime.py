"""Layers whose width is chosen for each frame while the hardware runs: Bit-Mixer's weights, kept once.

A configuration gives every runtime layer one of a few widths. A layer at width b multiplies the top b bits of its
weights, so that no weight is stored twice; the activation that it reads has b bits. What follows its accumulators
depends on up to three widths: of the layer that made its input, its own, and of the layer that reads the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flow.ir.configuration import RuntimeWidths, check_widths
from flow.ir.nodes import Matvec, Node, WeightCode, _integers
from flow.ir.types import TensorType, signed_width

#: layers whose widths select a table of a `RequantizeTable`, at most
MAX_SELECT = 3


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
