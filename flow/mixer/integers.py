"""The integers of a network with run-time widths: everything that its hardware holds.

Computed once, in float64, from the stored parameters; TensorFlow is not asked. `flow.mixer.twin` runs them.

Weights are codes at the top width h; at width b a layer uses code >> (h - b). What stands between a layer's sums (or
an add, or another quantizer) and a quantizer is one affine map a channel with saturation, as `flow.ir.Requantize` has
it, in a table over the widths that it depends on:

    code = saturate((a * M[e, c] + B[e, c]) >> S, low, maxima[e])

The entry e is that of (predecessor, producer, reader), each if it is there and can change, the first slowest. One
shift serves the whole table, the smallest for which every entry is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import Grid
from flow.fold.rescale import Rescale, find_rescale, find_shared
from flow.fold.steps import Affine, Chain, Steps, find_steps
from flow.ir import table_number
from flow.quantizers.nested import BIAS_BITS, CENTRE, ROUND, nested_codes
from flow.quantizers.runtime import RuntimeModel
from flow.twin.inputs import InputGrid, pixels
from keras_models.runtime import RuntimePlan
from keras_models.spec import Node


@dataclass(frozen=True)
class IntegerWeights:
    """The weights of one layer.

    Attributes:
        name: of the layer.
        codes: int64, the kernel's shape (KH, KW, I, O) or (I, O), two's complement of `bits` bits.
        bits: as they are stored, the top width of a runtime layer.
        runtime: whether the layer's width can change.
        odd: a code k stands for the integer 2 k + 1 (`nesting="centre"`).
        bias: int64 (O,) on the grid of the sums, None for none.
        fraction_bits: weight = code * 2**-fraction_bits; 0 for a runtime layer, whose step differs with the width.
    """

    name: str
    codes: np.ndarray
    bits: int
    runtime: bool
    odd: bool = False
    bias: np.ndarray | None = None
    fraction_bits: int = 0

    def at(self, width: int) -> np.ndarray:
        """The integers that the layer multiplies with at a width: the top `width` bits k, or 2 k + 1."""
        codes = nested_codes(self.codes, self.bits, width) if self.runtime else self.codes
        return 2 * codes + 1 if self.odd else codes


@dataclass(frozen=True)
class Table:
    """The affine maps in front of one quantizer.

    Attributes:
        name: of the quantizer.
        select: the runtime layers whose widths choose the entry, the first slowest; empty for a single entry.
        multiplier, bias: int64 (T, C), T = |B|^len(select).
        shift: bits.
        ties_to_even: as `flow.ir.Requantize`; only where T is 1.
        low: the least code.
        maxima: int64 (T,), the greatest code of each entry: 2^t - 1.
        differing: reachable integers, summed over entries and channels, whose code is not the trained one; 0 unless
            no parameters of the allowed width exist.
        fraction_bits: value = code * 2**-fraction_bits; 0 for a quantizer whose step differs with the width.
    """

    name: str
    select: tuple[str, ...]
    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    ties_to_even: bool
    low: int
    maxima: np.ndarray
    differing: int
    fraction_bits: int = 0


@dataclass(frozen=True)
class Integers:
    """A whole network.

    Attributes:
        plan: its topology; nodes that are in neither map have no parameters.
        input: what the hardware receives.
        weights: by layer.
        tables: by quantizer.
        output_fraction_bits: a logit is integer * 2**-output_fraction_bits.
    """

    plan: RuntimePlan
    input: InputGrid
    weights: Mapping[str, IntegerWeights]
    tables: Mapping[str, Table]
    output_fraction_bits: int

    def entry(self, table: Table, positions: Sequence[int]) -> int:
        """The entry that a configuration chooses."""
        return table_number(len(self.plan.widths), [positions[self.plan.layers.index(name)] for name in table.select])


@dataclass(frozen=True)
class _Value:
    """A tensor while the network is walked through; one column for each width where it depends on one.

    Attributes:
        select: the runtime layer whose width the columns are for, None for a single column.
        scale: (columns,), what one integer is worth.
        low, high: int64 (columns, C), the reachable integers.
        normalization: of a weight layer's sums, if one follows: the Keras layer and what chooses its set.
    """

    select: str | None
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    normalization: tuple | None = None


def export_integers(plan: RuntimePlan, model: RuntimeModel) -> Integers:
    """The integers of a trained network.

    Args:
        plan: of the topology that the network was built from.
        model: trained with ``nesting`` ``"floor"`` or ``"centre"``.

    Raises:
        FlowError: its weights are rounded to lower widths, which are then no bit planes; or a layer in a place that
            has no integer form.
    """
    return _Export(plan, model).run()


class _Export:
    def __init__(self, plan: RuntimePlan, model: RuntimeModel) -> None:
        self._plan, self._model = plan, model
        self._weights: dict[str, IntegerWeights] = {}
        self._tables: dict[str, Table] = {}
        self._values: dict[str, _Value] = {}
        self._input = pixels(plan.spec.input_shape)

    def run(self) -> Integers:
        for node in self._plan.spec.nodes:
            self._values[node.name] = self._node(node, *(self._values[name] for name in node.inputs))
        (scale,) = self._values[self._plan.spec.nodes[-1].name].scale
        fraction_bits = -round(np.log2(scale))
        if scale != 2.0**-fraction_bits:
            raise FlowError(
                f"{self._plan.spec.nodes[-1].name}: a logit is worth {scale:g}, which is no power of two; "
                "average over a number of pixels that is one"
            )
        return Integers(self._plan, self._input, self._weights, self._tables, fraction_bits)

    def _node(self, node: Node, *inputs: _Value) -> _Value:
        if node.kind == "input":
            channels = node.shape[-1]
            ends = [np.full((1, channels), end) for end in (self._input.low, self._input.high)]
            return _Value(None, np.array([2.0**-self._input.fraction_bits]), *ends)
        if node.kind == "weights":
            return self._layer(node, *inputs)
        if node.kind == "batchnorm":
            layer = self._model.get_layer(node.name)
            (value,) = inputs
            select = tuple(self._plan.layers[position] for position in layer.select)
            return _Value(value.select, value.scale, value.low, value.high, (layer, select))
        if node.kind == "activation":
            return self._activation(node, *inputs)
        if node.kind == "add":
            left, right = inputs
            if left.select or right.select or left.scale[0] != right.scale[0]:
                raise FlowError(f"{node.name}: its operands are not on one grid")
            return _Value(None, left.scale, left.low + right.low, left.high + right.high)
        (value,) = inputs
        if node.kind == "average_pool":
            count = prod(node.size)
            return _Value(value.select, value.scale / count, value.low * count, value.high * count)
        if node.kind == "flatten":
            times = node.shape[0] // value.low.shape[1]
            return _Value(value.select, value.scale, *(np.tile(end, (1, times)) for end in (value.low, value.high)))
        return value  # a maximum of codes

    def _layer(self, node: Node, value: _Value) -> _Value:
        layer = self._model.get_layer(node.name)
        if layer.nesting == ROUND:
            raise FlowError(
                f"{node.name}: its weights are rounded to lower widths, whose codes are then not the top bits of the "
                "stored ones; train without nesting=round for hardware"
            )
        runtime = node.name in self._plan.layers
        bits = layer.widths[-1]
        widths, odd = layer.widths, layer.nesting == CENTRE
        fraction_bits = 0 if runtime else -layer.exponent
        stored = IntegerWeights(node.name, layer.top_codes, bits, runtime, odd, fraction_bits=fraction_bits)
        scale = value.scale * [2.0 ** (layer.exponent + bits - width - odd) for width in widths]
        bias = None
        if layer.bias is not None:
            limit = 1 << (BIAS_BITS - 1)
            codes = np.clip(
                np.rint(np.ldexp(layer.bias.numpy().astype(np.float64), -layer.bias_exponent)), -limit, limit - 1
            )
            bias = np.rint(codes * 2.0**layer.bias_exponent / scale[0]).astype(np.int64)
        ends = [
            _reach(stored.at(width), *(end[column % len(end)] for end in (value.low, value.high)))
            for column, width in enumerate(widths)
        ]
        self._weights[node.name] = replace(stored, bias=bias)
        low, high = (np.stack(part) + (0 if bias is None else bias) for part in zip(*ends, strict=True))
        return _Value(node.name if runtime else None, scale, low, high)

    def _activation(self, node: Node, value: _Value) -> _Value:
        layer, reader = self._model.get_layer(node.name), self._plan.reader(node.name)
        channels = value.low.shape[1]
        if reader is None:
            steps, widths = np.array([2.0**layer.exponent]), (layer.bits,)
            signed = layer.signed
        else:
            steps, widths = layer.steps.numpy().astype(np.float64), layer.widths
            signed = False
        grids = [_grid(width, signed) for width in widths]
        if node.inputs[0] == self._plan.spec.nodes[0].name and not len(self._weights):
            (grid,) = grids  # a quantizer on real inputs is the host's
            shape = self._plan.spec.input_shape
            self._input = InputGrid(shape, grid.bits, signed, -layer.exponent, grid.low, grid.high)
        else:
            table = self._table(node, value, grids, steps, reader)
            self._tables[node.name] = replace(table, fraction_bits=-layer.exponent if reader is None else 0)
        low, high = (
            np.repeat([[end] for end in ends], channels, axis=1)
            for ends in zip(*((grid.low, grid.high) for grid in grids), strict=True)
        )
        return _Value(reader, steps, low, high)

    def _table(self, node: Node, value: _Value, grids: list[Grid], steps: np.ndarray, reader: str | None) -> Table:
        select = self._plan.table(node.name)
        normalized = () if value.normalization is None else value.normalization[1]
        count, channels = len(self._plan.widths), value.low.shape[1]
        entries = list(product(range(count), repeat=len(select)))
        groups: list[list[int]] = [[] for _ in grids]
        for number, entry in enumerate(entries):
            groups[entry[-1] if reader is not None else 0].append(number)
        parts: list[tuple[Chain, Steps]] = []
        for column, (grid, numbers) in enumerate(zip(grids, groups, strict=True)):
            chains, lows, highs = [], [], []
            for number in numbers:
                chosen = dict(zip(select, entries[number], strict=True))
                own = chosen[value.select] if value.select is not None else 0
                chains.append(_affine(value, [chosen[name] for name in normalized], own, steps[column], channels))
                lows.append(value.low[own])
                highs.append(value.high[own])
            joined = [
                Affine(*(np.concatenate([getattr(one, part) for one in at]) for part in ("center", "scale", "shift")))
                for at in zip(*chains, strict=True)
            ]
            chain = Chain(0, tuple(joined))
            parts.append((chain, find_steps(chain, grid, np.concatenate(lows), np.concatenate(highs))))
        found = [find_rescale(*parts[0])] if len(entries) == 1 else find_shared([part for _, part in parts])
        return _joined(node.name, select, found, groups, grids, channels)


def _joined(
    name: str, select: tuple[str, ...], found: list[Rescale], groups: list[list[int]], grids: list[Grid], channels: int
) -> Table:
    """The groups of entries in the table's order."""
    total = sum(map(len, groups))
    multiplier, bias = np.zeros((total, channels), np.int64), np.zeros((total, channels), np.int64)
    maxima = np.zeros(total, np.int64)
    for rescale, numbers, grid in zip(found, groups, grids, strict=True):
        multiplier[numbers] = rescale.multiplier.reshape(-1, channels)
        bias[numbers] = rescale.bias.reshape(-1, channels)
        maxima[numbers] = grid.high
    differing = sum(rescale.differing for rescale in found)
    first = found[0]
    return Table(name, select, multiplier, bias, first.shift, first.ties_to_even, grids[0].low, maxima, differing)


def _affine(value: _Value, chosen: list[int], own: int, step: float, channels: int) -> list[Affine]:
    """From integers to multiples of the quantizer's step, each parameter (C,)."""

    def plain(scale: float) -> Affine:
        return Affine(np.zeros(channels), np.full(channels, scale), np.zeros(channels))

    if value.normalization is None:
        return [plain(value.scale[own] / step)]
    layer, _ = value.normalization
    number = table_number(len(layer.widths), chosen)
    gamma, beta, mean, variance = (
        weight.numpy()[number].astype(np.float64)
        for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    )
    normalize = Affine(mean, gamma / np.sqrt(variance + layer.epsilon), beta)
    return [plain(value.scale[own]), normalize, plain(1 / step)]


def _grid(bits: int, signed: bool) -> Grid:
    top = 1 << (bits - signed)
    return Grid(bits, 0, signed, -top if signed else 0, top - 1)


def _reach(codes: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest sum of each output; 0 is among the inputs, as a window may hang over the padding."""
    rows = codes.reshape(-1, len(low), codes.shape[-1])
    ends = rows * np.minimum(low, 0)[:, None], rows * np.maximum(high, 0)[:, None]
    return np.minimum(*ends).sum(axis=(0, 1)), np.maximum(*ends).sum(axis=(0, 1))
