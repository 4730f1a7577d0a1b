"""Quantizers whose width is a real number, learned with the weights.

Between two whole widths the value is interpolated, ``q_b = (ceil b - b) q_floor(b) + (b - floor b) q_ceil(b)``, so that
the gradient of the width is the sum over elements of ``dL/dq (q_ceil - q_floor)``; at a whole width it is the ordinary
quantizer. The formula is ours: that of differentiable fine-grained quantization (Cheng et al., arXiv 1810.10351) is not
published in detail.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.keras_env import keras, tf
from flow.training.calibrate import quantize
from flow.training.fast import build_weighted, relu_quantizer, signed_quantizer
from keras_models.build import build_with
from keras_models.ranges import BIAS_BITS, Ranges
from keras_models.spec import ModelSpec, WeightLayer


@cache
def gaussian_steps() -> np.ndarray:
    """float32 (8,): by width minus 1, the step of a two's complement grid that rounds Gaussian values of variance 1
    with the least squared error; for 1 bit the size of -1 and +1.
    """
    values = np.random.default_rng(0).standard_normal(20_000)
    steps = [float(np.abs(values).mean())]
    for bits in range(2, MAX_BITS + 1):
        tried = np.geomspace(2.0 ** (1 - bits), 6.0 * 2.0 ** (1 - bits), 200)
        errors = [float(np.mean((quantize(values / step, bits, 0, True) * step - values) ** 2)) for step in tried]
        steps.append(tried[int(np.argmin(errors))])
    return np.array(steps, np.float32)


def weights_at(kernel: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Filters on the grid of a whole width, each with a step of its own, as the start of training would fill them.

    Args:
        kernel: float32 [weights, filters].
        bits: int32 scalar, 1 to 8.
    """
    size = tf.sqrt(tf.reduce_mean(tf.square(kernel), axis=0) + 1e-12)
    step = size * tf.gather(gaussian_steps(), bits - 1)
    top = tf.pow(2.0, tf.cast(bits - 1, tf.float32))
    many = tf.clip_by_value(tf.round(kernel / step), -top, top - 1) * step
    return tf.where(bits == 1, tf.where(kernel < 0, -step, step), many)


def rectified_at(steps: np.ndarray) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """An unsigned activation at a whole width, with a step chosen for each width.

    Args:
        steps: float32 (8,), by width minus 1.
    """

    def quantize_at(x: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
        step, top = tf.gather(steps, bits - 1), tf.pow(2.0, tf.cast(bits, tf.float32)) - 1
        return tf.clip_by_value(tf.round(x / step), 0.0, top) * step

    return quantize_at


def relaxed(quantize_at: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], rectifies: bool = False):
    """The interpolated quantizer of one that takes whole widths.

    Args:
        quantize_at: values and an int32 width, to quantized values.
        rectifies: the gradient passes only values between 0 and what the wider of the two quantizers gives at most.

    Returns:
        A function of values and a float32 scalar width. Gradient of the values: passed through; of the width: as in
        this module's description.
    """

    @tf.custom_gradient
    def quantizer(x, width):
        clipped = tf.clip_by_value(width, float(MIN_BITS), float(MAX_BITS))
        floor = tf.minimum(tf.floor(clipped), MAX_BITS - 1.0)  # the top width is the upper end of the last interval
        share, narrow = clipped - floor, tf.cast(floor, tf.int32)
        low, high = quantize_at(x, narrow), quantize_at(x, narrow + 1)

        def gradient(upstream):
            passed = upstream
            if rectifies:
                passed = upstream * tf.cast(tf.logical_and(x > 0, x <= tf.reduce_max(high)), upstream.dtype)
            return passed, tf.reduce_sum(upstream * (high - low))

        return (1 - share) * low + share * high, gradient  # either end exactly

    return quantizer


class Widths:
    """The learned widths of a network: one trainable variable for each searched layer.

    Attributes:
        weights, activations: variables by layer; only those that are searched.
    """

    def __init__(self, weights: dict[str, float], activations: dict[str, float]) -> None:
        self.weights = {name: _variable(f"{name}_weight_bits", value) for name, value in weights.items()}
        self.activations = {name: _variable(f"{name}_bits", value) for name, value in activations.items()}

    def values(self) -> dict[str, dict[str, float]]:
        """The widths as plain numbers, under ``"weights"`` and ``"activations"``."""
        return {
            kind: {name: float(variable.numpy()) for name, variable in getattr(self, kind).items()}
            for kind in ("weights", "activations")
        }

    @property
    def variables(self) -> list[tf.Variable]:
        """All of them, in a fixed order."""
        return [*self.weights.values(), *self.activations.values()]


def _variable(name: str, value: float) -> tf.Variable:
    return tf.Variable(
        value, name=name, dtype=tf.float32, constraint=lambda b: tf.clip_by_value(b, float(MIN_BITS), float(MAX_BITS))
    )


def build_relaxed(spec: ModelSpec, bits: BitsSpec, ranges: Ranges, widths: Widths, steps: dict[str, np.ndarray]):
    """The network with learned widths; the names of its layers are those of the float network.

    Args:
        bits, ranges: of what is not searched, and of biases.
        widths: of what is searched.
        steps: of each searched activation, float32 (8,) by width minus 1.
    """
    return build_with(spec, _RelaxedLayers(bits, ranges, widths, steps), f"{spec.name}_relaxed")


class _RelaxedLayers:
    """Makes the layers; see `keras_models.build.LayerMaker`."""

    def __init__(self, bits: BitsSpec, ranges: Ranges, widths: Widths, steps: dict[str, np.ndarray]) -> None:
        self._bits, self._ranges, self._widths, self._steps = bits, ranges, widths, steps

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        bias = None
        if layer.batchnorm is None:
            bias = signed_quantizer(BIAS_BITS, self._ranges.biases[layer.name])
        width = self._widths.weights.get(layer.name)
        if width is None:
            kernel = signed_quantizer(self._bits.weights[layer.name], self._ranges.weights[layer.name])
            return build_weighted(layer, kernel, bias)
        quantizer = relaxed(weights_at)

        def filters(kernel: tf.Tensor) -> tf.Tensor:  # those of a depthwise convolution are in the last two axes
            rows = quantizer(tf.reshape(kernel, (-1, layer.out_channels)), tf.convert_to_tensor(width))
            return tf.reshape(rows, kernel.shape)

        return build_weighted(layer, filters, bias)

    def activation(self, name: str) -> keras.layers.Layer:
        width = self._widths.activations.get(name)
        if width is None:
            quantizer = relu_quantizer(self._bits.activations[name], self._ranges.activations[name])
            return keras.layers.Lambda(quantizer, name=name)
        quantizer = relaxed(rectified_at(self._steps[name]), rectifies=True)
        return _Activation(lambda x: quantizer(x, tf.convert_to_tensor(width)), name=name)

    def residual(self, name: str) -> keras.layers.Layer:
        quantizer = signed_quantizer(self._bits.activations[name], self._ranges.activations[name])
        return keras.layers.Lambda(quantizer, name=name)


class _Activation(keras.layers.Layer):
    """A quantizer whose width belongs to `Widths`: a Lambda would object to a variable that is not its own."""

    def __init__(self, quantizer: Callable[[tf.Tensor], tf.Tensor], **kwargs) -> None:
        super().__init__(**kwargs)
        self._quantizer = quantizer

    def call(self, x):
        return self._quantizer(x)
