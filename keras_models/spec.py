"""What a network of the residual family looks like, without TensorFlow.

The names that a `ModelSpec` lists are a contract: training, folding, the bit-width files and the
reports all speak of `s2_conv1` and mean the same layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow.bits import BitsSpec
    from keras_models.ranges import Ranges


@dataclass(frozen=True)
class Stack:
    """One residual stack: two 3x3 convolutions and a shortcut.

    Attributes:
        name: prefix of its layers, ``"s1"``.
        filters: output channels of both convolutions.
        stride: of the first convolution; other than 1 puts a 1x1 convolution on the shortcut.
    """

    name: str
    filters: int
    stride: int = 1

    @property
    def projects(self) -> bool:
        """Whether the shortcut is a strided 1x1 convolution and not the identity."""
        return self.stride != 1


@dataclass(frozen=True)
class WeightLayer:
    """A layer with weights.

    Attributes:
        name: of the layer.
        kind: ``"conv"`` or ``"dense"``.
        kernel: side of the window, 1 for a dense layer.
        stride: of the window.
        in_channels, out_channels: of the weights.
        out_size: side of the output image, 1 for a dense layer.
        source: the activation quantizer it reads, ``"input"`` for the pixels.
        batchnorm: the batch normalization behind it; a layer without one has a bias.
        default_bits: weight width in a uniform network, None where the uniform width holds.
    """

    name: str
    kind: str
    kernel: int
    stride: int
    in_channels: int
    out_channels: int
    out_size: int
    source: str
    batchnorm: str | None
    default_bits: int | None = None

    @property
    def weights(self) -> int:
        """Number of weights, without bias."""
        return self.kernel**2 * self.in_channels * self.out_channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weights * self.out_size**2


@dataclass(frozen=True)
class ActivationLayer:
    """An activation quantizer.

    Attributes:
        name: of the layer.
        signed: True for a residual branch before its add, False for a rectifier.
        shape: height, width, channels.
        default_bits: width in a uniform network, None where the uniform width holds.
    """

    name: str
    signed: bool
    shape: tuple[int, int, int]
    default_bits: int | None = None


@dataclass(frozen=True)
class ModelSpec:
    """A network of the family: first convolution, residual stacks, average pooling, dense.

    Attributes:
        name: as users write it.
        description: one line.
        image_size: side of the square input image.
        channels: of the input image.
        stem_filters: output channels of the first convolution.
        stacks: the residual stacks; only the first may have an identity shortcut, because an
            identity shortcut reads the 8-bit operand behind the first convolution.
        classes: number of outputs.
        residual_bits: width of the operands of every add in a uniform network.
        edge_bits: weight width of the first convolution and the last layer in a uniform network.
    """

    name: str
    description: str
    image_size: int
    channels: int
    stem_filters: int
    stacks: tuple[Stack, ...]
    classes: int = 10
    residual_bits: int = 8
    edge_bits: int = 8

    def __post_init__(self) -> None:
        channels = self.stem_filters
        for position, stack in enumerate(self.stacks):
            if not stack.projects and (position > 0 or stack.filters != channels):
                raise ValueError(f"{self.name}: the identity shortcut of {stack.name} has no operand")
            channels = stack.filters

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the raw uint8 image."""
        return (self.image_size, self.image_size, self.channels)

    def weight_layers(self) -> tuple[WeightLayer, ...]:
        """Every layer with weights, in the order of computation."""
        size, channels, source = self.image_size, self.stem_filters, "s1_in"
        found = [
            WeightLayer(
                "conv1", "conv", 3, 1, self.channels, channels, size, "input", "conv1_bn",
                self.edge_bits,
            )
        ]  # fmt: skip
        for stack in self.stacks:
            name, filters, stride = stack.name, stack.filters, stack.stride
            size_out = -(-size // stride)
            found += [
                WeightLayer(
                    f"{name}_conv1", "conv", 3, stride, channels, filters, size_out, source,
                    f"{name}_bn1",
                ),
                WeightLayer(
                    f"{name}_conv2", "conv", 3, 1, filters, filters, size_out,
                    f"{name}_relu1", f"{name}_bn2",
                ),
            ]  # fmt: skip
            if stack.projects:
                found.append(WeightLayer(f"{name}_skip", "conv", 1, stride, channels, filters, size_out, source, None))
            size, channels, source = size_out, filters, f"{name}_out"
        found.append(WeightLayer("dense", "dense", 1, 1, channels, self.classes, 1, source, None, self.edge_bits))
        return tuple(found)

    def activation_layers(self) -> tuple[ActivationLayer, ...]:
        """Every activation quantizer, in the order of computation."""
        size = self.image_size
        shape = (size, size, self.stem_filters)
        found = [
            ActivationLayer("conv1_relu", False, shape, self.residual_bits),
            ActivationLayer("s1_in", False, shape),
        ]
        for stack in self.stacks:
            size = -(-size // stack.stride)
            shape = (size, size, stack.filters)
            found.append(ActivationLayer(f"{stack.name}_relu1", False, shape))
            found.append(ActivationLayer(f"{stack.name}_res", True, shape, self.residual_bits))
            if stack.projects:
                found.append(ActivationLayer(f"{stack.name}_skip_res", True, shape, self.residual_bits))
            found.append(ActivationLayer(f"{stack.name}_out", False, shape))
        return tuple(found)

    def adds(self) -> tuple[tuple[str, str, str], ...]:
        """Every add as (its name, shortcut operand, branch operand); both share one step."""
        return tuple(
            (
                f"{s.name}_add",
                f"{s.name}_skip_res" if s.projects else "conv1_relu",
                f"{s.name}_res",
            )
            for s in self.stacks
        )

    @property
    def pool_size(self) -> int:
        """Side of the last feature map, all of which the average pooling takes."""
        return self.activation_layers()[-1].shape[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.weight_layers())

    @property
    def weights(self) -> int:
        """Number of weights, without biases and batch normalization."""
        return sum(layer.weights for layer in self.weight_layers())

    def build_float(self):
        """The float network: a `tf_keras` model from pixel / 256 to logits."""
        from keras_models.resnet import build_float

        return build_float(self)

    def build_quantized(self, bits: BitsSpec, ranges: Ranges | None = None, quantizer: str = "uniform"):
        """The quantized network: a `tf_keras` model from pixel / 256 to logits.

        Args:
            bits: width of every weight layer and activation quantizer.
            ranges: the power-of-two step of each; `Ranges.default` where it is not given.
            quantizer: a name of `flow.quantizers.SYSTEMS`.
        """
        from keras_models.resnet import build_quantized

        return build_quantized(self, bits, ranges, quantizer)
