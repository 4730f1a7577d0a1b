"""MLPerf Tiny's keyword spotter, a depthwise-separable CNN.

github.com/mlcommons/tiny; Y. Zhang et al., *Hello Edge: Keyword Spotting on Microcontrollers*, arXiv 1711.07128.
The average of all 25 x 5 positions is rectified and quantized once more: 125 is no power of two.
"""

from __future__ import annotations

from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology

INPUT_SHAPE = (49, 10, 1)
CLASSES = 12
BLOCKS = 4


def depthwise_separable(
    name: str, description: str, input_shape: tuple[int, int, int], filters: int, blocks: int, classes: int
) -> ModelSpec:
    """A first convolution of 10x4 with stride 2, blocks of a depthwise 3x3 and a 1x1 convolution, average, dense.

    Args:
        name: as users write it.
        description: one line.
        input_shape: time steps, coefficients, 1.
        filters: channels of all convolutions.
        blocks: how many.
        classes: number of outputs.
    """
    net = Topology(name, description, input_shape)
    x = net.signed(net.input, "input_codes")
    x = net.relu(net.conv(x, "conv1", filters, (10, 4), 2, batchnorm="conv1_bn", bits=EDGE_BITS), "conv1_relu")
    for block in range(1, blocks + 1):
        x = net.relu(net.depthwise(x, f"b{block}_dw", 3, batchnorm=f"b{block}_dw_bn"), f"b{block}_dw_relu")
        x = net.relu(net.conv(x, f"b{block}_pw", filters, 1, batchnorm=f"b{block}_pw_bn"), f"b{block}_pw_relu")
    x = net.relu(net.average_pool(x, "pool"), "pool_relu", EDGE_BITS)
    return net.spec(net.dense(net.flatten(x), "dense", classes, bits=EDGE_BITS))


DSCNN = depthwise_separable(
    "dscnn",
    "MLPerf Tiny's keyword DS-CNN: 49x10x1, 10x4 convolution, four depthwise-separable blocks of 64, 12 classes",
    INPUT_SHAPE,
    filters=64,
    blocks=BLOCKS,
    classes=CLASSES,
)
