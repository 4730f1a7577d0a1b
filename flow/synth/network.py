"""A whole network: every layer's module alone, and what joins the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flow.folding.cost import BETWEEN
from flow.rtl import Design
from flow.synth import ecp5, xc7
from flow.synth.ecp5 import Timing
from flow.synth.job import Job
from flow.synth.xc7 import Resources

#: what joins the layers, beside the layers' names in results and messages
REST = BETWEEN


@dataclass(frozen=True)
class Measured:
    """Resources of each layer by node name, of what is between them, and their sum."""

    layers: dict[str, Resources]
    rest: Resources
    total: Resources


def layer_jobs(design: Design, sizes: Mapping[str, float]) -> list[Job]:
    """One job for each layer's module, the largest first, so that both cores are busy to the end.

    Args:
        design: the written network.
        sizes: an estimate of each layer's size, by node name.
    """
    memories = design.memory_files
    jobs = [Job(node, design.sources, module, memory_files=memories) for node, module in design.layers.items()]
    return sorted(jobs, key=lambda job: -sizes.get(job.name, 0))


def measure(
    design: Design,
    sizes: Mapping[str, float],
    cache: Path,
    progress: Callable[[str, Resources, int, int], None] | None = None,
) -> Measured:
    """Synthesizes each layer, and the AXI4-Stream top with the layers as black boxes.

    The total is the sum: nothing is optimized across the streams between layers, and no layer is synthesized twice.

    Raises:
        FlowError, CheckFailed: as `xc7.synthesize_many`.
    """
    boxes = tuple(design.layers.values())
    rest = Job(REST, design.sources, f"{design.name}_top", memory_files=design.memory_files, black_boxes=boxes)
    found = xc7.synthesize_many([*layer_jobs(design, sizes), rest], cache, progress=progress)
    layers = {node: found[node] for node in design.layers}
    return Measured(layers, found[REST], xc7.whole(found.values()))


def route(
    design: Design,
    sizes: Mapping[str, float],
    cache: Path,
    rows: Mapping[str, int],
    most: int | None,
    cpu_s: int | None,
    progress: Callable[[str, Timing, int, int], None] | None = None,
) -> dict[str, Timing]:
    """Routes each layer's module alone; by node name.

    Args:
        design, sizes, cache, progress: as of `measure`.
        rows: number of rows (PE) of the layers whose rows are copies of one another.
        most: rows of such a layer that are routed; None for all.
        cpu_s: processor time that a module may take to be placed and routed; None for no limit.

    Raises:
        FlowError, CheckFailed: as `ecp5.route_many`.
    """
    jobs = [
        replace(job, lanes=(most, rows[job.name])) if most and rows.get(job.name, 0) > most else job
        for job in layer_jobs(design, sizes)
    ]
    found = ecp5.route_many(jobs, cache, progress=progress, cpu_s=cpu_s)
    return {node: found[node] for node in design.layers}
