"""Builder of networks whose layers change width while they run; see `keras_models.runtime`."""

from __future__ import annotations

from flow.bits import BitsSpec
from flow.keras_env import keras
from flow.quantizers.nested import NestedConv2D, NestedDense
from flow.quantizers.runtime import (
    SELECTION,
    FixedActivation,
    RuntimeModel,
    RuntimeWidths,
    TransitionalBatchNormalization,
    WidthActivation,
)
from keras_models.build import BATCHNORM_MOMENTUM, window
from keras_models.ranges import Ranges
from keras_models.runtime import RuntimePlan
from keras_models.spec import Node, WeightLayer


def top_bits(plan: RuntimePlan) -> BitsSpec:
    """The widths of a network all of whose runtime layers have the top width."""
    return BitsSpec.uniform(plan.spec, plan.top)


def build_runtime(plan: RuntimePlan, ranges: Ranges | None = None, nesting: str = "floor") -> RuntimeModel:
    """The network of a plan, all layers at the top width.

    Args:
        plan: the topology.
        ranges: the step of every weight and of the activations of fixed width; those of `Ranges.default` if not given.
            The steps of the others are weights of their layers.
        nesting: how lower widths follow from the stored weights, see `flow.quantizers.nested`.
    """
    make = _RuntimeLayers(plan, ranges or Ranges.default(plan.spec, top_bits(plan)), nesting)
    tensors, spec = {}, plan.spec
    for node in spec.nodes:
        if node.kind == "input":
            tensors[node.name] = keras.layers.Input(node.shape, name=node.name)
            selection = RuntimeWidths(plan.widths, plan.layers, name=SELECTION)(tensors[node.name])
            continue
        layer, selects = make.layer(node)
        inputs = [tensors[name] for name in node.inputs] + ([selection] if selects else [])
        tensors[node.name] = layer(inputs[0] if len(inputs) == 1 else inputs)
    return RuntimeModel(tensors[spec.nodes[0].name], tensors[spec.nodes[-1].name], name=f"{spec.name}_runtime")


class _RuntimeLayers:
    """Makes the layers, and says which of them read the selection."""

    def __init__(self, plan: RuntimePlan, ranges: Ranges, nesting: str) -> None:
        self._plan, self._ranges, self._nesting = plan, ranges, nesting
        self._bits = top_bits(plan)
        self._producer = {w.batchnorm: w.name for w in plan.spec.weight_layers() if w.batchnorm is not None}

    def layer(self, node: Node) -> tuple[keras.layers.Layer, bool]:
        """The layer of a node."""
        if node.kind == "weights":
            return self._weighted(node.layer), True
        if node.kind == "batchnorm":
            select = [self._position(name) for name in self._plan.sets(self._producer[node.name])]
            make = TransitionalBatchNormalization
            return make(self._plan.widths, select, momentum=BATCHNORM_MOMENTUM, name=node.name), True
        if node.kind == "activation":
            return self._activation(node)
        others = {
            "add": lambda: keras.layers.Add(name=node.name),
            "max_pool": lambda: keras.layers.MaxPooling2D(node.size, name=node.name),
            "average_pool": lambda: keras.layers.AveragePooling2D(node.size, name=node.name),
            "flatten": lambda: keras.layers.Flatten(name=node.name),
        }
        return others[node.kind](), False

    def _weighted(self, layer: WeightLayer) -> keras.layers.Layer:
        runtime = layer.name in self._plan.layers
        shared = {
            "widths": self._plan.widths if runtime else (self._bits.weights[layer.name],),
            "exponent": self._ranges.weights[layer.name],
            "select": self._position(layer.name) if runtime else None,
            "nesting": self._nesting if runtime else "floor",
            "bias_exponent": self._ranges.biases[layer.name] if layer.batchnorm is None else None,
        }
        if layer.kind == "dense":
            return NestedDense(layer.out_channels, name=layer.name, **shared)
        start = {"kernel_initializer": "he_normal"}
        return NestedConv2D(layer.out_channels, layer.kernel, **start, **window(layer), **shared)

    def _activation(self, node: Node) -> tuple[keras.layers.Layer, bool]:
        reader = self._plan.reader(node.name)
        if reader is not None:
            return WidthActivation(self._plan.widths, self._position(reader), name=node.name), True
        bits, exponent = self._bits.activations[node.name], self._ranges.activations[node.name]
        return FixedActivation(bits, exponent, node.layer.signed, name=node.name), False

    def _position(self, name: str) -> int:
        return self._plan.layers.index(name)
