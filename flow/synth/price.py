"""What odd weight codes cost: layers that have them or take their sums, against the same with uniform codes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flow.folding import Folding
from flow.ir import (
    Flatten,
    Fork,
    Graph,
    MaxPool,
    Node,
    Output,
    Requantize,
    TensorType,
    Threshold,
    WeightCode,
    Weighted,
    Window,
    signed_width,
)
from flow.rtl import write
from flow.synth import xc7
from flow.synth.network import layer_jobs
from flow.synth.xc7 import Resources

#: nodes that hand on the elements that they read
_COPIES = (Output, Fork, Window, MaxPool, Flatten)


def priced_layers(graph: Graph) -> list[str]:
    """The layers with odd weight codes, and the quantizers that compare their sums, which are wider for it.

    A single bit is -1 or +1 in every system and has no price.
    """
    uniform = uniform_codes(graph).by_name

    def differs(node: Node) -> bool:
        if isinstance(node, Weighted):
            return _is_odd(node)
        sources = [(graph.by_name[name].output, uniform[name].output) for name in node.inputs]
        return isinstance(node, Threshold | Requantize) and any(ours != plain for ours, plain in sources)

    return [node.name for node in graph.nodes if differs(node)]


def uniform_codes(graph: Graph) -> Graph:
    """The graph with each odd weight 2k + 1 replaced by its code k, and accumulators as narrow as that allows.

    The memories hold the same bits, so that nothing but the arithmetic differs.
    """
    found: dict[str, Node] = {}
    for node in graph.nodes:
        sources = tuple(found[name].output for name in node.inputs)
        if _is_odd(node):
            node = _uniform(node, sources[0])
        elif isinstance(node, _COPIES):
            node = replace(node, output=replace(node.output, width_bits=sources[0].width_bits))
        found[node.name] = node
    return Graph(graph.name, tuple(found.values()), graph.runtime)


def measure_uniform(
    graph: Graph,
    folding: Folding,
    sizes: Mapping[str, float],
    cache: Path,
    progress: Callable[[str, Resources, int, int], None] | None = None,
) -> dict[str, Resources]:
    """Synthesizes the layers of `priced_layers` with uniform codes under the same folding, each alone.

    Args:
        graph, folding: of the network with odd codes.
        sizes, cache, progress: as of `flow.synth.network.measure`.

    Raises:
        FlowError, CheckFailed: as `xc7.synthesize_many`.
    """
    names = priced_layers(graph)
    if not names:
        return {}
    with tempfile.TemporaryDirectory(prefix="flow-") as folder:
        design = write(uniform_codes(graph), folding, Path(folder))
        jobs = [job for job in layer_jobs(design, sizes) if job.name in names]
        found = xc7.synthesize_many(jobs, cache, progress=progress)
    return {name: found[name] for name in names}


def _is_odd(node: Node) -> bool:
    return isinstance(node, Weighted) and node.weight_code is WeightCode.ODD and node.weight_bits > 1


def _uniform(node: Weighted, source: TensorType) -> Weighted:
    found = replace(node, weights=(node.weights - 1) // 2, weight_code=WeightCode.TWOS)
    return replace(found, output=replace(node.output, width_bits=signed_width(*found.bounds(source))))
