"""The handlers of `flow.hls.lowering` for layers that choose their width for each frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.hls.state import Lowering, check_grid, narrowest, window_of
from flow.ir import Node, RequantizeTable, RuntimeWidths, SerialMatvec, TensorType
from flow.twin.inputs import CONFIGURATION


def read_runtime(layers: list[Any]) -> RuntimeWidths | None:
    """What the frames of an hls4ml graph choose, None where they choose nothing.

    Raises:
        FlowError: the layers do not agree on the configuration.
    """
    serial = {tuple(layer.get_attr("select")): layer for layer in layers if layer.class_name == "SerialMatvec"}
    if not serial:
        return None
    (widths, *more) = {tuple(layer.get_attr("widths")) for layer in serial.values()}
    fields = next((layer for layer in layers if is_configuration(layer)), None)
    count = 0 if fields is None else int(np.prod(fields.get_output_variable().shape))
    if more or sorted(serial) != [(position,) for position in range(count)]:
        raise FlowError(
            f"the input '{CONFIGURATION}' has {count} fields, and the runtime layers read the fields {sorted(serial)}; "
            "each reads one of its own, and all have the same widths"
        )
    return RuntimeWidths(widths, tuple(serial[select].name for select in sorted(serial)))


def is_configuration(layer: Any) -> bool:
    """Whether an hls4ml layer is the configuration or hands it on."""
    return layer.class_name == "PassThrough" or (layer.class_name == "Input" and layer.name == CONFIGURATION)


def in_order_of(layers: tuple[str, ...], nodes: dict[str, Node]) -> dict[str, Node]:
    """`nodes` in a topological order that has the runtime layers in theirs, which Keras' order by depth has not.

    Args:
        layers: names of nodes, none of which is needed for an earlier one.
        nodes: by name, in a topological order.
    """
    found: dict[str, Node] = {}
    for last in (*layers, *nodes):
        needed = {last}
        for node in reversed(nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        found |= {name: node for name, node in nodes.items() if name in needed}
    return found


def serial_matvec(state: Lowering, layer: Any) -> None:
    source = state.source(layer)
    check_grid(layer, source)
    kernel, stride, padding = (
        tuple(int(layer.get_attr(f"{what}_{side}")) for side in sides)
        for what, sides in (
            ("filt", ("height", "width")), ("stride", ("height", "width")), ("pad", ("top", "left", "bottom", "right")),
        )
    )  # fmt: skip
    if (kernel, stride, padding) != ((1, 1), (1, 1), (0, 0, 0, 0)):
        source = state.emit(window_of(f"{layer.name}_window", source, kernel, stride, padding))
    weights = np.asarray(layer.get_weights("weight").data).reshape(-1, layer.get_attr("n_filt")).T
    widths = tuple(layer.get_attr("widths"))
    node = SerialMatvec(
        layer.name,
        (source.name,),
        TensorType((*source.output.shape[:-1], len(weights)), 63, True, layer.get_attr("output_fraction_bits")),
        weights,  # (ky, kx, channel, filter): a row is one filter
        np.zeros(len(weights), np.int64),
        widths[-1],
        widths=widths,
        select=layer.name,
        odd=layer.get_attr("odd"),
    )
    state.give(layer, state.emit(narrowest(node, source)))


def requantize_table(state: Lowering, layer: Any) -> None:
    source, runtime = state.source(layer), state.runtime
    check_grid(layer, source)
    kind = TensorType(
        source.output.shape, layer.get_attr("bits"), layer.get_attr("signed"), layer.get_attr("output_fraction_bits")
    )
    multiplier, bias, maximum = (np.asarray(layer.get_weights(name).data) for name in ("multiplier", "bias", "maximum"))
    select = tuple(runtime.layers[position] for position in layer.get_attr("select"))
    shape = (len(runtime.widths) ** len(select), kind.channels)
    node = RequantizeTable(
        layer.name, (source.name,), kind, multiplier.reshape(shape), bias.reshape(shape), maximum,
        layer.get_attr("shift"), runtime.widths, select,
    )  # fmt: skip
    state.give(layer, state.emit(node))
