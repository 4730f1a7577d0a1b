"""The integer graph that a model would become at given widths, with random numbers where training would put its own.

It has the shapes, widths and units of the real one, so that the cost model can be asked before anything is trained.
"""

from __future__ import annotations

from collections import Counter
from math import prod

import numpy as np

from flow import ir
from flow.bits import BitsSpec
from flow.ir import TensorType, WeightCode, signed_width, sum_type
from flow.quantizers import MAX_THRESHOLD_BITS
from keras_models.spec import INPUT, ActivationLayer, ModelSpec, Node, WeightLayer

#: from the middle of a grid that trained weights fill to its end
_SIGMAS = 2.6
#: of a requantize unit: about what folding a batch normalization into integers gives
_MULTIPLIER_BITS, _SHIFT = 16, 18


def skeleton(spec: ModelSpec, bits: BitsSpec, seed: int = 0) -> ir.Graph:
    """The graph of a network of a model; inputs are pixels of 8 bits, or what a quantizer on them gives.

    Args:
        bits: width of every weight layer and activation quantizer.
        seed: of the numbers.
    """
    return _Skeleton(spec, bits, seed).graph()


class _Skeleton:
    def __init__(self, spec: ModelSpec, bits: BitsSpec, seed: int) -> None:
        self._spec, self._bits, self._rng = spec, bits, np.random.default_rng(seed)
        self._nodes: list[ir.Node] = []
        self._types: dict[str, TensorType] = {}
        self._readers = Counter(name for node in spec.nodes for name in node.inputs)
        self._given: dict[str, str] = {}  # the node of the graph that stands for a layer of the model

    def graph(self) -> ir.Graph:
        for node in self._spec.nodes:
            made = self._node(node)
            if self._readers[node.name] > 1:
                made = self._put(ir.Fork(f"{node.name}_fork", (made,), self._types[made]))
            self._given[node.name] = made
        last = self._given[self._spec.nodes[-1].name]
        self._put(ir.Output("output", (last,), self._types[last]))
        return ir.Graph(self._spec.identifier, tuple(self._nodes))

    def _put(self, node: ir.Node) -> str:
        self._nodes.append(node)
        self._types[node.name] = node.output
        return node.name

    def _node(self, node: Node) -> str:
        sources = [self._given[name] for name in node.inputs]
        kinds = [self._types[name] for name in sources]
        match node.kind:
            case "input":
                return self._put(ir.Input(node.name, (), TensorType(node.shape, 8, False, 8)))
            case "weights":
                return self._weights(node.layer, sources[0])
            case "batchnorm":
                return sources[0]
            case "activation":
                if sources[0] == INPUT:  # defines the codes that the hardware receives
                    return self._codes(node.layer)
                return self._activation(node.layer, sources[0])
            case "add":
                low, high = (sum(getattr(kind, end) for kind in kinds) for end in ("minimum", "maximum"))
                sum_kind = TensorType(node.shape, signed_width(low, high), True)
                return self._put(ir.Add(node.name, tuple(sources), sum_kind))
            case "max_pool":
                kind = TensorType(node.shape, kinds[0].width_bits, kinds[0].signed)
                return self._put(ir.MaxPool(node.name, (sources[0],), kind, node.size))
            case "average_pool":
                kind = sum_type(kinds[0], prod(node.size), node.shape, 0)
                return self._put(ir.SumPool(node.name, (sources[0],), kind, node.size))
            case "flatten":
                kind = TensorType(node.shape, kinds[0].width_bits, kinds[0].signed, kinds[0].fraction_bits)
                return self._put(ir.Flatten(node.name, (sources[0],), kind))
            case _:
                raise ValueError(f"{node.name}: no unit for a layer of kind {node.kind}")

    def _weights(self, layer: WeightLayer, source: str) -> str:
        if layer.kind != "dense" and (max(layer.kernel) > 1 or layer.stride > 1 or layer.kind == "depthwise"):
            source = self._window(layer, source)
        kind, bits = self._types[source], self._bits.weights[layer.name]
        code = WeightCode.ODD if bits == 1 else WeightCode.TWOS
        inputs = prod(layer.kernel) * (1 if layer.kind == "depthwise" else layer.in_channels)
        low, high = code.bounds(bits)
        spread = self._rng.normal(0, 2 ** (bits - 1) / _SIGMAS, (layer.out_channels, inputs))
        weights = np.where(spread < 0, -1, 1) if bits == 1 else np.clip(np.rint(spread), low, high).astype(np.int64)
        shape = (layer.out_channels,) if layer.kind == "dense" else (*layer.out_size, layer.out_channels)
        bias = np.zeros(layer.out_channels, np.int64) if layer.batchnorm else self._rng.integers(-99, 99, len(weights))
        shared = (layer.name, (source,), TensorType(shape, 62, True), weights, bias, bits, code)
        depthwise = layer.kind == "depthwise"
        draft = ir.Depthwise(*shared, layer.out_channels // layer.in_channels) if depthwise else ir.Matvec(*shared)
        output = TensorType(shape, signed_width(*draft.bounds(kind)), True)
        shared = (*shared[:2], output, *shared[3:])
        return self._put(ir.Depthwise(*shared, draft.multiplier) if depthwise else ir.Matvec(*shared))

    def _window(self, layer: WeightLayer, source: str) -> str:
        kind = self._types[source]
        stride = (layer.stride, layer.stride)
        padded = layer.padding == "same"
        padding = ir.same_padding(kind.shape[:2], layer.kernel, stride) if padded else ir.NO_PADDING
        shape = (*layer.out_size, prod(layer.kernel) * kind.channels)
        vector = TensorType(shape, kind.width_bits, kind.signed, kind.fraction_bits)
        return self._put(ir.Window(f"{layer.name}_window", (source,), vector, layer.kernel, stride, padding))

    def _codes(self, layer: ActivationLayer) -> str:
        kind = TensorType(layer.shape, self._bits.activations[layer.name], layer.signed)
        self._nodes = [ir.Input(INPUT, (), kind)]
        self._types[INPUT] = kind
        return INPUT

    def _activation(self, layer: ActivationLayer, source: str) -> str:
        kind, bits = self._types[source], self._bits.activations[layer.name]
        output, channels = TensorType(layer.shape, bits, layer.signed), kind.channels
        if bits <= MAX_THRESHOLD_BITS:
            # behind a sum or another activation nothing tells channels apart
            rows = channels if isinstance(self._nodes[-1], ir.Weighted) else 1
            numbers = np.sort(self._rng.integers(kind.minimum, kind.maximum + 1, (rows, (1 << bits) - 1)), axis=1)
            thresholds, flip = np.broadcast_to(numbers, (channels, numbers.shape[1])), np.zeros(channels, bool)
            return self._put(ir.Threshold(layer.name, (source,), output, thresholds, flip, output.minimum))
        half = 1 << (_MULTIPLIER_BITS - 1)
        multiplier = self._rng.integers(half // 2, half, channels)
        bias = self._rng.integers(-half, half, channels) << 2
        return self._put(ir.Requantize(layer.name, (source,), output, multiplier, bias, _SHIFT, True))
