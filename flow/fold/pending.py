"""Handlers of what stays pending on a tensor until a quantizer ends it: normalizations, rectifiers, quantizers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import Grid, read_grid
from flow.fold.rescale import find_rescale
from flow.fold.steps import Affine, Chain, Clamp, Leak, find_steps
from flow.fold.value import Value
from flow.twin.layers import Requantize, Threshold
from flow.twin.twin import Folded

if TYPE_CHECKING:
    from flow.fold.network import Fold

#: widest code that thresholds make; wider ones are rescaled
MAX_THRESHOLD_BITS = 5
#: share of the reachable integers on which a rescale may differ from what was trained; beyond it (a rectifier that
#: clips inside the range of the codes is no affine map) thresholds are taken at any width
MAX_DIFFERING = 1e-4
MAX_ACTIVATION_BITS = 8


def quantize(fold: Fold, name: str, trained: str, value: Value, grid: Grid) -> Value:
    """Ends what is pending on `value` with a layer of the twin: `Threshold` up to 5 bits, `Requantize` for 6 to 8,
    where 255 thresholds a channel would cost too much.

    Args:
        name: of the layer in the trained network, or one made from it.
        trained: layer of the trained network that has the same output.
    """
    if not 1 <= grid.bits <= MAX_ACTIVATION_BITS:
        raise FlowError(f"{name}: activations have 1 to {MAX_ACTIVATION_BITS} bits, not {grid.bits}")
    bits = max(grid.bits, 2) if grid.signed else grid.bits
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
    fold.activations.append(Folded(layer.name, trained, type(layer).__name__.lower(), bits, differing))
    channels = len(value.low)
    return Value(tensor, np.full(channels, grid.low), np.full(channels, grid.high), Chain(grid.fraction_bits), name)


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


def _rectified(name: str, value: Value, slope: float, ceiling: float) -> Value:
    chain = value.chain.then(Leak(slope, ceiling) if slope else Clamp(ceiling))
    return replace(value, chain=chain, source=name)


def identity(fold: Fold, layer: Any, value: Value) -> Value:
    return value
