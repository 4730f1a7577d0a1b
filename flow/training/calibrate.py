"""From a float network to the start of quantization-aware training.

1. Every filter in front of a batch normalization is multiplied so that its weights fill the fixed
   grid; the batch normalization absorbs the factor and the network computes what it did.
2. The steps of the remaining weights are chosen by least squares.
3. With the weights rounded and the batch statistics measured again, the step of every activation
   is chosen by least squares on training images.

All steps are powers of two, chosen once and constant from then on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow.bits import BitsSpec
from flow.keras_env import keras
from flow.quantizers import UNIFORM, find_system
from flow.quantizers.n2uq import N2UQWeights
from flow.training.loop import as_numbers
from flow.training.statistics import STATISTICS_IMAGES, measure_statistics
from keras_models.build import weight_unit
from keras_models.ranges import (
    Ranges,
    accumulator_exponent,
    bias_exponent_for,
    fraction_exponent,
)
from keras_models.spec import ModelSpec, WeightLayer

#: of a layer and its filters, [weights, filters]: the factor per filter
Factors = Callable[[WeightLayer, np.ndarray], np.ndarray]
CALIBRATION_IMAGES = 512
_CLIP_RATIOS = np.linspace(0.3, 1.2, 91)
_FINEST, _COARSEST = -20, 6


def quantize(values: np.ndarray, bits: int, exponent: int, signed: bool) -> np.ndarray:
    """The value that a quantizer gives, in float64: round half to even, saturate.

    Args:
        values: of any shape.
        bits: width; a signed width of 1 means -1 and +1.
        exponent: the step is 2**exponent.
        signed: two's complement, else from 0.
    """
    if signed and bits == 1:
        return np.where(values < 0, -1.0, 1.0) * 2.0**exponent
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    step = 2.0**exponent
    return np.clip(np.rint(np.asarray(values, np.float64) / step), low, high) * step


def best_exponent(parts: list[tuple[np.ndarray, int, bool]], finest: int) -> int:
    """The common power-of-two step with the least squared error.

    Args:
        parts: the tensors that share the step: values, bits, signed.
        finest: exponent of the least step that is tried.
    """
    errors = {
        exponent: sum(
            float(np.mean((quantize(values, bits, exponent, signed) - values) ** 2)) for values, bits, signed in parts
        )
        for exponent in range(finest, _COARSEST + 1)
    }
    return min(errors, key=errors.__getitem__)


def weight_exponent(kernel: np.ndarray, bits: int) -> int:
    """The power-of-two step of weights that no batch normalization rescales; for 1 bit the power nearest to mean|w|."""
    if bits > 1:
        return best_exponent([(kernel, bits, True)], _FINEST)
    size = max(float(np.abs(kernel).mean()), 2.0**_FINEST)
    below = int(np.floor(np.log2(size)))
    return min((below, below + 1), key=lambda exponent: abs(2.0**exponent - size))


def fill_factors(kernel: np.ndarray, bits: int) -> np.ndarray:
    """The factor per filter with which it is best rounded to the grid that spans [-1, 1).

    Args:
        kernel: [height, width, inputs, filters], [inputs, units], or any other with the filters last.
        bits: weight width; for 1 bit the factor is 1 / mean|w| (Rastegari et al.,
            arXiv 1603.05279).

    Returns:
        float64 [filters].
    """
    flat = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    if bits == 1:
        return 1 / np.maximum(np.abs(flat).mean(axis=0), 1e-12)
    exponent = fraction_exponent(bits)

    def error(factor: np.ndarray) -> np.ndarray:
        return ((quantize(flat * factor, bits, exponent, signed=True) / factor - flat) ** 2).sum(axis=0)

    return best_factors(flat, error)


def best_factors(flat: np.ndarray, error: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The factor per filter with the least error, among those that bring its largest weight near 1.

    Args:
        flat: [weights, filters].
        error: of factors, [filters].
    """
    full = 1.0 / np.maximum(np.abs(flat).max(axis=0), 1e-12)
    return full / _CLIP_RATIOS[np.argmin([error(full / ratio) for ratio in _CLIP_RATIOS], axis=0)]


def fill_filters(model: keras.Model, spec: ModelSpec, factors_of: Factors) -> None:
    """Rescales in place every filter that a batch normalization follows.

    With filter times f, the batch normalization's mean times f and f^2 (variance + epsilon)
    under the root, the output is the same. Where epsilon would leave no positive variance, gamma
    takes the factor.
    """
    for layer in spec.weight_layers():
        if layer.batchnorm is None:
            continue
        convolution = model.get_layer(layer.name)
        (kernel,) = convolution.get_weights()
        rows = kernel.reshape(-1, layer.out_channels)  # a depthwise kernel has its filters in the last two axes
        factors = factors_of(layer, rows)
        normalization = model.get_layer(layer.batchnorm)
        gamma, beta, mean, variance = normalization.get_weights()
        wanted = factors**2 * (variance.astype(np.float64) + normalization.epsilon)
        moved = np.maximum(wanted - normalization.epsilon, 0.0)
        gamma = gamma * np.sqrt((moved + normalization.epsilon) / wanted)
        convolution.set_weights([(rows * factors).reshape(kernel.shape)])
        normalization.set_weights([gamma, beta, mean * factors, moved])


def prepare(
    spec: ModelSpec,
    bits: BitsSpec,
    start: keras.Model,
    images: np.ndarray,
    quantizer: str = UNIFORM,
    factors_of: Factors | None = None,
) -> tuple[keras.Model, Ranges]:
    """Makes the start of quantization-aware training.

    Args:
        spec: the topology.
        bits: width of every weight layer and activation quantizer.
        start: the trained float network; it is not changed.
        images: training samples; the first few thousand are used.
        quantizer: a name of `flow.quantizers.SYSTEMS`; only rounds the weights, as `start_activations` sets what
            it learns about activations.
        factors_of: gives the factor per filter; `fill_factors` if not given.

    Returns:
        A float network with rescaled filters and measured statistics, whose weights the
        quantized network starts from, and the step of every quantizer.
    """
    filled = spec.build_float()
    copy_weights(start, filled)
    fill_filters(filled, spec, factors_of or (lambda layer, rows: fill_factors(rows, bits.weights[layer.name])))
    layers = spec.weight_layers()
    weights = {}
    for layer in layers:
        kernel = filled.get_layer(layer.name).get_weights()[0]
        width = bits.weights[layer.name]
        filled_grid = layer.batchnorm is not None
        weights[layer.name] = fraction_exponent(width) if filled_grid else weight_exponent(kernel, width)

    rounded = spec.build_float()
    copy_weights(filled, rounded)
    for layer in layers:
        kernel, *rest = rounded.get_layer(layer.name).get_weights()
        width = bits.weights[layer.name]
        if find_system(quantizer).quantizes(layer):
            exact = N2UQWeights(width)(kernel).numpy()
        else:
            exact = quantize(kernel, width, weights[layer.name], signed=True)
        rounded.get_layer(layer.name).set_weights([exact, *rest])
    measure_statistics(rounded, images[:STATISTICS_IMAGES])
    for layer in layers:
        if layer.batchnorm is not None:
            statistics = rounded.get_layer(layer.batchnorm).get_weights()
            filled.get_layer(layer.batchnorm).set_weights(statistics)

    activations = activation_exponents(rounded, spec, bits, images[:CALIBRATION_IMAGES])
    biases = {}
    for layer in layers:
        if layer.batchnorm is None:
            limit = 2 * float(np.abs(filled.get_layer(layer.name).get_weights()[1]).max())
            biases[layer.name] = max(accumulator_exponent(layer, activations, weights), bias_exponent_for(limit))
    return filled, Ranges(activations=activations, weights=weights, biases=biases)


def activation_exponents(model: keras.Model, spec: ModelSpec, bits: BitsSpec, images: np.ndarray) -> dict[str, int]:
    """The step of each activation quantizer by least squares; one for both operands of an add.

    QKeras takes none so fine that a value of 1 is out of range.

    Args:
        model: a float network of the topology.
        spec: the topology.
        bits: widths.
        images: uint8 [images, height, width, channels], or real samples.

    Returns:
        Exponent by activation quantizer.
    """
    quantizers = spec.activation_layers()
    inputs = keras.Model(model.input, [model.get_layer(q.name).input for q in quantizers])
    values = inputs(as_numbers(images), training=False)
    parts = {}
    for quantizer, value in zip(quantizers, values, strict=True):
        value = value.numpy() if quantizer.signed else np.maximum(value.numpy(), 0)
        parts[quantizer.name] = (value, bits.activations[quantizer.name], quantizer.signed)

    def chosen(*names: str) -> int:
        shared = [parts[name] for name in names]
        return best_exponent(shared, finest=max(signed - width for _, width, signed in shared))

    found = {name: chosen(name) for name in parts}
    for _, left, right in spec.adds():
        found[left] = found[right] = chosen(left, right)
    return found


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies all weights between two networks of one topology, by layer name.

    What an activation of the target has learned stays where the source's has nothing to learn.
    """
    for layer in target.layers:
        other = source.get_layer(layer.name)
        values = other.get_weights() if layer.weights else []
        if values:
            units = weight_unit(other) / weight_unit(layer)
            layer.set_weights([values[0] * units, *values[1:]] if units != 1 else values)
