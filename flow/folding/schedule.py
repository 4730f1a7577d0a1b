"""When each pixel can exist, and from that the depth of every FIFO.

Both branches of a residual block leave one fork. The longer branch holds back: a 3x3 window gives its first output
only when a row and a pixel have arrived. Meanwhile the shorter branch goes on and must be stored, or the fork blocks
and nothing moves again. How much must be stored follows from the windows alone.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from flow import adders
from flow.adders import pipeline
from flow.folding.fold import Arithmetic, Folding, driver
from flow.folding.steps import backlog, completions
from flow.ir import Add, Concat, Graph, Matvec, MaxPool, Node, Requantize, SumPool, Threshold, Weighted, Window

#: pixels beyond the schedule, for the registers between the units
SPARE_PIXELS = 2


def _pool_tap(node: MaxPool | SumPool, source_shape: tuple[int, ...]) -> np.ndarray:
    rows = (np.arange(node.output.shape[0]) + 1) * node.kernel[0] - 1
    columns = (np.arange(node.output.shape[1]) + 1) * node.kernel[1] - 1
    return (rows[:, None] * source_shape[1] + columns[None, :] + 1).ravel()


def arrivals(graph: Graph, origin: str) -> dict[str, np.ndarray]:
    """For each node behind `origin` and each of its pixels: how many of `origin`'s pixels it must wait for."""
    needed = {origin: np.arange(1, graph.by_name[origin].output.positions + 1)}
    for node in graph.nodes:
        before = [needed[name] for name in node.inputs if name in needed]
        if not before or node.name == origin:
            continue
        source = graph.sources(node)[0]
        if isinstance(node, Window):
            needed[node.name] = before[0][np.minimum(completions(node, source.shape)[0], source.positions - 1)]
        elif isinstance(node, (MaxPool, SumPool)):
            needed[node.name] = before[0][_pool_tap(node, source.shape) - 1]
        elif node.output.positions < source.positions:  # flatten
            needed[node.name] = before[0][-1:]
        else:
            needed[node.name] = np.maximum.reduce(before)
    return needed


def _ancestors(graph: Graph, name: str) -> set[str]:
    """`name` and everything that it is made from."""
    return {name}.union(*(_ancestors(graph, source) for source in graph.by_name[name].inputs))


def origin_of(graph: Graph, node: Add | Concat) -> str:
    """The last node that both operands of an add or a concat are made from: the fork where the branches part."""
    common = set.intersection(*(_ancestors(graph, name) for name in node.inputs))
    return next(n.name for n in reversed(graph.nodes) if n.name in common)


def latency_cycles(node: Node, folding: Folding) -> int:
    """Cycles from the last input that an output pixel needs to that pixel's last beat: registers and folded work."""
    match node:
        case Window():
            return 4
        case Weighted() if folding.folds[node.name].arithmetic is Arithmetic.ADDERS:
            return pipeline.stages(adders.solve(node.weights)) + 5
        case Weighted():
            return folding.vector_cycles(node) + 10
        case Threshold():
            return node.output.width_bits + 4 + node.output.channels // folding.folds[node.name].lanes
        case Requantize():
            return 8 + node.output.channels // folding.folds[node.name].lanes
        case Concat():
            return 3 + node.output.channels // folding.folds[node.name].lanes
        case _:
            return 3


def _path_latency(graph: Graph, folding: Folding, name: str) -> int:
    """The largest sum of latencies on any path from the input to `name`."""
    total: dict[str, int] = {}
    for node in graph.nodes:
        total[node.name] = max((total[i] for i in node.inputs), default=0) + latency_cycles(node, folding)
        if node.name == name:
            break
    return total[name]


def fifo_depths(graph: Graph, folding: Folding) -> dict[tuple[str, str], int]:
    """Beats that the edges (producer, consumer) must store, for those that must store any.

    These lead to adds and concats, windows, and to matrices behind a window or a pool that leaves positions out.
    Counted in beats of the consumer's lanes.
    """
    return _window_depths(graph, folding) | _burst_depths(graph, folding) | _join_depths(graph, folding)


def _burst_depths(graph: Graph, folding: Folding) -> dict[tuple[str, str], int]:
    """Vectors that wait in front of a matrix without a window, because its positions come in bursts.

    A stride or a pool gives all positions of a row while it takes that row, and then none for some rows. The matrix
    works at a constant rate; what it has not yet taken is stored, or the layers in front stand still.
    """
    interval, needed = folding.interval(graph), arrivals(graph, graph.input.name)
    depths = {}
    for node in graph.nodes:
        source = graph.by_name[node.inputs[0]] if node.inputs else node
        if not isinstance(node, Matvec) or isinstance(source, Window) or node.output.positions == 1:
            continue
        spacing, cycles = interval / graph.input.output.positions, folding.vector_cycles(node)
        own = _position_cycles(graph, folding, source)
        given, taken = [], []
        for frame in range(2):  # the second frame finds what the first left
            for pixels in needed[source.name]:
                given.append(max(frame * interval + pixels * spacing, given[-1] + own if given else 0))
                taken.append(max(given[-1], taken[-1] + cycles if taken else 0))
        waiting = int((np.searchsorted(given, taken, side="right") - np.arange(len(taken))).max()) - 1
        if waiting > 0:
            depths[source.name, node.name] = waiting + SPARE_PIXELS
    return depths


def _position_cycles(graph: Graph, folding: Folding, node: Node) -> int:
    """Cycles that the unit which decides when positions come takes for one."""
    while not isinstance(node, (Weighted, MaxPool, SumPool)) and node.inputs:
        node = graph.by_name[node.inputs[0]]
    if isinstance(node, Weighted):
        return folding.vector_cycles(node)
    return node.output.channels // folding.output_lanes(graph, node)


def _window_depths(graph: Graph, folding: Folding) -> dict[tuple[str, str], int]:
    """Beats that wait in front of each window, so that the layers before it never stand still."""
    depths = {}
    for node in graph.nodes:
        if isinstance(node, Weighted) and isinstance(window := graph.by_name[node.inputs[0]], Window):
            beats = folding.window_beats(graph, window)
            depth = backlog(window, graph.sources(window)[0].shape, folding.vector_cycles(node) // beats, beats)
            if depth > 1:
                depths[window.inputs[0], window.name] = depth
    return depths


def _join_depths(graph: Graph, folding: Folding) -> dict[tuple[str, str], int]:
    """What the shorter branch into each add or concat must store.

    An edge needs what its producer can have given, at the moment when the other
    operand's pixel arrives, beyond what the join has taken; and as many pixels more as flow by during the difference
    of the two branches' latencies. A concat takes one operand's whole pixel while the other's waits.
    """
    interval = folding.interval(graph)
    depths: dict[tuple[str, str], int] = {}
    for node in graph.nodes:
        if not isinstance(node, (Add, Concat)):
            continue
        needed = arrivals(graph, origin_of(graph, node))
        for own, other in (node.inputs, node.inputs[::-1]):
            beats = graph.by_name[own].output.channels // folding.folds[node.name].lanes
            given = np.searchsorted(needed[own], needed[other], side="right")
            ahead = np.where(needed[own] < needed[other], given - np.arange(len(given)) - 1, 0)
            waiting = int(ahead.max())
            lag = _path_latency(graph, folding, other) - _path_latency(graph, folding, own)
            passing = ceil(max(lag, 0) * node.output.positions / interval)
            spare = SPARE_PIXELS if node.output.positions > 1 else 1  # a vector is a whole frame
            if waiting + passing > 0 or (isinstance(node, Concat) and beats > 1):
                depths[driver(graph, own).name, node.name] = (waiting + passing + spare) * beats
    return depths
