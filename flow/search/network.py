"""The network whose widths are learned, and these widths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.keras_env import keras, tf
from flow.search.relaxed import relaxed_activations, relaxed_weights
from flow.training.fast import FastNormalization, build_weighted, relu_quantizer, signed_quantizer
from keras_models.build import build_with
from keras_models.ranges import BIAS_BITS, Ranges
from keras_models.spec import ModelSpec, WeightLayer


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

    def text(self, digits: int = 1) -> str:
        """For people, in the order of the layers."""
        return ", ".join(
            f"{kind} " + " ".join(f"{width:.{digits}f}" for width in named.values())
            for kind, named in self.values().items()
            if named
        )

    def assign(self, bits: BitsSpec) -> None:
        """Sets all to whole widths."""
        for kind in ("weights", "activations"):
            for name, variable in getattr(self, kind).items():
                variable.assign(getattr(bits, kind)[name])

    @property
    def variables(self) -> list[tf.Variable]:
        """All of them, in a fixed order."""
        return [*self.weights.values(), *self.activations.values()]


def _variable(name: str, value: float) -> tf.Variable:
    return tf.Variable(
        value, name=name, dtype=tf.float32, constraint=lambda b: tf.clip_by_value(b, float(MIN_BITS), float(MAX_BITS))
    )


def build_relaxed(
    spec: ModelSpec, bits: BitsSpec, ranges: Ranges, widths: Widths, steps: dict[str, np.ndarray],
    exponents: dict[str, np.ndarray],
) -> keras.Model:  # fmt: skip
    """The network with learned widths; the names of its layers are those of the float network.

    Args:
        bits, ranges: of what is not searched, and of biases.
        widths: of what is searched.
        steps: of each searched activation, float32 (8,) by width minus 1.
        exponents: of the step of weights without a batch normalization, int (8,) by width minus 1.
    """
    return build_with(spec, _RelaxedLayers(bits, ranges, widths, steps, exponents), f"{spec.name}_relaxed")


class _RelaxedLayers(FastNormalization):
    """Makes the layers; see `keras_models.build.LayerMaker`."""

    def __init__(
        self, bits: BitsSpec, ranges: Ranges, widths: Widths, steps: dict[str, np.ndarray],
        exponents: dict[str, np.ndarray],
    ) -> None:  # fmt: skip
        self._bits, self._ranges, self._widths, self._steps = bits, ranges, widths, steps
        self._exponents = exponents

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        bias = None
        if layer.batchnorm is None:
            bias = signed_quantizer(BIAS_BITS, self._ranges.biases[layer.name])
        width = self._widths.weights.get(layer.name)
        if width is None:
            kernel = signed_quantizer(self._bits.weights[layer.name], self._ranges.weights[layer.name])
            return build_weighted(layer, kernel, bias)
        quantizer = relaxed_weights(None if layer.batchnorm else self._exponents[layer.name])

        def filters(kernel: tf.Tensor) -> tf.Tensor:  # those of a depthwise convolution are in the last two axes
            rows = quantizer(tf.reshape(kernel, (-1, layer.out_channels)), tf.convert_to_tensor(width))
            return tf.reshape(rows, kernel.shape)

        return build_weighted(layer, filters, bias)

    def activation(self, name: str) -> keras.layers.Layer:
        width = self._widths.activations.get(name)
        if width is None:
            quantizer = relu_quantizer(self._bits.activations[name], self._ranges.activations[name])
            return keras.layers.Lambda(quantizer, name=name)
        quantizer = relaxed_activations(self._steps[name])
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
