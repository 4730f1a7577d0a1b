"""Runs a graph in integers: what every engine must equal, layer by layer."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from flow.errors import FlowError
from flow.golden import functions as f
from flow.ir import (
    Add,
    Argmax,
    Concat,
    Configuration,
    Depthwise,
    Flatten,
    Fork,
    Graph,
    Matvec,
    MaxPool,
    Node,
    Output,
    Requantize,
    RequantizeTable,
    SerialMatvec,
    SumPool,
    Threshold,
    Window,
)

#: feature maps of this many images at a time stay in the processor's cache
BATCH = 32


def evaluate(node: Node, *inputs: np.ndarray, table: np.ndarray | None = None) -> np.ndarray:
    """The output of one node, int64 with a leading batch axis.

    Args:
        table: what each frame's configuration selects (see `RuntimeWidths.tables`), int (B,), for nodes that let it.
    """
    match node:
        case Window():
            return f.window(inputs[0], node.kernel, node.stride, node.padding)
        case SerialMatvec():
            bits = np.asarray(node.widths)[table]
            return f.serial_matvec(inputs[0], node.weights, node.weight_bits, bits, node.odd)
        case Matvec():
            return f.matvec(inputs[0], node.weights, node.bias)
        case Depthwise():
            return f.depthwise(inputs[0], node.weights, node.bias, node.multiplier)
        case Threshold():
            return f.threshold(inputs[0], node.thresholds, node.flip, node.offset)
        case Requantize():
            low, high = node.output.minimum, node.output.maximum
            return f.requantize(inputs[0], node.multiplier, node.bias, node.shift, low, high, node.ties_to_even)
        case RequantizeTable():
            constants = (node.multiplier, node.bias, node.shift, node.minimum, node.maximum)
            return f.requantize_table(inputs[0], *constants, table)
        case Add():
            return f.add(*inputs)
        case Concat():
            return f.concat(*inputs)
        case Argmax():
            return f.argmax(inputs[0])
        case MaxPool():
            return f.max_pool(inputs[0], node.kernel)
        case SumPool():
            return f.sum_pool(inputs[0], node.kernel)
        case Flatten():
            return inputs[0].reshape(inputs[0].shape[0], -1)
        case Fork() | Output():
            return inputs[0]
    raise TypeError(f"{node.name}: the golden model has no meaning for {type(node).__name__}")


def layers(graph: Graph, x: np.ndarray, configuration: Configuration | None = None) -> dict[str, np.ndarray]:
    """Every node's output for a batch.

    Args:
        x: integers (B, *input shape).
        configuration: for a graph with runtime layers their widths, of all frames or of each; see
            `RuntimeWidths.fields`.

    Returns:
        int64 arrays by node name, (B, *output shape).

    Raises:
        FlowError: `x` has another shape, or a value that the input's type cannot hold, or the configuration does
            not fit the graph.
    """
    expected = graph.input.output
    if x.shape[1:] != expected.shape:
        raise FlowError(f"golden model: images have shape {x.shape[1:]}, {graph.name} takes {expected.shape}")
    if x.size and (x.min() < expected.minimum or x.max() > expected.maximum):
        raise FlowError(f"golden model: pixel outside {expected.minimum}..{expected.maximum}")
    fields = graph.fields(configuration, len(x))
    values = {graph.input.name: x.astype(np.int64)}
    for node in graph.nodes[1:]:
        table = None
        if isinstance(node, (SerialMatvec, RequantizeTable)):
            table = graph.runtime.tables(node.selection, fields)
        values[node.name] = evaluate(node, *(values[name] for name in node.inputs), table=table)
    return values


def run(
    graph: Graph,
    x: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
    configuration: Configuration | None = None,
) -> np.ndarray:
    """The network's output, int64 (B, *output shape), on all cores; `progress` hears how many images are done."""
    widths = graph.widths(configuration, len(x))

    def part(start: int) -> np.ndarray:
        own = None if widths is None else widths[start : start + BATCH]
        return layers(graph, x[start : start + BATCH], own)[graph.output.name]

    outputs, pool = [], ThreadPoolExecutor(os.cpu_count())
    try:
        for output in pool.map(part, range(0, len(x), BATCH)):
            outputs.append(output)
            progress(min(len(outputs) * BATCH, len(x)))
    finally:
        pool.shutdown(cancel_futures=True)
    return np.concatenate(outputs)
