"""The jet tagger of hls4ml's paper and tutorial: 16 -> 64 -> 32 -> 32 -> 5 (J. Duarte et al., JINST 13 P07027).

Batch normalization stands behind the hidden layers, whose weights fill their fixed grids that way.
"""

from __future__ import annotations

from keras_models.perceptron import hidden_layers
from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology

FEATURES, CLASSES = 16, 5


def jets() -> ModelSpec:
    """The description."""
    net = Topology("jets", "hls4ml's jet tagger: 16 features, dense layers of 64, 32, 32, five classes", (FEATURES,))
    x = net.signed(net.input, "input_codes")
    x = hidden_layers(net, x, (64, 32, 32), edge=True)
    return net.spec(net.dense(x, "dense4", CLASSES, bits=EDGE_BITS))


JETS = jets()
