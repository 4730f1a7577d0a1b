"""The networks again, with layers that train fast.

QKeras' quantizers are a dozen TensorFlow operations each. These compute the same values and the
same straight-through gradients in one pass, in float32 or in bfloat16 (which holds every code of
up to 8 bits exactly). A network built here has the layer names and weights of the Keras or QKeras
network, so that weights move between the two; in float32 both return the same logits.
"""

from __future__ import annotations

from flow.bits import BitsSpec
from flow.keras_env import keras, tf
from flow.quantizers import UNIFORM, check_widths, find_system
from flow.quantizers.uniform import Quantizer, relu_quantizer, signed_quantizer
from flow.training.normalization import TrainableNormalization
from keras_models.build import BATCHNORM_MOMENTUM, FloatLayers, NonuniformParts, build_with, window
from keras_models.ranges import BIAS_BITS, Ranges
from keras_models.spec import ModelSpec, WeightLayer


def build_trainable_float(spec: ModelSpec) -> keras.Model:
    """The network that `keras_models.build.build_float` builds, for training."""
    return build_with(spec, _FloatLayers(), f"{spec.name}_float")


def build_trainable(spec: ModelSpec, bits: BitsSpec, ranges: Ranges, quantizer: str = UNIFORM) -> keras.Model:
    """The network that `build_quantized` builds, for training.

    Args:
        spec: the topology.
        bits: width of every weight layer and activation quantizer.
        ranges: the step of each.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
    """
    system = find_system(quantizer)
    check_widths(spec, bits, system)
    parts = None if system.uniform else NonuniformParts(spec, bits, ranges, system)
    return build_with(spec, _TrainableLayers(bits, ranges, parts), f"{spec.name}_trainable")


class FastNormalization:
    """Batch normalization, for makers of layers."""

    def batchnorm(self, name: str) -> keras.layers.Layer:
        return TrainableNormalization(momentum=BATCHNORM_MOMENTUM, name=name)


class _FloatLayers(FastNormalization, FloatLayers):
    """Plain Keras layers but for the normalization."""


class _TrainableLayers(FastNormalization):
    """Makes the layers; see `keras_models.build.LayerMaker`."""

    def __init__(self, bits: BitsSpec, ranges: Ranges, parts: NonuniformParts | None) -> None:
        self._bits = bits
        self._ranges = ranges
        self._parts = parts

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        kernel = None if self._parts is None else self._parts.kernel(layer)
        bias = None
        if kernel is not None:
            bias = tf.identity if layer.batchnorm is None else None
        else:
            kernel = signed_quantizer(self._bits.weights[layer.name], self._ranges.weights[layer.name])
        if bias is None and layer.batchnorm is None:
            bias = signed_quantizer(BIAS_BITS, self._ranges.biases[layer.name])
        return build_weighted(layer, kernel, bias)

    def activation(self, name: str) -> keras.layers.Layer:
        nonuniform = None if self._parts is None else self._parts.activation(name)
        if nonuniform is not None:
            return nonuniform
        quantize = relu_quantizer(self._bits.activations[name], self._ranges.activations[name])
        return keras.layers.Lambda(quantize, name=name)

    def residual(self, name: str) -> keras.layers.Layer:
        quantize = signed_quantizer(self._bits.activations[name], self._ranges.activations[name])
        return keras.layers.Lambda(quantize, name=name)


def build_weighted(layer: WeightLayer, kernel: Quantizer, bias: Quantizer | None) -> keras.layers.Layer:
    """A layer whose weights go through a quantizer; without a bias if that has none."""
    if layer.kind == "dense":
        return _Dense(kernel, bias, layer.out_channels, use_bias=bias is not None, name=layer.name, dtype="float32")
    if layer.kind == "depthwise":
        return _DepthwiseConv2D(kernel, bias, layer.kernel, use_bias=bias is not None, **window(layer))
    return _Conv2D(kernel, bias, layer.out_channels, layer.kernel, use_bias=bias is not None, **window(layer))


class _Conv2D(keras.layers.Conv2D):
    """A convolution with quantized weights; they are rounded in float32, then cast."""

    def __init__(self, kernel: Quantizer, bias: Quantizer | None, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._kernel, self._bias = kernel, bias

    def call(self, inputs):
        weights = self._kernel(tf.convert_to_tensor(_as_stored(self.kernel)))
        x = tf.nn.conv2d(inputs, tf.cast(weights, inputs.dtype), strides=self.strides, padding=self.padding.upper())
        if self.use_bias:
            bias = self._bias(tf.convert_to_tensor(_as_stored(self.bias)))
            x = tf.nn.bias_add(x, tf.cast(bias, inputs.dtype))
        return x


class _DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A convolution of each channel with quantized weights; they are rounded in float32, then cast."""

    def __init__(self, kernel: Quantizer, bias: Quantizer | None, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._kernel, self._bias = kernel, bias

    def call(self, inputs):
        weights = self._kernel(tf.convert_to_tensor(_as_stored(self.depthwise_kernel)))
        strides = (1, *self.strides, 1)
        x = tf.nn.depthwise_conv2d(inputs, tf.cast(weights, inputs.dtype), strides, self.padding.upper())
        if self.use_bias:
            bias = self._bias(tf.convert_to_tensor(_as_stored(self.bias)))
            x = tf.nn.bias_add(x, tf.cast(bias, inputs.dtype))
        return x


class _Dense(keras.layers.Dense):
    """A dense layer with quantized weights, always in float32."""

    def __init__(self, kernel: Quantizer, bias: Quantizer | None, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._kernel, self._bias = kernel, bias

    def call(self, inputs):
        weights = self._kernel(tf.convert_to_tensor(self.kernel))
        x = tf.matmul(inputs, weights)
        return x + self._bias(tf.convert_to_tensor(self.bias)) if self.use_bias else x


def _as_stored(variable):
    """The float32 variable behind Keras' automatic cast to the arithmetic's type."""
    return getattr(variable, "_variable", variable)
