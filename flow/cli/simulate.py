"""flow simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    run: Annotated[Path, typer.Argument(help="Folder of a build that has reached the rtl stage.")],
    images: Annotated[int, typer.Option(min=1, help="Test images to send.")] = 3,
    waves: Annotated[bool, typer.Option("--waves", help="Record all signals as FST, for GTKWave or Surfer.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random stalls.")] = 0,
) -> None:
    """Run cocotb on a built network again: random stalls on both sides, frames back to back, reset in mid-frame."""
    import numpy as np

    from flow import golden, ir, paths
    from flow.errors import FlowError
    from flow.folding import file
    from flow.pipeline.build import load_config, stage_folder
    from flow.pipeline.reporter import Reporter
    from flow.pipeline.stages import convert, rtl
    from flow.pipeline.stages.common import dataset_of
    from flow.rtl import load_design
    from flow.simulate.bench import run_bench

    config = load_config(run)
    run = run.absolute()  # the simulator runs in another folder
    converted, written = stage_folder(run, "convert"), stage_folder(run, "rtl")
    if not (written / rtl.FOLDER / "design.json").exists():
        raise FlowError(f"{run} has no RTL yet: flow build --out {run} --to rtl")
    graph = ir.load(converted / convert.GRAPH)
    folding = file.load(graph, written / rtl.FOLDING)
    data = dataset_of(config)
    if images > len(data.x_test):
        raise FlowError(f"--images {images}: {data.name} has {len(data.x_test)} test images")
    frames = data.x_test[:images]
    with Reporter() as reporter:
        reporter.line(f"cocotb on {graph.name}: {images} images of {data.name}, seed {seed}")
        bench = run_bench(
            graph, folding, load_design(written / rtl.FOLDER), np.asarray(frames), golden.run(graph, frames),
            paths.cache(), run / "simulate", seed, waves,
        )  # fmt: skip
        reporter.line(f"{bench.tests} tests passed in {bench.seconds:.1f} s: every byte equals golden's")
        if bench.waves:
            reporter.line(f"waves: {bench.waves}")
