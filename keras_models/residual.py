"""Residual networks: first convolution, residual stacks, average pooling, dense.

MLPerf Tiny's ResNet-8 for image classification (github.com/mlcommons/tiny) is one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from keras_models.spec import ModelSpec, Node
from keras_models.topology import EDGE_BITS, Topology


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


def residual(
    name: str, description: str, image_size: int, channels: int, stem_filters: int, stacks: tuple[Stack, ...],
    classes: int = 10,
) -> ModelSpec:  # fmt: skip
    """A residual network.

    Args:
        name: as users write it.
        description: one line.
        image_size: side of the square input image.
        channels: of the input image.
        stem_filters: output channels of the first convolution.
        stacks: the residual stacks; only the first may have an identity shortcut, because an
            identity shortcut reads the 8-bit operand behind the first convolution.
        classes: number of outputs.

    Raises:
        ValueError: an identity shortcut elsewhere.
    """
    net = Topology(name, description, (image_size, image_size, channels))
    x = net.conv(net.input, "conv1", stem_filters, 3, batchnorm="conv1_bn", bits=EDGE_BITS)
    shortcut: Node | None = net.relu(x, "conv1_relu", EDGE_BITS)
    x = net.relu(shortcut, "s1_in")
    for stack in stacks:
        if not stack.projects and (shortcut is None or stack.filters != shortcut.shape[-1]):
            raise ValueError(f"{name}: the identity shortcut of {stack.name} has no operand")
        x, shortcut = _stack(net, x, shortcut, stack), None
    x = net.flatten(net.average_pool(x, "pool"))
    return net.spec(net.dense(x, "dense", classes, bits=EDGE_BITS))


def _stack(net: Topology, x: Node, identity: Node | None, stack: Stack) -> Node:
    """Two convolutions and a shortcut, added and rectified.

    Args:
        x: input of the convolutions (and of the 1x1 convolution on the shortcut).
        identity: operand of the add where the shortcut has no convolution.
    """
    name, filters = stack.name, stack.filters
    y = net.conv(x, f"{name}_conv1", filters, 3, stack.stride, batchnorm=f"{name}_bn1")
    y = net.relu(y, f"{name}_relu1")
    y = net.conv(y, f"{name}_conv2", filters, 3, batchnorm=f"{name}_bn2")
    y = net.signed(y, f"{name}_res")
    if stack.projects:
        identity = net.signed(net.conv(x, f"{name}_skip", filters, 1, stack.stride), f"{name}_skip_res")
    return net.relu(net.add(f"{name}_add", identity, y), f"{name}_out")


RESNET8 = residual(
    "resnet8",
    "MLPerf Tiny's ResNet-8: 32x32x3, three residual stacks of 16, 32, 64",
    image_size=32,
    channels=3,
    stem_filters=16,
    stacks=(Stack("s1", 16), Stack("s2", 32, stride=2), Stack("s3", 64, stride=2)),
)

TINY = residual(
    "tiny",
    "one residual stack on 8x8x3 images: for tests and first steps",
    image_size=8,
    channels=3,
    stem_filters=4,
    stacks=(Stack("s1", 8, stride=2),),
)
