"""A network with more or fewer channels: every layer's times one factor, in whole channels.

`find_model("resnet8-x0.75")` is ResNet-8 with three quarters of the channels (A. Howard et al., *MobileNets*, arXiv
1704.04861, call the factor a width multiplier). Inputs and outputs keep their size.
"""

from __future__ import annotations

from flow.errors import FlowError
from keras_models.spec import ModelSpec, Node, WeightLayer
from keras_models.topology import Topology

SEPARATOR = "-x"


def widened_name(base: str, multiplier: float) -> str:
    """What the network is called."""
    return base if multiplier == 1 else f"{base}{SEPARATOR}{multiplier:g}"


def widened(spec: ModelSpec, multiplier: float) -> ModelSpec:
    """The network with `multiplier` times the channels of every layer but the last, rounded to whole ones.

    Raises:
        FlowError: a layer is left without channels, or the network gives back what it is given (a reconstruction).
    """
    if spec.task != "classification":
        raise FlowError(f"{spec.name}: a network for {spec.task} has no channels of its own to choose at both ends")
    if not 0 < multiplier < float("inf"):
        raise FlowError(f"{spec.name}: a width multiplier of {multiplier:g}; it must be above 0")
    name, description = widened_name(spec.name, multiplier), f"{spec.description}; channels x {multiplier:g}"
    net = Topology(name, description, spec.input_shape)
    last = spec.weight_layers()[-1].name
    made: dict[str, Node] = {spec.nodes[0].name: net.input}
    for node in spec.nodes[1:]:
        if node.kind == "batchnorm":  # comes with its convolution
            made[node.name] = made[node.inputs[0]]
            continue
        sources = [made[name] for name in node.inputs]
        factor = 1.0 if node.name == last else multiplier
        made[node.name] = _again(net, node, sources, factor)
    return net.spec(made[spec.nodes[-1].name])


def _again(net: Topology, node: Node, sources: list[Node], factor: float) -> Node:
    """The node on new sources."""
    x = sources[0]
    match node.kind:
        case "weights":
            return _weights(net, node.layer, x, factor)
        case "activation":
            return (net.signed if node.layer.signed else net.relu)(x, node.name, node.layer.default_bits)
        case "add":
            return net.add(node.name, *sources)
        case "max_pool":
            return net.max_pool(x, node.name, node.size)
        case "average_pool":
            return net.average_pool(x, node.name, node.size)
        case "flatten":
            return net.flatten(x, node.name)
        case _:
            raise ValueError(f"{node.name}: no rule for a layer of kind {node.kind}")


def _weights(net: Topology, layer: WeightLayer, x: Node, factor: float) -> Node:
    shared = {"batchnorm": layer.batchnorm, "bits": layer.default_bits}
    if layer.kind == "depthwise":
        return net.depthwise(x, layer.name, layer.kernel, layer.stride, layer.padding, **shared)
    channels = round(layer.out_channels * factor)
    if channels < 1:
        raise FlowError(f"{layer.name}: {layer.out_channels} channels times {factor:g} leave none; take a wider one")
    if layer.kind == "dense":
        return net.dense(x, layer.name, channels, **shared)
    return net.conv(x, layer.name, channels, layer.kernel, layer.stride, layer.padding, **shared)
