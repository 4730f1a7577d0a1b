"""The nodes of the graph: frozen dataclasses over integers.

Each node names its inputs by the names of the nodes that produce them and carries the type of its one output.
A rule that limits a node is checked here and once more, with the same names, in its SystemVerilog module.
Images are (H, W, C), row-major; vectors are (C,).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import numpy as np

from flow.ir.geometry import NO_PADDING, Padding, windows
from flow.ir.types import MAX_WEIGHT_BITS, TensorType, signed_width, unsigned_width


def _integers(node: str, name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`values` as a read-only int64 array of `shape`, or a ValueError that names the node."""
    array = np.asarray(values)
    if array.shape != shape:
        raise ValueError(f"{node}: {name} has shape {array.shape}, expected {shape}")
    if array.dtype.kind not in "iu" and not np.array_equal(array, np.floor(array)):
        raise ValueError(f"{node}: {name} are not integers")
    array = np.array(array, dtype=np.int64)
    array.setflags(write=False)
    return array


class WeightCode(str, Enum):
    """How `width_bits` bits stand for a weight.

    `TWOS`: two's complement. `ODD`: code k in two's complement stands for 2k + 1, so one bit is -1 or +1.
    """

    TWOS = "twos"
    ODD = "odd"

    def bounds(self, width_bits: int) -> tuple[int, int]:
        if self is WeightCode.ODD:
            return 1 - (1 << width_bits), (1 << width_bits) - 1
        return -(1 << (width_bits - 1)), (1 << (width_bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class Node:
    """What all nodes have: a name, the names of its inputs, the type of its output."""

    name: str
    inputs: tuple[str, ...]
    output: TensorType

    #: how many inputs this kind of node takes
    ARITY = 1

    def __post_init__(self) -> None:
        if len(self.inputs) != self.ARITY:
            raise ValueError(f"{self.name}: {self.kind} takes {self.ARITY} inputs, not {len(self.inputs)}")

    @property
    def kind(self) -> str:
        """The one word for this node everywhere: golden function, Verilog module, HLS header, bench."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")

    def check(self, *sources: TensorType) -> None:
        """Raises ValueError unless the node's output type follows from its input types."""

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            raise ValueError(f"{self.name}: {message}")

    def arrays(self) -> dict[str, np.ndarray]:
        """The integer arrays of the node, by field name."""
        return {f.name: v for f in fields(self) if isinstance(v := getattr(self, f.name), np.ndarray)}


@dataclass(frozen=True, eq=False)
class Input(Node):
    """What the host sends."""

    ARITY = 0


@dataclass(frozen=True, eq=False)
class Output(Node):
    """What the host receives; carries its input unchanged."""

    def check(self, *sources: TensorType) -> None:
        self._require(self.output == sources[0], "output type differs from its source")


@dataclass(frozen=True, eq=False)
class Fork(Node):
    """Copies a stream to several consumers: the only node whose output may be read more than once."""

    def check(self, *sources: TensorType) -> None:
        self._require(self.output == sources[0], "output type differs from its source")


@dataclass(frozen=True, eq=False)
class Window(Node):
    """Sliding window: (H, W, C) to (OH, OW, KERNEL_H * KERNEL_W * C), elements in (ky, kx, c) order, zero padded."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = NO_PADDING

    def check(self, *sources: TensorType) -> None:
        height, width, channels = sources[0].shape
        top, left, bottom, right = self.padding
        kernel_h, kernel_w = self.kernel
        self._require(top + bottom < kernel_h and left + right < kernel_w, "padding as large as the kernel")
        self._require(height + top + bottom >= kernel_h and width + left + right >= kernel_w, "kernel exceeds image")
        positions = windows((height, width), self.kernel, self.stride, self.padding)
        shape = (*positions, kernel_h * kernel_w * channels)
        self._require(self.output.shape == shape, f"output shape {self.output.shape}, expected {shape}")
        self._require(_same_element(self.output, sources[0]), "element type differs from its source")


@dataclass(frozen=True, eq=False)
class Weighted(Node):
    """What nodes with weights share: rows of weights, a bias for each, an accumulator that is exact.

    Attributes:
        weights: int64 (MH, MW); MH output channels, each a sum over MW inputs.
        bias: int64 (MH,), on the accumulator's grid.
        weight_bits: 1..16.
    """

    weights: np.ndarray
    bias: np.ndarray
    weight_bits: int
    weight_code: WeightCode = WeightCode.TWOS

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = np.shape(self.weights)
        self._require(len(shape) == 2, f"weights have shape {shape}, expected (MH, MW)")
        self._require(
            1 <= self.weight_bits <= MAX_WEIGHT_BITS, f"weight_bits {self.weight_bits}, expected 1..{MAX_WEIGHT_BITS}"
        )
        object.__setattr__(self, "weights", _integers(self.name, "weights", self.weights, shape))
        object.__setattr__(self, "bias", _integers(self.name, "bias", self.bias, shape[:1]))
        low, high = self.weight_code.bounds(self.weight_bits)
        outside = self.weights[(self.weights < low) | (self.weights > high)]
        self._require(outside.size == 0, f"weight {outside[:1]} outside {low}..{high} of {self.weight_bits} bits")
        if self.weight_code is WeightCode.ODD:
            self._require(bool(np.all(self.weights % 2 != 0)), "an even weight in a layer of odd weight codes")

    @property
    def mh(self) -> int:
        return self.weights.shape[0]

    @property
    def mw(self) -> int:
        return self.weights.shape[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one frame."""
        return self.output.positions * self.mh * self.mw

    @property
    def factors(self) -> np.ndarray:
        """What inputs are multiplied by, int64 (MH, MW): where it can be chosen, the largest ones."""
        return self.weights

    def bounds(self, source: TensorType) -> tuple[int, int]:
        """The least and the greatest accumulator value that any input of `source`'s type, or any partial sum, gives."""
        factors = self.factors
        reach = np.where(factors < 0, factors * source.minimum, factors * source.maximum).sum(axis=1)
        depth = np.where(factors < 0, factors * source.maximum, factors * source.minimum).sum(axis=1)
        low, high = np.minimum(depth, 0) + self.bias, np.maximum(reach, 0) + self.bias
        return int(min(low.min(), 0)), int(max(high.max(), 0))

    def check(self, *sources: TensorType) -> None:
        self._require(self.output.shape == (*sources[0].shape[:-1], self.mh), "output shape does not follow")
        self._require(self.output.signed, "the accumulator is signed")
        width = signed_width(*self.bounds(sources[0]))
        self._require(self.output.width_bits >= width, f"accumulator needs {width} bits, has {self.output.width_bits}")


@dataclass(frozen=True, eq=False)
class Matvec(Weighted):
    """Matrix-vector product along the last axis: y = weights @ x + bias, exact in the output's width."""

    def check(self, *sources: TensorType) -> None:
        self._require(sources[0].channels == self.mw, f"input has {sources[0].channels} channels, MW is {self.mw}")
        super().check(*sources)


@dataclass(frozen=True, eq=False)
class Depthwise(Weighted):
    """Filters of one channel each, over a `Window` of MW taps, whose elements are in (tap, channel) order.

    y[n] = bias[n] + sum over t of weights[n, t] * x[t, n // multiplier].

    Attributes:
        multiplier: filters of a channel.
    """

    multiplier: int = 1

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return self.mh // self.multiplier

    def check(self, *sources: TensorType) -> None:
        self._require(
            self.multiplier >= 1 and self.mh % self.multiplier == 0,
            f"multiplier {self.multiplier} does not divide MH {self.mh}",
        )
        expected = self.mw * self.channels
        self._require(
            sources[0].channels == expected,
            f"input has {sources[0].channels} elements, MW {self.mw} taps of {self.channels} channels are {expected}",
        )
        super().check(*sources)


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """Monotone step function: code = offset + number of thresholds reached.

    Channel c reaches threshold t when x >= t, or x <= t where `flip[c]` (a negative slope).

    Attributes:
        thresholds: int64 (C, N), any order.
        flip: bool (C,).
        offset: the code below all thresholds.
    """

    thresholds: np.ndarray
    flip: np.ndarray
    offset: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = np.shape(self.thresholds)
        self._require(len(shape) == 2 and shape[0] == self.output.channels, f"thresholds have shape {shape}")
        object.__setattr__(self, "thresholds", _integers(self.name, "thresholds", self.thresholds, shape))
        flip = np.array(self.flip, dtype=bool)
        self._require(flip.shape == shape[:1], f"flip has shape {flip.shape}, expected {shape[:1]}")
        flip.setflags(write=False)
        object.__setattr__(self, "flip", flip)

    def check(self, *sources: TensorType) -> None:
        self._require(self.output.shape == sources[0].shape, "output shape differs from its source")
        low, high = self.offset, self.offset + self.thresholds.shape[1]
        self._require(
            self.output.minimum <= low and high <= self.output.maximum,
            f"codes {low}..{high} do not fit {self.output.width_bits} bits",
        )


@dataclass(frozen=True, eq=False)
class Requantize(Node):
    """Affine map and saturation: saturate((x * multiplier[c] + bias[c]) >> shift), the shift rounding down.

    Attributes:
        multiplier, bias: int64 (C,); half of the last place for rounding is already in the bias.
        shift: bits, at least 0.
        ties_to_even: where all dropped bits are zero, which with half a place in the bias is a tie, the result's
            lowest bit is cleared before saturation: rounding half to even, as QKeras does.
    """

    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    ties_to_even: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (self.output.channels,)
        object.__setattr__(self, "multiplier", _integers(self.name, "multiplier", self.multiplier, shape))
        object.__setattr__(self, "bias", _integers(self.name, "bias", self.bias, shape))
        self._require(0 <= self.shift <= 62, f"shift {self.shift}, expected 0..62")

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


@dataclass(frozen=True, eq=False)
class Add(Node):
    """Sum of two tensors on one grid."""

    ARITY = 2

    def check(self, *sources: TensorType) -> None:
        a, b = sources
        self._require(a.shape == b.shape == self.output.shape, f"shapes {a.shape} and {b.shape} differ")
        self._require(a.fraction_bits == b.fraction_bits, "operands are on different grids")
        low, high = a.minimum + b.minimum, a.maximum + b.maximum
        self._require(self.output.minimum <= low and high <= self.output.maximum, "the sum does not fit its type")


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Two tensors on one grid side by side: the channels of the first, then those of the second."""

    ARITY = 2

    def check(self, *sources: TensorType) -> None:
        a, b = sources
        self._require(a.shape[:-1] == b.shape[:-1], f"shapes {a.shape} and {b.shape} differ in more than channels")
        shape = (*a.shape[:-1], a.channels + b.channels)
        self._require(self.output.shape == shape, f"output shape {self.output.shape}, expected {shape}")
        grids = {kind.fraction_bits for kind in (a, b, self.output)}
        self._require(len(grids) == 1, "operands are on different grids")
        for kind in sources:
            held = self.output.minimum <= kind.minimum and kind.maximum <= self.output.maximum
            self._require(held, "an operand does not fit the output's type")


@dataclass(frozen=True, eq=False)
class _Pool(Node):
    """Pooling over whole windows whose stride is the kernel; what is left at the far edges is dropped."""

    kernel: tuple[int, int]

    def _check_shape(self, source: TensorType) -> None:
        height, width, channels = source.shape
        shape = (height // self.kernel[0], width // self.kernel[1], channels)
        self._require(self.output.shape == shape, f"output shape {self.output.shape}, expected {shape}")


@dataclass(frozen=True, eq=False)
class MaxPool(_Pool):
    """Largest element of each window."""

    def check(self, *sources: TensorType) -> None:
        self._check_shape(sources[0])
        self._require(_same_element(self.output, sources[0]), "element type differs from its source")


@dataclass(frozen=True, eq=False)
class SumPool(_Pool):
    """Sum of each window. Average pooling is this with log2(window) more fraction bits."""

    def check(self, *sources: TensorType) -> None:
        self._check_shape(sources[0])
        area, source = self.kernel[0] * self.kernel[1], sources[0]
        low, high = area * source.minimum, area * source.maximum
        self._require(self.output.minimum <= low and high <= self.output.maximum, "the sum does not fit its type")


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """(H, W, C) to (H * W * C,) in stream order: wires only."""

    def check(self, *sources: TensorType) -> None:
        self._require(self.output.shape == (sources[0].elements,), "output shape does not follow")
        self._require(_same_element(self.output, sources[0]), "element type differs from its source")


@dataclass(frozen=True, eq=False)
class Argmax(Node):
    """The position of the largest element of a vector; of several that are equal, the first: (C,) to (1,)."""

    def check(self, *sources: TensorType) -> None:
        (source,) = sources
        vector = len(source.shape) == 1 and source.channels > 1
        self._require(vector, f"takes a vector of 2 at least, not {source.shape}")
        self._require(self.output.shape == (1,), f"output shape {self.output.shape}, expected (1,)")
        self._require(self.output.fraction_bits == 0, "a position has no fraction bits")
        self._require(source.channels - 1 <= self.output.maximum, "the last position does not fit the output's type")


def _same_element(a: TensorType, b: TensorType) -> bool:
    return (a.width_bits, a.signed, a.fraction_bits) == (b.width_bits, b.signed, b.fraction_bits)


def sum_type(source: TensorType, terms: int, shape: tuple[int, ...], fraction_bits: int) -> TensorType:
    """The narrowest type that holds a sum of `terms` elements of `source`."""
    low, high = terms * source.minimum, terms * source.maximum
    width = signed_width(low, high) if source.signed else unsigned_width(high)
    return TensorType(shape, width, source.signed, fraction_bits)


#: every kind of node by its word
KINDS: dict[str, type[Node]] = {
    cls.__name__: cls
    for cls in (
        Input, Output, Fork, Window, Matvec, Depthwise, Threshold, Requantize, Add, Concat, MaxPool, SumPool, Flatten,
        Argmax,
    )
}  # fmt: skip

__all__ = ["KINDS", "Node", "WeightCode", "Weighted", "sum_type", *KINDS]
