"""Builders of a description's networks, float and quantized.

Both networks take real samples (float32, NHWC; pixels are pixel / 256) and return logits or a
reconstruction; the layers that carry weights have the same names in both, so that weights move
from one to the other by name.
"""

from __future__ import annotations

from typing import Protocol

from flow.bits import BitsSpec
from flow.keras_env import keras, qkeras
from flow.quantizers import UNIFORM, System, check_widths, find_system
from keras_models.ranges import BIAS_BITS, Ranges
from keras_models.spec import ModelSpec, Node, WeightLayer

BATCHNORM_MOMENTUM = 0.99


class LayerMaker(Protocol):
    """Makes the layers in which the float and the quantized network differ."""

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        """A convolution or dense layer; with a bias where no batch normalization follows."""

    def activation(self, name: str) -> keras.layers.Layer:
        """A rectifier."""

    def residual(self, name: str) -> keras.layers.Layer:
        """A signed quantizer: on real inputs, and on a branch before its add."""

    def batchnorm(self, name: str) -> keras.layers.Layer:
        """A batch normalization, with `BATCHNORM_MOMENTUM`."""


class PlainNormalization:
    """Keras' batch normalization, for makers of layers."""

    def batchnorm(self, name: str) -> keras.layers.Layer:
        return keras.layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM, name=name)


class FloatLayers(PlainNormalization):
    """Plain Keras layers."""

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        bias = layer.batchnorm is None
        if layer.kind == "dense":
            return keras.layers.Dense(layer.out_channels, use_bias=bias, name=layer.name, dtype="float32")
        if layer.kind == "depthwise":
            return keras.layers.DepthwiseConv2D(
                layer.kernel, use_bias=bias, depthwise_initializer="he_normal", **window(layer)
            )
        return keras.layers.Conv2D(
            layer.out_channels, layer.kernel, use_bias=bias, kernel_initializer="he_normal", **window(layer)
        )

    def activation(self, name: str) -> keras.layers.Layer:
        return keras.layers.ReLU(name=name)

    def residual(self, name: str) -> keras.layers.Layer:
        return keras.layers.Activation("linear", name=name)


class QuantizedLayers(PlainNormalization):
    """QKeras layers at given widths and power-of-two steps, `alpha=1` everywhere."""

    def __init__(self, bits: BitsSpec, ranges: Ranges) -> None:
        self._bits = bits
        self._ranges = ranges

    def weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        kernel = weight_quantizer(self._bits.weights[layer.name], self._ranges.weights[layer.name])
        bias = None
        if layer.batchnorm is None:
            bias = weight_quantizer(BIAS_BITS, self._ranges.biases[layer.name])
        shared = {"use_bias": bias is not None, "bias_quantizer": bias}
        if layer.kind == "dense":
            return qkeras.QDense(layer.out_channels, kernel_quantizer=kernel, name=layer.name, **shared)
        if layer.kind == "depthwise":
            return qkeras.QDepthwiseConv2D(
                layer.kernel, depthwise_quantizer=kernel, depthwise_initializer="he_normal", **shared, **window(layer)
            )
        return qkeras.QConv2D(
            layer.out_channels,
            layer.kernel,
            kernel_quantizer=kernel,
            kernel_initializer="he_normal",
            **shared,
            **window(layer),
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
        shared = {"use_bias": layer.batchnorm is None, "bias_quantizer": None}
        if layer.kind == "dense":
            return qkeras.QDense(layer.out_channels, kernel_quantizer=kernel, name=layer.name, **shared)
        return qkeras.QConv2D(
            layer.out_channels,
            layer.kernel,
            kernel_quantizer=kernel,
            kernel_initializer="he_normal",
            **shared,
            **window(layer),
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
        self._fixed = {spec.weight_layers()[-1].source}

    def kernel(self, layer: WeightLayer):
        """The weight quantizer of a layer, None where it is uniform."""
        from flow.quantizers.n2uq import N2UQWeights

        chosen = self._system.quantizes(layer)
        return N2UQWeights(self._bits.weights[layer.name]) if chosen else None

    def activation(self, name: str) -> keras.layers.Layer | None:
        """The layer of an activation, None where it is uniform."""
        from flow.quantizers.n2uq import N2UQActivation

        if not (self._system.thresholds and name in self._open):
            return None
        exponent = self._ranges.activations[name] if name in self._fixed else None
        return N2UQActivation(self._bits.activations[name], exponent, name=name, dtype="float32")


def window(layer: WeightLayer) -> dict:
    """What all convolutions are told of their window, and their name.

    Strided depthwise ones are always in float32: their gradient takes ten times as long in bfloat16.
    """
    strided_depthwise = layer.kind == "depthwise" and layer.stride != 1
    plain = {"strides": layer.stride, "padding": layer.padding, "name": layer.name}
    return plain | ({"dtype": "float32"} if strided_depthwise else {})


def weight_quantizer(bits: int, exponent: int):
    """A weight quantizer with step 2**exponent; of 1 bit, weights are -1 and +1 steps.

    QKeras has no grid that ends below 1. Weights on such a grid are kept in units of where it ends, `alpha`, see
    `weight_unit`.
    """
    if bits == 1:
        return qkeras.binary(alpha=1 if exponent == 0 else 2.0**exponent)
    integer = exponent + bits - 1
    alpha = 1 if integer >= 0 else 2.0**integer
    return qkeras.quantized_bits(bits, max(integer, 0), keep_negative=1, alpha=alpha)


def weight_unit(layer: keras.layers.Layer) -> float:
    """What the latent weights of a layer are to be multiplied with; not 1 where its quantizer has a constant scale."""
    names = ("kernel_quantizer_internal", "depthwise_quantizer_internal")
    alphas = (getattr(getattr(layer, name, None), "alpha", None) for name in names)
    return next((float(alpha) for alpha in alphas if isinstance(alpha, int | float)), 1.0)


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
    tensors = {}
    for node in spec.nodes:
        if node.kind == "input":
            tensors[node.name] = keras.layers.Input(node.shape, name=node.name)
            continue
        inputs = [tensors[name] for name in node.inputs]
        tensors[node.name] = _layer(node, make)(inputs[0] if len(inputs) == 1 else inputs)
    return keras.Model(tensors[spec.nodes[0].name], tensors[spec.nodes[-1].name], name=name)


def _layer(node: Node, make: LayerMaker) -> keras.layers.Layer:
    if node.kind == "weights":
        return make.weighted(node.layer)
    if node.kind == "batchnorm":
        return make.batchnorm(node.name)
    if node.kind == "activation":
        return (make.residual if node.layer.signed else make.activation)(node.name)
    layers = {
        "add": lambda: keras.layers.Add(name=node.name),
        "max_pool": lambda: keras.layers.MaxPooling2D(node.size, name=node.name),
        "average_pool": lambda: keras.layers.AveragePooling2D(node.size, name=node.name),
        "flatten": lambda: keras.layers.Flatten(name=node.name),
    }
    return layers[node.kind]()
