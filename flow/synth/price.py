"""What odd weight codes cost: the layers that have them, against the same layers with uniform codes of equal bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from flow.folding import Folding
from flow.ir import Graph, Node, WeightCode, Weighted, signed_width
from flow.rtl import write
from flow.synth import xc7
from flow.synth.network import layer_jobs
from flow.synth.xc7 import Resources


def priced_layers(graph: Graph) -> list[str]:
    """The layers with odd weight codes; a single bit is -1 or +1 in every system and has no price."""
    return [node.name for node in graph.nodes if _is_priced(node)]


def uniform_codes(graph: Graph) -> Graph:
    """The graph with each odd weight 2k + 1 replaced by its code k, and accumulators as narrow as that allows.

    The memories hold the same bits, so that nothing but the arithmetic differs.
    """
    return Graph(graph.name, tuple(_uniform(graph, node) if _is_priced(node) else node for node in graph.nodes))


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


def _is_priced(node: Node) -> bool:
    return isinstance(node, Weighted) and node.weight_code is WeightCode.ODD and node.weight_bits > 1


def _uniform(graph: Graph, node: Weighted) -> Weighted:
    found = replace(node, weights=(node.weights - 1) // 2, weight_code=WeightCode.TWOS)
    return replace(found, output=replace(node.output, width_bits=signed_width(*found.bounds(graph.sources(node)[0]))))
