"""Handlers of what stays pending on a tensor until a quantizer ends it: normalizations, rectifiers, quantizers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import Grid, ThresholdGrid, read_grid
from flow.fold.rescale import find_rescale
from flow.fold.steps import Affine, Chain, Clamp, Leak, Step, find_steps, turning_channels
from flow.fold.value import Value
from flow.quantizers import FLOOR, MAX_THRESHOLD_BITS
from flow.twin.layers import Requantize, Threshold
from flow.twin.twin import Folded

if TYPE_CHECKING:
    from flow.fold.network import Fold

#: share of the reachable integers on which a rescale may differ from what was trained; beyond it (a rectifier that
#: clips inside the range of the codes is no affine map) thresholds are taken at any width
MAX_DIFFERING = 1e-4
MAX_ACTIVATION_BITS = 8


def quantize(fold: Fold, name: str, trained: str, value: Value, grid: Grid, step: float | None = None) -> Value:
    """Ends what is pending on `value` with a layer of the twin: `Threshold` up to 5 bits, `Requantize` for 6 to 8,
    where 255 thresholds a channel would cost too much.

    Args:
        name: of the layer in the trained network, or one made from it.
        trained: layer of the trained network that has the same output.
        step: what a level is worth to the trained network where that is no power of two; it stays pending.
    """
    if not 1 <= grid.bits <= MAX_ACTIVATION_BITS:
        raise FlowError(f"{name}: activations have 1 to {MAX_ACTIVATION_BITS} bits, not {grid.bits}")
    bits = max(grid.bits, 2) if grid.signed else grid.bits
    turning = turning_channels(value.chain, grid, value.low, value.high)
    if turning.size:
        raise FlowError(
            f"{name}: its thresholds do not increase after folding: in channel {turning[0]} ({turning.size} of "
            f"{len(value.low)}) the codes rise and fall again with the sum; what is in front of it is not monotone"
        )
    steps = find_steps(value.chain, grid, value.low, value.high)
    shared = {
        "input_fraction_bits": value.fraction_bits,
        "output_fraction_bits": grid.fraction_bits,
        "bits": bits,
        "signed": grid.signed,
        "dtype": value.dtype,
        "name": fold.name(name),
    }
    full = (grid.low, grid.high) == (
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if grid.signed else (0, (1 << bits) - 1)
    )
    # a rescale saturates to the whole range of its type
    rescale = find_rescale(value.chain, steps) if bits > MAX_THRESHOLD_BITS and full else None
    if rescale is None or rescale.differing > MAX_DIFFERING * (value.high - value.low + 1).sum():
        layer = Threshold(count=grid.high - grid.low, offset=grid.low, **shared)
        weights = [steps.thresholds, steps.flip.astype(np.int64)]
        differing = 0
    else:
        layer = Requantize(shift=rescale.shift, ties_to_even=rescale.ties_to_even, **shared)
        weights = [rescale.multiplier, rescale.bias]
        differing = rescale.differing
    tensor = layer(value.tensor)
    layer.set_weights(weights)
    fold.activations.append(Folded(layer.name, trained, type(layer).__name__.lower(), bits, differing, step))
    channels = len(value.low)
    chain = Chain(grid.fraction_bits) if step is None else Chain(grid.fraction_bits).then(Step(step))
    return Value(tensor, np.full(channels, grid.low), np.full(channels, grid.high), chain, name)


def activate(fold: Fold, name: str, trained: str, value: Value, activation: Any) -> Value:
    """`activation` is "relu" or a quantizer object."""
    if activation == "relu":
        return replace(value, chain=value.chain.then(Clamp()), source=name)
    return quantize(fold, name, trained, value, read_grid(name, activation))


# -- handlers ----------------------------------------------------------------------------------------------------------


def batchnorm(fold: Fold, layer: Any, value: Value) -> Value:
    """y = (x - mean) * (gamma / sqrt(variance + epsilon)) + beta, in float64 from the stored float32."""
    axis = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axis not in ([-1], [len(layer.input_shape) - 1]):
        raise FlowError(f"{layer.name}: normalizes axis {axis}; only the channels, which come last, are supported")

    def stored(kind: str, variable: Any) -> np.ndarray:
        """A parameter, as its quantizer makes it where the layer has one (QBatchNormalization)."""
        quantizer = getattr(layer, f"{kind}_quantizer_internal", None)
        return np.asarray(variable if quantizer is None else quantizer(variable), dtype=np.float64)

    mean, variance = stored("mean", layer.moving_mean), stored("variance", layer.moving_variance)
    gamma = stored("gamma", layer.gamma) if layer.scale else np.ones_like(mean)
    beta = stored("beta", layer.beta) if layer.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    if not (np.isfinite(scale).all() and np.isfinite(mean).all() and np.isfinite(beta).all()):
        raise FlowError(f"{layer.name}: its statistics are not finite; the training diverged")
    return replace(value, chain=value.chain.then(Affine(mean, scale, beta)), source=layer.name)


def qactivation(fold: Fold, layer: Any, value: Value) -> Value:
    quantizer = layer.quantizer if hasattr(layer, "quantizer") else layer.activation
    if getattr(quantizer, "__name__", None) == "relu":
        quantizer = "relu"
    return activate(fold, layer.name, layer.name, value, quantizer)


def activation(fold: Fold, layer: Any, value: Value) -> Value:
    kind = getattr(layer.activation, "__name__", None)
    if kind == "linear":
        return value
    return activate(fold, layer.name, layer.name, value, "relu" if kind == "relu" else layer.activation)


def relu(fold: Fold, layer: Any, value: Value) -> Value:
    if float(layer.threshold) != 0.0:
        raise FlowError(f"{layer.name}: a ReLU with a threshold is not supported")
    ceiling = np.inf if layer.max_value is None else float(layer.max_value)
    slope = float(layer.negative_slope)
    return _rectified(layer.name, value, slope, ceiling)


def leaky_relu(fold: Fold, layer: Any, value: Value) -> Value:
    return _rectified(layer.name, value, float(layer.alpha), np.inf)


def prelu(fold: Fold, layer: Any, value: Value) -> Value:
    """Slopes by channel; `shared_axes` must name the others."""
    slopes = np.asarray(layer.alpha, dtype=np.float64)
    slopes = slopes.reshape(-1, slopes.shape[-1])
    if not np.array_equal(slopes, np.broadcast_to(slopes[:1], slopes.shape)):
        raise FlowError(f"{layer.name}: its slopes differ inside a channel; use PReLU(shared_axes=[1, 2])")
    return _rectified(layer.name, value, np.broadcast_to(slopes[0], value.low.shape), np.inf)


def n2uq(fold: Fold, layer: Any, value: Value) -> Value:
    """Learned thresholds; a learned output step stays pending on the codes (Liu et al., arXiv 2111.14826)."""
    grid, step = read_n2uq(layer)
    return quantize(fold, layer.name, layer.name, value, grid, step)


def read_n2uq(layer: Any) -> tuple[ThresholdGrid, float | None]:
    """The thresholds of an `N2UQActivation` in float64 from its stored float32, and its output step if that is learned.

    Raises:
        FlowError: an interval or a scale at its floor, or thresholds that do not rise.
    """
    name, bits, exponent = layer.name, int(layer.bits), layer.output_exponent
    if not 1 <= bits <= MAX_THRESHOLD_BITS:
        raise FlowError(f"{name}: N2UQ activations have 1 to {MAX_THRESHOLD_BITS} bits, not {bits}")
    start, intervals, input_scale, output_scale = (
        np.asarray(getattr(layer, part), dtype=np.float64)
        for part in ("start", "intervals", "input_scale", "output_scale")
    )
    floor = FLOOR * (1 + 1e-6)
    if (intervals <= floor).any():
        index = int(np.argmax(intervals <= floor))
        raise FlowError(
            f"{name}: interval {index + 1} of {len(intervals)} is at its floor, {FLOOR:g}: level {index + 1} was lost "
            "in training; train with a lower quantizer_rate or start from better scales"
        )
    for what, scale in (("input_scale", input_scale), ("output_scale", output_scale)):
        if scale <= floor:
            raise FlowError(f"{name}: its {what} is {scale:g} and must be above {FLOOR:g}; the training diverged")
    edges = start + np.concatenate([[0.0], np.cumsum(intervals)])
    thresholds = edges[:-1] + intervals / 2
    if (
        not (np.isfinite(thresholds).all() and np.isfinite([input_scale, output_scale]).all())
        or (np.diff(thresholds) <= 0).any()
    ):
        raise FlowError(f"{name}: its thresholds do not increase: {thresholds.tolist()}; the training diverged")
    fraction_bits = 0 if exponent is None else -int(exponent)
    top = len(intervals)
    grid = ThresholdGrid(bits, fraction_bits, False, 0, top, thresholds=tuple(thresholds), scale=float(input_scale))
    return grid, float(output_scale) * 2 / top if exponent is None else None


def _rectified(name: str, value: Value, slope: float | np.ndarray, ceiling: float) -> Value:
    if np.any(np.asarray(slope) < 0):
        where = "" if np.ndim(slope) == 0 else f" in channel {int(np.argmin(slope))}"
        raise FlowError(
            f"{name}: its slope below zero is {np.min(slope):g}{where}: the codes behind it would fall and rise, and "
            "thresholds need a function that only rises; keep slopes at 0 or above (alpha_constraint=NonNeg())"
        )
    chain = value.chain.then(Leak(slope, ceiling) if np.any(slope) else Clamp(ceiling))
    return replace(value, chain=chain, source=name)


def identity(fold: Fold, layer: Any, value: Value) -> Value:
    return value
