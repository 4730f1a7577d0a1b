"""What a network looks like, without TensorFlow.

The names that a `ModelSpec` lists are a contract: training, folding, the bit-width files and the
reports all speak of `s2_conv1` and mean the same layer. A spec is written with
`keras_models.topology.Topology`, one file for each topology.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flow.bits import BitsSpec
    from keras_models.ranges import Ranges

INPUT = "input"
"""The name of the node that every network begins with."""


@dataclass(frozen=True)
class WeightLayer:
    """A layer with weights.

    Attributes:
        name: of the layer.
        kind: ``"conv"``, ``"depthwise"`` (a convolution of each channel alone) or ``"dense"``.
        kernel: height and width of the window, 1, 1 for a dense layer.
        stride: of the window, both ways.
        padding: ``"same"`` or ``"valid"``.
        in_channels, out_channels: of the weights.
        out_size: height and width of the output image, 1, 1 for a dense layer.
        source: the activation quantizer it reads, ``"input"`` for pixels.
        batchnorm: the batch normalization behind it; a layer without one has a bias.
        default_bits: weight width in a uniform network, None where the uniform width holds.
        averaged: how many values of `source` an average pooling in between takes, 1 for none.
    """

    name: str
    kind: Literal["conv", "depthwise", "dense"]
    kernel: tuple[int, int]
    stride: int
    padding: Literal["same", "valid"]
    in_channels: int
    out_channels: int
    out_size: tuple[int, int]
    source: str
    batchnorm: str | None
    default_bits: int | None = None
    averaged: int = 1

    @property
    def weights(self) -> int:
        """Number of weights, without bias."""
        inputs = 1 if self.kind == "depthwise" else self.in_channels
        return prod(self.kernel) * inputs * self.out_channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return self.weights * prod(self.out_size)


@dataclass(frozen=True)
class ActivationLayer:
    """An activation quantizer.

    Attributes:
        name: of the layer.
        signed: True for real inputs and for a residual branch before its add, False for a rectifier.
        shape: height, width, channels; or channels.
        default_bits: width in a uniform network, None where the uniform width holds.
    """

    name: str
    signed: bool
    shape: tuple[int, ...]
    default_bits: int | None = None


@dataclass(frozen=True)
class Node:
    """One layer of a network, whatever its kind.

    Attributes:
        name: of the layer.
        kind: ``"input"``, ``"weights"``, ``"batchnorm"``, ``"activation"``, ``"add"``, ``"max_pool"``,
            ``"average_pool"`` or ``"flatten"``.
        inputs: names of the nodes that it reads.
        shape: of its output.
        layer: of a node with weights or of an activation.
        size: height and width of a pool's window, which steps by its own size.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    layer: WeightLayer | ActivationLayer | None = None
    size: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class ModelSpec:
    """A network: what training, bit-width files, folding and reports need to know of it.

    Attributes:
        name: as users write it.
        description: one line.
        nodes: every layer in the order of computation, the input first, the output last.
        task: ``"classification"`` or ``"reconstruction"``, see `flow.tasks`.
    """

    name: str
    description: str
    nodes: tuple[Node, ...]
    task: str = "classification"

    @property
    def identifier(self) -> str:
        """The name as RTL and C++ can have it."""
        return re.sub(r"\W", "_", self.name)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one raw sample: height, width, channels; or features."""
        return self.nodes[0].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the result for one sample: classes, or the input's own shape."""
        return self.nodes[-1].shape

    def weight_layers(self) -> tuple[WeightLayer, ...]:
        """Every layer with weights, in the order of computation."""
        return tuple(node.layer for node in self.nodes if isinstance(node.layer, WeightLayer))

    def activation_layers(self) -> tuple[ActivationLayer, ...]:
        """Every activation quantizer, in the order of computation."""
        return tuple(node.layer for node in self.nodes if isinstance(node.layer, ActivationLayer))

    def adds(self) -> tuple[tuple[str, str, str], ...]:
        """Every add as (its name, left operand, right operand); both share one step."""
        return tuple((node.name, *node.inputs) for node in self.nodes if node.kind == "add")

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return sum(layer.macs for layer in self.weight_layers())

    @property
    def weights(self) -> int:
        """Number of weights, without biases and batch normalization."""
        return sum(layer.weights for layer in self.weight_layers())

    def build_float(self):
        """The float network: a `tf_keras` model from real samples (pixel / 256) to logits or a reconstruction."""
        from keras_models.build import build_float

        return build_float(self)

    def build_quantized(self, bits: BitsSpec, ranges: Ranges | None = None, quantizer: str = "uniform"):
        """The quantized network: a `tf_keras` model that takes and gives what the float network does.

        Args:
            bits: width of every weight layer and activation quantizer.
            ranges: the power-of-two step of each; `Ranges.default` where it is not given.
            quantizer: a name of `flow.quantizers.SYSTEMS`.
        """
        from keras_models.build import build_quantized

        return build_quantized(self, bits, ranges, quantizer)

    def build_runtime(self, widths: Sequence[int], ranges: Ranges | None = None, nesting: str = "floor"):
        """The network whose layers change width while it runs: a `flow.quantizers.runtime.RuntimeModel`.

        Args:
            widths: 2 to 4 different ones of 2 to 8 bits.
            ranges: the power-of-two steps of the layers of `keras_models.runtime.plan_runtime`; defaults if not given.
            nesting: how lower widths follow from the stored weights: floor, centre or round.
        """
        from keras_models.build_runtime import build_runtime
        from keras_models.runtime import plan_runtime

        return build_runtime(plan_runtime(self, widths), ranges, nesting)
