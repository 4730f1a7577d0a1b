"""The deployed twin of a network with run-time widths: its integers as a Keras network that hls4ml converts.

    twin = deploy(export_integers(plan, model))
    twin_outputs(twin, codes, configuration={"s1_conv1": 2, ...})

What no width changes are the layers of every twin. A runtime layer, and what it reads, has integers that are worth
something else at each width: there a code is simply the number, without fraction bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import Grid
from flow.fold.network import INPUT_NAME
from flow.fold.value import float_type
from flow.fold.weights import twin_quantizer
from flow.ir import NO_PADDING, Padding, RuntimeWidths, same_padding, signed_width, unsigned_width
from flow.keras_env import keras, qkeras
from flow.mixer.integers import Integers, Table
from flow.twin.inputs import CONFIGURATION
from flow.twin.layers import Argmax, Requantize, SumPool
from flow.twin.runtime import PassThrough, RequantizeTable, SerialMatvec
from flow.twin.twin import Folded, Twin
from keras_models.spec import Node

#: layers that read the configuration at one place; hls4ml copies a stream up to seven times, and once to hand it on
READERS = 6


@dataclass(frozen=True)
class _Value:
    """A tensor: real value = integer * 2**-fraction_bits, no integer beyond `magnitude`, none below 0 unless signed."""

    tensor: Any
    fraction_bits: int
    magnitude: int
    signed: bool = True

    @property
    def bits(self) -> int:
        return signed_width(-self.magnitude, self.magnitude) if self.signed else unsigned_width(self.magnitude)


def deploy(integers: Integers, argmax: bool = False) -> Twin:
    """The twin of a network with run-time widths.

    Args:
        integers: the network.
        argmax: the twin gives the first position of the largest logit instead of the logits.

    Raises:
        FlowError: a depthwise layer.
    """
    return _Deploy(integers).run(argmax)


class _Deploy:
    def __init__(self, integers: Integers) -> None:
        self._integers, self._plan = integers, integers.plan
        self._runtime = RuntimeWidths(self._plan.widths, self._plan.layers)
        self._configuration = keras.layers.Input((len(self._plan.layers),), name=CONFIGURATION, dtype="float32")
        self._readers = self._links = 0
        self._weights: list[tuple[Any, list[np.ndarray]]] = []

    def run(self, argmax: bool) -> Twin:
        grid, given = self._integers.input, self._configuration
        values: dict[str, _Value] = {}
        for node in self._plan.spec.nodes:
            if node.kind == "input":
                image = keras.layers.Input(grid.shape, name=INPUT_NAME, dtype="float32")
                values[node.name] = _Value(image, grid.fraction_bits, max(-grid.low, grid.high), grid.signed)
            else:
                values[node.name] = self._node(node, *(values[name] for name in node.inputs))
        final = values[self._plan.spec.nodes[-1].name]
        final = _largest(final) if argmax else final
        model = keras.Model([image, given], final.tensor, name=f"{self._plan.spec.name}_runtime_twin")
        for layer, weights in self._weights:
            layer.set_weights(weights)
        folded = tuple(map(_folded, self._integers.tables.values()))
        return Twin(model, grid, final.fraction_bits, folded, self._runtime)

    def _given(self) -> Any:
        """The configuration for one more reader."""
        if self._readers == READERS:
            bits = self._runtime.field_bits
            self._links += 1
            link = PassThrough(0, 0, bits, False, name=f"{CONFIGURATION}_{self._links}", dtype="float32")
            self._configuration, self._readers = link(self._configuration), 0
        self._readers += 1
        return self._configuration

    def _select(self, names: Sequence[str]) -> dict:
        """What a layer that looks at some layers' widths is told."""
        return {"widths": self._plan.widths, "select": tuple(self._plan.layers.index(name) for name in names)}

    def _node(self, node: Node, *inputs: _Value) -> _Value:
        if node.kind == "weights":
            runtime = self._integers.weights[node.name].runtime
            return (self._serial if runtime else self._static)(node, *inputs)
        if node.kind == "activation" and node.name in self._integers.tables:
            return self._activation(self._integers.tables[node.name], *inputs)
        if node.kind == "add":
            magnitude = sum(value.magnitude for value in inputs)
            layer = keras.layers.Add(name=node.name, dtype=float_type(magnitude))
            signed = any(value.signed for value in inputs)
            return _Value(layer([value.tensor for value in inputs]), inputs[0].fraction_bits, magnitude, signed)
        (value,) = inputs
        if node.kind == "average_pool":
            return self._sum(node, value)
        dtype = float_type(value.magnitude)
        if node.kind == "max_pool":
            layer = keras.layers.MaxPooling2D(node.size, name=node.name, dtype=dtype)
        elif node.kind == "flatten":
            layer = keras.layers.Flatten(name=node.name, dtype=dtype)
        else:  # a normalization, which is in the table behind it, or the quantizer of the input, which is the host's
            return value
        return replace(value, tensor=layer(value.tensor))

    def _serial(self, node: Node, value: _Value) -> _Value:
        stored, layer = self._integers.weights[node.name], node.layer
        shape = (1, 1) if layer.kind == "dense" else layer.kernel
        weight = stored.codes.reshape(*shape, *stored.codes.shape[-2:])
        magnitude = value.magnitude * max(_row(stored.at(width)) for width in self._plan.widths)
        keras_layer = SerialMatvec(
            size=shape, stride=(layer.stride, layer.stride), padding=padding_of(node, value.tensor.shape),
            outputs=weight.shape[-1], odd=stored.odd, **self._select([node.name]),
            input_fraction_bits=value.fraction_bits, output_fraction_bits=value.fraction_bits,
            bits=signed_width(-magnitude, magnitude), signed=True, name=node.name, dtype=float_type(magnitude),
        )  # fmt: skip
        self._weights.append((keras_layer, [weight]))
        return _Value(keras_layer([value.tensor, self._given()]), value.fraction_bits, magnitude)

    def _static(self, node: Node, value: _Value) -> _Value:
        stored, layer = self._integers.weights[node.name], node.layer
        fraction_bits = value.fraction_bits + stored.fraction_bits
        bias = np.zeros(1, np.int64) if stored.bias is None else stored.bias
        magnitude = value.magnitude * _row(stored.codes) + int(np.abs(bias).max())
        limit, dtype = 1 << (stored.bits - 1), float_type(magnitude)
        shared = {
            "kernel_quantizer": twin_quantizer(Grid(stored.bits, stored.fraction_bits, True, -limit, limit - 1), dtype),
            "use_bias": stored.bias is not None, "dtype": dtype, "name": node.name,
        }  # fmt: skip
        if layer.kind == "conv":
            keras_layer = qkeras.QConv2D(
                layer.out_channels, layer.kernel, strides=layer.stride, padding=layer.padding, **shared
            )
        elif layer.kind == "dense":
            keras_layer = qkeras.QDense(layer.out_channels, **shared)
        else:
            raise FlowError(f"{node.name}: a depthwise layer has no place among layers whose widths change")
        reals = [] if stored.bias is None else [np.ldexp(stored.bias.astype(np.float64), -fraction_bits)]
        self._weights.append((keras_layer, [np.ldexp(stored.codes.astype(np.float64), -stored.fraction_bits), *reals]))
        return _Value(keras_layer(value.tensor), fraction_bits, magnitude)

    def _activation(self, table: Table, value: _Value) -> _Value:
        high, signed = int(table.maxima.max()), table.low < 0
        magnitude = high + signed
        shared = {
            "input_fraction_bits": value.fraction_bits, "output_fraction_bits": table.fraction_bits,
            "bits": unsigned_width(high) + signed, "signed": signed, "shift": table.shift, "name": table.name,
            "dtype": float_type(max(value.magnitude, magnitude)),
        }  # fmt: skip
        if table.select:
            assert not table.ties_to_even, "export_integers gives one shift to all entries, which rounds no ties"
            layer = RequantizeTable(**self._select(table.select), **shared)
            tensor = layer([value.tensor, self._given()])
            self._weights.append((layer, [table.multiplier, table.bias, table.maxima]))
        else:
            layer = Requantize(ties_to_even=table.ties_to_even, **shared)
            tensor = layer(value.tensor)
            self._weights.append((layer, [table.multiplier[0], table.bias[0]]))
        return _Value(tensor, table.fraction_bits, magnitude, signed)

    def _sum(self, node: Node, value: _Value) -> _Value:
        """The sum is the mean where the number of pixels is a power of two; a table behind it takes any other."""
        count = prod(node.size)
        fraction_bits = value.fraction_bits + (count - 1).bit_length()
        summed = _Value(None, fraction_bits, value.magnitude * count, value.signed)
        layer = SumPool(
            size=node.size, input_fraction_bits=value.fraction_bits, output_fraction_bits=fraction_bits,
            bits=summed.bits, signed=summed.signed, name=node.name, dtype=float_type(summed.magnitude),
        )  # fmt: skip
        return replace(summed, tensor=layer(value.tensor))


def _largest(value: _Value) -> _Value:
    """The label instead of the logits."""
    high = int(value.tensor.shape[-1]) - 1
    layer = Argmax(
        input_fraction_bits=value.fraction_bits, output_fraction_bits=0, bits=unsigned_width(high), signed=False,
        dtype=float_type(value.magnitude), name="argmax",
    )  # fmt: skip
    return _Value(layer(value.tensor), 0, high, False)


def _folded(table: Table) -> Folded:
    bits = unsigned_width(int(table.maxima.max())) + (table.low < 0)
    return Folded(table.name, table.name, "requantize", bits, table.differing)


def _row(weights: np.ndarray) -> int:
    """The largest sum of magnitudes that an output's weights have."""
    return int(np.abs(weights).reshape(-1, weights.shape[-1]).sum(axis=0).max())


def padding_of(node: Node, shape: Sequence[int | None]) -> Padding:
    """Zeros around what a layer reads; `shape` begins with the batch."""
    layer = node.layer
    if layer.kind == "dense" or layer.padding != "same":
        return NO_PADDING
    return same_padding(shape[1:3], layer.kernel, (layer.stride, layer.stride))
