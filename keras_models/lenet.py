"""A network of LeNet-5's shape (Y. LeCun et al., Proc. IEEE 86, 1998), with rectifiers, max pooling and batch norm."""

from __future__ import annotations

from keras_models.perceptron import hidden_layers
from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology

CLASSES = 10


def lenet() -> ModelSpec:
    """The description."""
    net = Topology("lenet", "LeNet's shape: 28x28x1, 5x5 convolutions of 6, 16, dense layers of 120, 84", (28, 28, 1))
    x = net.relu(net.conv(net.input, "conv1", 6, 5, batchnorm="conv1_bn", bits=EDGE_BITS), "conv1_relu")
    x = net.max_pool(x, "pool1", 2)
    x = net.relu(net.conv(x, "conv2", 16, 5, padding="valid", batchnorm="conv2_bn"), "conv2_relu")
    x = net.flatten(net.max_pool(x, "pool2", 2))
    x = hidden_layers(net, x, (120, 84))
    return net.spec(net.dense(x, "dense3", CLASSES, bits=EDGE_BITS))


LENET = lenet()
