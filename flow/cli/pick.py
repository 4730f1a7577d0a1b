"""`flow pick`: the best measured configuration within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flow.mixer.curve import Curve


def pick(
    curve: Annotated[Path, typer.Argument(metavar="CURVE", help="What `flow mixer` wrote: its folder or its JSON.")],
    avg_bits: Annotated[float | None, typer.Option(help="Average bits of the layers that can change, at most.")] = None,
    budget_cycles: Annotated[int | None, typer.Option(min=1, help="Cycles between frames, at most.")] = None,
    build: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder of a build with --runtime-bits, whose cycles they are.")
    ] = None,
) -> None:
    """Choose the best configuration of a network whose layers change width while it runs.

    Searches the configurations that `flow mixer` has measured, and prints the width of every layer, what the host
    writes to the registers, and the same as the word of the configuration port.

    \b
    flow pick runs/mixer --avg-bits 3
    flow pick runs/mixer --budget-cycles 20000 --build runs/resnet8-mixer-w234-cifar10
    """
    from flow.ir import RuntimeWidths
    from flow.mixer.curve import read_curve
    from flow.mixer.pick import pick as choose
    from flow.rtl.ip import LAYER_BITS
    from flow.tasks import metric_text

    measured, counted = read_curve(curve), ""
    if build is not None:
        measured, counted = _with_cycles_of(build, measured)
    found = choose(measured, avg_bits, budget_cycles)
    for layer, bits in zip(measured.layers, found.bits, strict=True):
        typer.echo(f"{layer}: {bits}")
    cycles = "" if found.cycles is None else f", {found.cycles:,} cycles between frames ({counted})"
    score = metric_text(measured.metric, found.score)
    typer.echo(f"# {measured.metric} {score}, {found.average_bits:.3f} bits on average{cycles}")
    digits = -(-RuntimeWidths(measured.widths, measured.layers).word_bits // 4)
    writes = ", ".join(f"{LAYER_BITS + 4 * number:#x} = {bits}" for number, bits in enumerate(found.bits))
    typer.echo(f"# registers: {writes}")
    typer.echo(f"# configuration port: {found.word:#0{2 + digits}x}")


def _with_cycles_of(run: Path, measured: Curve) -> tuple[Curve, str]:
    """The configurations with the cycles that a build takes for each, and how they were found.

    They are those of the folding, and where the RTL was simulated, more by the greatest share that it took more.
    """
    from math import ceil

    from flow import ir
    from flow.errors import FlowError
    from flow.folding import file
    from flow.mixer.pick import with_cycles
    from flow.pipeline.build import standing
    from flow.pipeline.stages import convert, rtl
    from flow.training.checkpoints import read_meta

    stages = standing(run, "rtl")
    trained = stages["train"]
    meta = read_meta(trained.folder / trained.result.values["network"])
    if meta.sha256 != measured.sha256:
        raise FlowError(
            f"--build {run}: has other weights than the measured network ({meta.model} on {meta.dataset}, not "
            f"{measured.model} on {measured.dataset}, or trained again); give its own build, or measure it again"
        )
    graph = ir.load(stages["convert"].folder / convert.GRAPH)
    folding = file.load(graph, stages["rtl"].folder / rtl.FOLDING)
    try:
        runs = standing(run, "simulate")["simulate"].result.values["configurations"]
    except FlowError:  # the build has stopped before
        runs = []
    margin = max([1.0, *(run["interval_cycles"] / run["planned_cycles"] for run in runs)])
    counted = f"planned, and {margin - 1:.1%} for what simulation took more" if runs else "planned, not simulated"
    return with_cycles(measured, lambda bits: ceil(folding.at(bits).interval(graph) * margin)), counted
