"""A network whose layers change width while it runs: which layers those are, and what each of them depends on.

Bit-Mixer (Bulat & Tzimiropoulos, ICCV 2021, arXiv 2103.17267), without TensorFlow. The layers whose width a model
leaves open are its *runtime layers*; the first convolution and the last layer are 8 bits wide as in every network.

    plan = plan_runtime(find_model("resnet8"), (2, 3, 4))
    plan.layers                            # ("s1_conv1", ..., "s3_skip"): the fields of a configuration
    plan.indices({"s1_conv1": 2, ...})     # (0, ...): what the configuration port takes; the registers hold bits

What the topology of a uniform network is changed in, and why:

* Every reader of an activation gets a quantizer of its own, as wide as the reader, so that each layer's width is free;
  a reader that is not a runtime layer gets 8 bits on a power-of-two grid.
* A runtime layer without batch normalization gets one, where it had a bias. Its sums mean something else at each width
  (floor moves the weights down by half of what it drops, and each width has an activation scale of its own), so that
  the layer needs an offset *and* a factor for each pair of widths. In hardware this is free: the sums go through a
  table of multipliers and biases anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flow.bits import MAX_RUNTIME_LAYERS, check_runtime_widths
from flow.errors import FlowError
from flow.ir import RuntimeWidths
from keras_models.spec import ActivationLayer, ModelSpec, Node, WeightLayer
from keras_models.topology import EDGE_BITS

_PASSES = ("max_pool", "average_pool", "flatten", "batchnorm")


@dataclass(frozen=True)
class RuntimePlan:
    """A topology with run-time widths.

    Attributes:
        spec: every node, with a quantizer for each reader and a batch normalization behind each runtime layer.
        runtime: the widths and the runtime layers, which choose one.
    """

    spec: ModelSpec
    runtime: RuntimeWidths

    @property
    def widths(self) -> tuple[int, ...]:
        """B, rising."""
        return self.runtime.widths

    @property
    def layers(self) -> tuple[str, ...]:
        """The runtime layers in the order of computation, which is the order of a configuration's fields."""
        return self.runtime.layers

    @property
    def top(self) -> int:
        """The width at which weights are stored."""
        return self.widths[-1]

    def reader(self, activation: str) -> str | None:
        """The runtime layer whose width an activation quantizer has, None for a quantizer of fixed width."""
        for layer in self.spec.weight_layers():
            if layer.source == activation and layer.name in self.layers:
                return layer.name
        return None

    def predecessor(self, layer: str) -> str | None:
        """The weight layer that produced what a weight layer reads, None for the network's input.

        Behind an add it is the last weight layer of the residual branch, which is the operand with the longer way
        from the input, the right one of two that are as long.
        """
        nodes = {node.name: node for node in self.spec.nodes}
        node = nodes[nodes[layer].inputs[0]]
        while node.kind not in ("weights", "input"):
            operands = [nodes[name] for name in node.inputs]
            node = max(reversed(operands), key=lambda operand: _depth(nodes, operand))
        return node.name if node.kind == "weights" else None

    def sets(self, layer: str) -> tuple[str, ...]:
        """The runtime layers whose widths choose the normalization behind a weight layer: predecessor, itself.

        One that is not a runtime layer drops out: |B|^2 sets in general, |B| for the first runtime layer.
        """
        return tuple(name for name in (self.predecessor(layer), layer) if name in self.layers)

    def table(self, activation: str) -> tuple[str, ...]:
        """The runtime layers whose widths choose the affine map in front of an activation quantizer, slowest first.

        Those of the normalization (predecessor, producer) if there is one, and the reader.
        """
        nodes = {node.name: node for node in self.spec.nodes}
        node = nodes[nodes[activation].inputs[0]]
        while node.kind in _PASSES:
            node = nodes[node.inputs[0]]
        found = self.sets(node.name) if node.kind == "weights" else ()
        reader = self.reader(activation)
        return found if reader is None else (*found, reader)

    def indices(self, bits: Mapping[str, int] | Sequence[int]) -> tuple[int, ...]:
        """A configuration as positions in `widths`, in the order of `layers`.

        Args:
            bits: by layer, or in the order of `layers`; every layer must be there.

        Raises:
            FlowError: an unknown or a missing layer, or a width that is not in `widths`.
        """
        return tuple(self.runtime.fields(bits, 1)[0].tolist())

    def bits(self, indices: Sequence[int]) -> dict[str, int]:
        """The inverse of `indices`."""
        return {name: self.widths[index] for name, index in zip(self.layers, indices, strict=True)}

    def word(self, indices: Sequence[int]) -> int:
        """A configuration as the configuration port takes it: a field for each layer, the first in the low bits."""
        return self.runtime.words([indices])[0]

    def average(self, indices: Sequence[int]) -> float:
        """The mean width of the runtime layers, each counted once."""
        return sum(self.widths[index] for index in indices) / len(self.layers)


def parse_widths(text: str) -> tuple[int, ...]:
    """Reads ``"2,3,4"``.

    Raises:
        FlowError: no list of 2 to 4 different widths of 2 to 8 bits.
    """
    try:
        found = tuple(sorted(int(part) for part in text.split(",")))
    except ValueError:
        raise FlowError(f"--runtime-bits {text}: should be widths with commas between, such as 2,3,4") from None
    return check_runtime_widths(found)


def plan_runtime(spec: ModelSpec, widths: Sequence[int]) -> RuntimePlan:
    """The topology of a model with run-time widths.

    Raises:
        FlowError: wrong widths, or a model that has no or unsuitable layers of open width.
    """
    widths = check_runtime_widths(widths)
    layers = tuple(layer.name for layer in spec.weight_layers() if layer.default_bits is None)
    if not layers:
        raise FlowError(f"{spec.name}: no layer has an open width, so none can change it while it runs")
    if len(layers) > MAX_RUNTIME_LAYERS:
        raise FlowError(
            f"{spec.name}: {len(layers)} layers would choose their width; there are registers for {MAX_RUNTIME_LAYERS}"
        )
    for layer in spec.weight_layers():
        if layer.name in layers and layer.kind == "depthwise":
            raise FlowError(
                f"{spec.name}: {layer.name} is a depthwise convolution; run-time widths are for convolutions and "
                "dense layers"
            )
    return RuntimePlan(_Split(spec, layers).run(), RuntimeWidths(widths, layers))


def _depth(nodes: Mapping[str, Node], node: Node) -> int:
    """Weight layers on the longest way from the input to a node, the node included."""
    return (node.kind == "weights") + max((_depth(nodes, nodes[name]) for name in node.inputs), default=0)


class _Split:
    """Writes a topology down again; see the head of this file."""

    def __init__(self, spec: ModelSpec, layers: tuple[str, ...]) -> None:
        self._spec, self._layers = spec, layers
        self._nodes: list[Node] = []
        #: by node and reader, or by node alone: what took its place
        self._moved: dict[tuple[str, str | None], str] = {}

    def run(self) -> ModelSpec:
        for node in self._spec.nodes:
            inputs = tuple(self._now(name, node.name) for name in node.inputs)
            if node.kind == "activation":
                self._activation(replace(node, inputs=inputs))
            elif node.kind == "weights":
                self._weights(replace(node, inputs=inputs))
            else:
                self._nodes.append(replace(node, inputs=inputs))
        return replace(self._spec, nodes=tuple(self._nodes))

    def _now(self, name: str, reader: str) -> str:
        return self._moved.get((name, reader)) or self._moved.get((name, None)) or name

    def _weights(self, node: Node) -> None:
        layer: WeightLayer = node.layer
        source = self._now(layer.source, node.name)
        if layer.name not in self._layers or layer.batchnorm is not None:
            self._nodes.append(replace(node, layer=replace(layer, source=source)))
            return
        name = f"{layer.name}_bn"
        self._nodes.append(replace(node, layer=replace(layer, source=source, batchnorm=name)))
        self._nodes.append(Node(name, "batchnorm", (node.name,), node.shape))
        self._moved[node.name, None] = name

    def _activation(self, node: Node) -> None:
        """One quantizer for all readers of fixed width, one for each runtime layer."""
        readers = self._readers(node.name)
        open_ = [reader for reader in readers if reader in self._layers]
        if open_ and node.layer.signed:
            raise FlowError(f"{self._spec.name}: {open_[0]} reads {node.name}, which is signed; codes must be unsigned")
        several = len(open_) + (len(readers) > len(open_)) > 1
        if several and any(other.kind in _PASSES and node.name in other.inputs for other in self._spec.nodes):
            raise FlowError(f"{self._spec.name}: {node.name} has several readers and a pooling behind it")
        if len(readers) > len(open_):
            bits = node.layer.default_bits or EDGE_BITS
            self._nodes.append(replace(node, layer=replace(node.layer, default_bits=bits)))
        for reader in open_:
            name = f"{node.name}_{reader}" if several else node.name
            layer = ActivationLayer(name, False, node.layer.shape, None)
            self._nodes.append(replace(node, name=name, layer=layer))
            self._moved[node.name, reader] = name

    def _readers(self, name: str) -> list[str]:
        """The layers that read an activation, through poolings."""
        found = []
        for node in self._spec.nodes:
            if name in node.inputs:
                found += self._readers(node.name) if node.kind in _PASSES else [node.name]
        return found
