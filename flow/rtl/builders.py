"""Which function makes the module of which node."""

from __future__ import annotations

from collections.abc import Callable

from flow.ir import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Fork,
    Matvec,
    MaxPool,
    Node,
    Requantize,
    RequantizeTable,
    SerialMatvec,
    SumPool,
    Threshold,
)
from flow.rtl import layers, runtime
from flow.rtl.layers import Context, Layer

BUILDERS: dict[type[Node], Callable[[Context, Node], Layer]] = {
    Matvec: layers.weighted, Depthwise: layers.weighted, SerialMatvec: runtime.serial_matvec,
    Threshold: layers.threshold, Requantize: layers.requantize, RequantizeTable: runtime.requantize_table,
    MaxPool: layers.pool, SumPool: layers.pool,
    Add: layers.join, Concat: layers.join, Argmax: layers.argmax, Fork: layers.fork,
}  # fmt: skip


def build_layers(context: Context) -> list[Layer]:
    """A module for each node that has one, in graph order."""
    return [BUILDERS[type(node)](context, node) for node in context.graph.nodes if type(node) in BUILDERS]
