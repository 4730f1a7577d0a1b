"""Builders of the residual family, float and quantized, from one description.

Both networks take pixel / 256 (float32, NHWC) and return logits; the layers that carry weights
have the same names in both, so that weights move from one to the other by name. The topology is
that of MLPerf Tiny's ResNet-8 (github.com/mlcommons/tiny, image classification).
"""

from __future__ import annotations

from typing import Protocol

from flow.bits import BitsSpec
from flow.keras_env import keras, qkeras
from flow.quantizers import UNIFORM, System, check_widths, find_system
from keras_models.ranges import BIAS_BITS, Ranges
from keras_models.spec import ModelSpec, Stack, WeightLayer

BATCHNORM_MOMENTUM = 0.99


class LayerMaker(Protocol):
    """Makes the layers in which the float and the quantized network differ."""

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        """A convolution or dense layer; with a bias where no batch normalization follows."""

    def activation(self, name: str) -> keras.layers.Layer:
        """A rectifier."""

    def residual(self, name: str) -> keras.layers.Layer:
        """What stands on a signed branch before its add."""


class FloatLayers:
    """Plain Keras layers."""

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        if layer.kind == "dense":
            return keras.layers.Dense(layer.out_channels, name=layer.name, dtype="float32")
        return keras.layers.Conv2D(
            layer.out_channels,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            use_bias=layer.batchnorm is None,
            kernel_initializer="he_normal",
            name=layer.name,
        )

    def activation(self, name: str) -> keras.layers.Layer:
        return keras.layers.ReLU(name=name)

    def residual(self, name: str) -> keras.layers.Layer:
        return keras.layers.Activation("linear", name=name)


class QuantizedLayers:
    """QKeras layers at given widths and power-of-two steps, `alpha=1` everywhere."""

    def __init__(self, bits: BitsSpec, ranges: Ranges) -> None:
        self._bits = bits
        self._ranges = ranges

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        kernel = weight_quantizer(self._bits.weights[layer.name], self._ranges.weights[layer.name])
        bias = None
        if layer.batchnorm is None:
            bias = weight_quantizer(BIAS_BITS, self._ranges.biases[layer.name])
        if layer.kind == "dense":
            return qkeras.QDense(layer.out_channels, kernel_quantizer=kernel, bias_quantizer=bias, name=layer.name)
        return qkeras.QConv2D(
            layer.out_channels,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            use_bias=bias is not None,
            kernel_quantizer=kernel,
            bias_quantizer=bias,
            kernel_initializer="he_normal",
            name=layer.name,
        )

    def activation(self, name: str) -> keras.layers.Layer:
        bits = self._bits.activations[name]
        integer = _integer_bits(name, self._ranges.activations[name] + bits)
        return qkeras.QActivation(qkeras.quantized_relu(bits, integer), name=name)

    def residual(self, name: str) -> keras.layers.Layer:
        bits = self._bits.activations[name]
        integer = _integer_bits(name, self._ranges.activations[name] + bits - 1)
        return qkeras.QActivation(qkeras.quantized_bits(bits, integer, keep_negative=1, alpha=1), name=name)


class NonuniformLayers(QuantizedLayers):
    """The same with N2UQ (Liu et al., arXiv 2111.14826) in the layers whose width the model leaves open."""

    def __init__(self, spec: ModelSpec, bits: BitsSpec, ranges: Ranges, system: System) -> None:
        super().__init__(bits, ranges)
        self._parts = NonuniformParts(spec, bits, ranges, system)

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        kernel = self._parts.kernel(layer)
        if kernel is None:
            return super().weighted(layer)
        return qkeras.QConv2D(
            layer.out_channels,
            layer.kernel,
            strides=layer.stride,
            padding="same",
            use_bias=layer.batchnorm is None,
            kernel_quantizer=kernel,
            bias_quantizer=None,
            kernel_initializer="he_normal",
            name=layer.name,
        )

    def activation(self, name: str) -> keras.layers.Layer:
        return self._parts.activation(name) or super().activation(name)


class NonuniformParts:
    """Which layers of a network N2UQ quantizes, and with what.

    Args:
        spec: the topology.
        bits: widths.
        ranges: of the layers that stay uniform.
        system: which parts it quantizes.
    """

    def __init__(self, spec: ModelSpec, bits: BitsSpec, ranges: Ranges, system: System) -> None:
        self._bits, self._ranges, self._system = bits, ranges, system
        self._open = {layer.name for layer in spec.activation_layers() if layer.default_bits is None}
        # the last layer has no quantizer behind it that could take in a real step
        self._fixed = {layer.source for layer in spec.weight_layers() if layer.kind == "dense"}

    def kernel(self, layer: WeightLayer):
        """The weight quantizer of a layer, None where it is uniform."""
        from flow.quantizers.n2uq import N2UQWeights

        chosen = self._system.weights and layer.default_bits is None
        return N2UQWeights(self._bits.weights[layer.name]) if chosen else None

    def activation(self, name: str) -> keras.layers.Layer | None:
        """The layer of an activation, None where it is uniform."""
        from flow.quantizers.n2uq import N2UQActivation

        if not (self._system.thresholds and name in self._open):
            return None
        exponent = self._ranges.activations[name] if name in self._fixed else None
        return N2UQActivation(self._bits.activations[name], exponent, name=name, dtype="float32")


def weight_quantizer(bits: int, exponent: int):
    """A weight quantizer with step 2**exponent; 1 bit is {-1, +1} and takes exponent 0 only."""
    if bits == 1:
        if exponent != 0:
            raise ValueError("1-bit weights are -1 and +1: their exponent is 0")
        return qkeras.binary(alpha=1)
    integer = _integer_bits("weights", exponent + bits - 1)
    return qkeras.quantized_bits(bits, integer, keep_negative=1, alpha=1)


def _integer_bits(name: str, integer: int) -> int:
    """QKeras computes 2**integer in integers and fails where that is a fraction."""
    if integer < 0:
        raise ValueError(f"{name}: a quantizer of QKeras cannot end below 1: integer={integer}")
    return integer


def build_float(spec: ModelSpec) -> keras.Model:
    """The float network of a description."""
    return build_with(spec, FloatLayers(), f"{spec.name}_float")


def build_quantized(
    spec: ModelSpec, bits: BitsSpec, ranges: Ranges | None = None, quantizer: str = UNIFORM
) -> keras.Model:
    """The quantized network of a description at given widths.

    Args:
        spec: the topology.
        bits: width of every weight layer and activation quantizer.
        ranges: the step of each quantizer; `Ranges.default` where it is not given.
        quantizer: a name of `flow.quantizers.SYSTEMS`.

    Raises:
        FlowError: the widths do not fit the model or the quantizer.
    """
    system = find_system(quantizer)
    check_widths(spec, bits, system)
    ranges = ranges or Ranges.default(spec, bits)
    make = QuantizedLayers(bits, ranges) if system.uniform else NonuniformLayers(spec, bits, ranges, system)
    return build_with(spec, make, spec.name)


def build_with(spec: ModelSpec, make: LayerMaker, name: str) -> keras.Model:
    """The network of a description from the layers that `make` makes."""
    layers = {layer.name: layer for layer in spec.weight_layers()}
    inputs = keras.layers.Input(spec.input_shape, name="input")
    x = _conv_batchnorm(inputs, layers["conv1"], make)
    shortcut = make.activation("conv1_relu")(x)
    x = make.activation("s1_in")(shortcut)
    for stack in spec.stacks:
        x = _residual_block(x, shortcut, stack, layers, make)
    x = keras.layers.AveragePooling2D(spec.pool_size, name="pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, make.weighted(layers["dense"])(x), name=name)


def _residual_block(x, identity, stack: Stack, layers: dict[str, WeightLayer], make: LayerMaker):
    """Two convolutions and a shortcut, added and rectified.

    Args:
        x: input of the convolutions (and of the 1x1 convolution on the shortcut).
        identity: operand of the add where the shortcut has no convolution.
    """
    name = stack.name
    y = _conv_batchnorm(x, layers[f"{name}_conv1"], make)
    y = make.activation(f"{name}_relu1")(y)
    y = _conv_batchnorm(y, layers[f"{name}_conv2"], make)
    y = make.residual(f"{name}_res")(y)
    if stack.projects:
        identity = make.weighted(layers[f"{name}_skip"])(x)
        identity = make.residual(f"{name}_skip_res")(identity)
    total = keras.layers.Add(name=f"{name}_add")([identity, y])
    return make.activation(f"{name}_out")(total)


def _conv_batchnorm(x, layer: WeightLayer, make: LayerMaker):
    x = make.weighted(layer)(x)
    return keras.layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM, name=layer.batchnorm)(x)
