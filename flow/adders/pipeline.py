"""Where the registers of a graph of adders stand, and what the whole takes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from flow.adders.graph import AdderGraph
from flow.ir.types import TensorType

LEVELS = 2
"""Adders one after the other between two registers."""


def stages(graph: AdderGraph) -> int:
    """Stages of adders; the results have one more, in which signs and biases are applied."""
    return ceil(max(graph.levels, default=0) / LEVELS)


def stage_of(graph: AdderGraph, value: int) -> int:
    """The stage in which a value, by number, is computed; 0 for the inputs, which are there before."""
    return max(graph.levels[value] - 1, 0) // LEVELS


def delays(graph: AdderGraph) -> dict[int, list[int]]:
    """For each value how many cycles later it is read, ascending, 0 left out."""
    found: dict[int, set[int]] = {}
    for value, delay in _uses(graph):
        if delay:
            found.setdefault(value, set()).add(delay)
    return {value: sorted(cycles) for value, cycles in sorted(found.items())}


def _uses(graph: AdderGraph) -> Iterator[tuple[int, int]]:
    for number, adder in enumerate(graph.adders, start=graph.inputs):
        for operand in (adder.left, adder.right):
            yield operand, stage_of(graph, number) - stage_of(graph, operand)
    for result in graph.results:
        if result.value is not None:
            yield result.value, stages(graph) - stage_of(graph, result.value)


def luts(graph: AdderGraph, source: TensorType) -> int:
    """A LUT for each bit of an adder where both operands have one: an estimate."""
    types = graph.types(source)
    wires = [adder.right_shift + (0 if adder.subtract else adder.left_shift) for adder in graph.adders]
    widths = [kind.width_bits for kind in types[graph.inputs :]]
    return sum(max(width - low, 1) for width, low in zip(widths, wires))


def registers(graph: AdderGraph, source: TensorType) -> int:
    """Flip-flops of the delays."""
    types = graph.types(source)
    return sum(types[value].width_bits * cycles[-1] for value, cycles in delays(graph).items())
