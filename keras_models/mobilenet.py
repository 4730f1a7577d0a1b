"""A small network of MobileNet's kind (A. Howard et al., arXiv 1704.04861) for 32x32 images: depthwise 3x3 and 1x1."""

from __future__ import annotations

from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology

#: filters of the 1x1 convolution and stride of the depthwise one, of each block
BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2))


def mobilenet() -> ModelSpec:
    """The description."""
    net = Topology("mobilenet", "MobileNet's kind: 32x32x3, four depthwise-separable blocks to 128", (32, 32, 3))
    x = net.relu(net.conv(net.input, "conv1", 16, 3, batchnorm="conv1_bn", bits=EDGE_BITS), "conv1_relu")
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        name = f"b{number}"
        x = net.relu(net.depthwise(x, f"{name}_dw", 3, stride, batchnorm=f"{name}_dw_bn"), f"{name}_dw_relu")
        x = net.relu(net.conv(x, f"{name}_pw", filters, 1, batchnorm=f"{name}_pw_bn"), f"{name}_pw_relu")
    return net.spec(net.dense(net.flatten(net.average_pool(x, "pool")), "dense", 10, bits=EDGE_BITS))


MOBILENET = mobilenet()
