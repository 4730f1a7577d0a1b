"""A chain of dense layers, which several of the models are."""

from __future__ import annotations

from collections.abc import Sequence

from keras_models.spec import Node
from keras_models.topology import EDGE_BITS, Topology


def hidden_layers(net: Topology, x: Node, units: Sequence[int], first: int = 1, edge: bool = False) -> Node:
    """Dense layers ``dense1``, ``dense2``, ..., each with a batch normalization and a rectifier.

    Args:
        net: what they are added to.
        x: a vector that a quantizer stands behind.
        units: outputs of each layer.
        first: number of the first layer's name.
        edge: whether the first of them is the network's first, whose weights are wider in a uniform network.
    """
    for index, count in enumerate(units, start=first):
        bits = EDGE_BITS if edge and index == first else None
        x = net.dense(x, f"dense{index}", count, batchnorm=f"dense{index}_bn", bits=bits)
        x = net.relu(x, f"dense{index}_relu")
    return x
