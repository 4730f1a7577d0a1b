"""hls4ml's optimized graph as our IR: integers, exact types, one Fork for every tensor that is read more than once.

A table of small handlers, one per kind of hls4ml layer. hls4ml's zero padding is absorbed into the window that reads
it, its clones disappear (forks are made at the end, by who reads what).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hls4ml.model import ModelGraph

from flow.errors import FlowError
from flow.fold.grids import Grid, read_grid, weight_codes
from flow.hls.lowering_runtime import in_order_of, is_configuration, read_runtime, requantize_table, serial_matvec
from flow.hls.state import NO_PADDING, Lowering, add_padding, check_grid, narrowest, pads, window_of
from flow.ir import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Flatten,
    Fork,
    Graph,
    Input,
    Matvec,
    MaxPool,
    Node,
    Output,
    Requantize,
    SumPool,
    TensorType,
    Threshold,
    WeightCode,
    signed_width,
    sum_type,
    unsigned_width,
)


def lower(model: ModelGraph) -> Graph:
    """The IR of a twin that hls4ml converted.

    Args:
        model: what `convert_from_keras_model` gave inside `flow.hls.hls4ml_keras2`, for any backend.

    Raises:
        FlowError: a layer has no place in the IR; all such layers are named.
    """
    layers = list(model.get_layers())
    known = [*_HANDLERS, "PassThrough"]  # which hands on what no node reads
    unknown = [f"{layer.name} ({layer.class_name})" for layer in layers if layer.class_name not in known]
    if unknown:
        raise FlowError(
            f"no hardware for these layers: {', '.join(unknown)}; supported: {', '.join(sorted(_HANDLERS))}"
        )
    state = Lowering(runtime=read_runtime(layers))
    for layer in layers:
        if state.runtime is None or not is_configuration(layer):
            _HANDLERS[layer.class_name](state, layer)
    if len(model.outputs) != 1:
        raise FlowError(f"the network has {len(model.outputs)} outputs; one is supported")
    final = state.nodes[state.produced[model.outputs[0]]]
    state.emit(Output("output", (final.name,), final.output))
    ordered = in_order_of(state.runtime.layers, state.nodes) if state.runtime else state.nodes
    return Graph(model.config.get_project_name(), _with_forks(tuple(ordered.values())), state.runtime)


def _with_forks(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """`nodes` with a Fork, `<producer>_fork`, behind everything that is read more than once."""
    reads = Counter(name for node in nodes for name in node.inputs)
    forked = {name: f"{name}_fork" for name, count in reads.items() if count > 1}
    result: list[Node] = []
    for node in nodes:
        result.append(replace(node, inputs=tuple(forked.get(name, name) for name in node.inputs)))
        if node.name in forked:
            result.append(Fork(forked[node.name], (node.name,), node.output))
    return tuple(result)


# -- one handler per hls4ml layer --------------------------------------------------------------------------------------


def _input(state: Lowering, layer: Any) -> None:
    precision = layer.get_output_variable().type.precision
    shape = tuple(int(n) for n in layer.get_output_variable().shape)
    kind = TensorType(shape, precision.width, bool(precision.signed), precision.fractional)
    state.give(layer, state.emit(Input(layer.name, (), kind)))


def _alias(state: Lowering, layer: Any) -> None:
    if layer.inputs[0] not in state.produced:  # a copy of the configuration, which is no node
        return
    for output in layer.outputs:
        state.produced[output] = state.produced[layer.inputs[0]]
        if layer.inputs[0] in state.padding:
            state.padding[output] = state.padding[layer.inputs[0]]


def _zero_padding(state: Lowering, layer: Any) -> None:
    before = state.padding.get(layer.inputs[0], NO_PADDING)
    _alias(state, layer)
    state.padding[layer.outputs[0]] = add_padding(before, pads(layer))


def _conv(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    kernel = (int(layer.get_attr("filt_height")), int(layer.get_attr("filt_width")))
    stride = (int(layer.get_attr("stride_height")), int(layer.get_attr("stride_width")))
    padding = add_padding(state.padding.get(layer.inputs[0], NO_PADDING), pads(layer))
    if (kernel, stride, padding) != ((1, 1), (1, 1), NO_PADDING):
        source = state.emit(window_of(f"{layer.name}_window", source, kernel, stride, padding))
    filters = int(layer.get_attr("n_filt"))
    # hls4ml keeps (ky, kx, cin, filter); a row of the matrix is one filter in (ky, kx, cin) order
    weights = np.asarray(layer.get_weights("weight").data).reshape(-1, filters).T
    state.give(layer, state.emit(_matvec(layer, source, weights)))


def _dense(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    weights = np.asarray(layer.get_weights("weight").data).reshape(source.output.channels, -1).T
    state.give(layer, state.emit(_matvec(layer, source, weights)))


def _matvec(layer: Any, source: Node, weights: np.ndarray) -> Matvec:
    """A matrix-vector product with the narrowest accumulator that cannot overflow.

    Args:
        weights: real values (MH, MW).
    """
    grid = _weight_grid(layer)
    integers = weight_codes(layer.name, grid, weights)
    # N2UQ's odd integers from -(2^n - 1) to 2^n - 1 need no bit that says that they are odd
    odd = grid.binary or (grid.low == -grid.high and bool(np.all(integers % 2)))
    bits = grid.bits - (odd and not grid.binary)
    fraction_bits = source.output.fraction_bits + grid.fraction_bits
    bias = np.ldexp(np.asarray(layer.get_weights("bias").data, dtype=np.float64), fraction_bits)
    node = Matvec(
        layer.name,
        (source.name,),
        TensorType((*source.output.shape[:-1], len(integers)), 63, True, fraction_bits),
        integers,
        bias,
        bits,
        WeightCode.ODD if odd else WeightCode.TWOS,
    )
    return narrowest(node, source)


def _depthwise(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    check_grid(layer, source)
    kernel = (int(layer.get_attr("filt_height")), int(layer.get_attr("filt_width")))
    stride = (int(layer.get_attr("stride_height")), int(layer.get_attr("stride_width")))
    padding = add_padding(state.padding.get(layer.inputs[0], NO_PADDING), pads(layer))
    window = state.emit(window_of(f"{layer.name}_window", source, kernel, stride, padding))
    weights, bias = (np.asarray(layer.get_weights(name).data) for name in ("weight", "bias"))
    node = Depthwise(
        layer.name,
        (window.name,),
        TensorType((*window.output.shape[:-1], bias.size), 63, True, layer.get_attr("output_fraction_bits")),
        weights.reshape(-1, bias.size).T,  # (ky, kx, channel, filter): a row is one filter
        bias.reshape(-1),
        layer.get_attr("weight_bits"),
        WeightCode.ODD if layer.get_attr("binary") else WeightCode.TWOS,
        int(layer.get_attr("multiplier")),
    )
    state.give(layer, state.emit(narrowest(node, window)))


def _weight_grid(layer: Any) -> Grid:
    quantizer = layer.get_attr("weight_quantizer")
    if quantizer is None or not hasattr(quantizer, "quantizer_fn"):
        raise FlowError(f"{layer.name}: has no QKeras weight quantizer; convert inside flow.hls.hls4ml_keras2()")
    return read_grid(layer.name, quantizer.quantizer_fn)


def _activation_type(layer: Any, source: Node) -> TensorType:
    """The output type of a threshold or rescale."""
    check_grid(layer, source)
    return TensorType(
        source.output.shape, layer.get_attr("bits"), layer.get_attr("signed"), layer.get_attr("output_fraction_bits")
    )


def _threshold(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    tables = [np.asarray(layer.get_weights(name).data) for name in ("thresholds", "flip")]
    kind = _activation_type(layer, source)
    offset = layer.get_attr("offset")
    state.give(layer, state.emit(Threshold(layer.name, (source.name,), kind, tables[0], tables[1] != 0, offset)))


def _requantize(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    multiplier, bias = (np.asarray(layer.get_weights(name).data) for name in ("multiplier", "bias"))
    kind = _activation_type(layer, source)
    shift, ties_to_even = layer.get_attr("shift"), layer.get_attr("ties_to_even")
    state.give(layer, state.emit(Requantize(layer.name, (source.name,), kind, multiplier, bias, shift, ties_to_even)))


def _merge(state: Lowering, layer: Any) -> None:
    if layer.get_attr("op").lower() != "add":
        raise FlowError(f"{layer.name}: merge '{layer.get_attr('op')}' is not supported; add is")
    a, b = state.source(layer, 0), state.source(layer, 1)
    low, high = a.output.minimum + b.output.minimum, a.output.maximum + b.output.maximum
    signed = low < 0
    width = signed_width(low, high) if signed else unsigned_width(high)
    kind = TensorType(a.output.shape, width, signed, a.output.fraction_bits)
    state.give(layer, state.emit(Add(layer.name, (a.name, b.name), kind)))


def _concat(state: Lowering, layer: Any) -> None:
    a, b = state.source(layer, 0), state.source(layer, 1)
    low, high = min(a.output.minimum, b.output.minimum), max(a.output.maximum, b.output.maximum)
    signed = low < 0
    width = signed_width(low, high) if signed else unsigned_width(high)
    shape = (*a.output.shape[:-1], a.output.channels + b.output.channels)
    kind = TensorType(shape, width, signed, a.output.fraction_bits)
    state.give(layer, state.emit(Concat(layer.name, (a.name, b.name), kind)))


def _argmax(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    kind = TensorType((1,), layer.get_attr("bits"), layer.get_attr("signed"), 0)
    state.give(layer, state.emit(Argmax(layer.name, (source.name,), kind)))


def _max_pool(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    kernel = (int(layer.get_attr("pool_height")), int(layer.get_attr("pool_width")))
    stride = (int(layer.get_attr("stride_height")), int(layer.get_attr("stride_width")))
    if stride != kernel or any(pads(layer)) or layer.get_attr("pool_op").lower() != "max":
        raise FlowError(f"{layer.name}: pooling takes the maximum, with strides equal to pool_size and no padding")
    kind = replace(source.output, shape=_pooled(source, kernel))
    state.give(layer, state.emit(MaxPool(layer.name, (source.name,), kind, kernel)))


def _sum_pool(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    kernel = (int(layer.get_attr("pool_height")), int(layer.get_attr("pool_width")))
    shape, fraction_bits = _pooled(source, kernel), layer.get_attr("output_fraction_bits")
    check_grid(layer, source)
    # the adder tree is as wide as for the next power of two: 36 values take six more bits, although the sum may not
    terms = 1 << (kernel[0] * kernel[1] - 1).bit_length()
    kind = sum_type(source.output, terms, shape, fraction_bits)
    state.give(layer, state.emit(SumPool(layer.name, (source.name,), kind, kernel)))


def _pooled(source: Node, kernel: tuple[int, int]) -> tuple[int, int, int]:
    height, width, channels = source.output.shape
    return height // kernel[0], width // kernel[1], channels


def _reshape(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    if len(layer.get_output_variable().shape) != 1:
        raise FlowError(f"{layer.name}: only flattening to a vector is supported")
    if len(source.output.shape) == 1:
        _alias(state, layer)
        return
    kind = replace(source.output, shape=(source.output.elements,))
    state.give(layer, state.emit(Flatten(layer.name, (source.name,), kind)))


#: by the class name of the hls4ml layer
_HANDLERS: dict[str, Callable[[Lowering, Any], None]] = {
    "Input": _input,
    "Clone": _alias,
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _conv,
    "PointwiseConv2D": _conv,
    "Depthwise": _depthwise,
    "Dense": _dense,
    "Threshold": _threshold,
    "Requantize": _requantize,
    "SerialMatvec": serial_matvec,
    "RequantizeTable": requantize_table,
    "Merge": _merge,
    "Concatenate": _concat,
    "Pooling2D": _max_pool,
    "SumPool": _sum_pool,
    "Argmax": _argmax,
    "Reshape": _reshape,
    "Repack": _reshape,
}
