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
    from flow.pipeline.build import load_config, standing
    from flow.pipeline.reporter import Reporter
    from flow.pipeline.stages import convert, rtl
    from flow.pipeline.subject import input_codes, subject_of
    from flow.rtl import load_design
    from flow.simulate.bench import run_bench
    from flow.twin.inputs import InputGrid

    config, stages = load_config(run), standing(run, "rtl")
    run = run.absolute()  # the simulator runs in another folder
    written = stages["rtl"].folder.absolute()
    graph = ir.load(stages["convert"].folder / convert.GRAPH)
    folding = file.load(graph, written / rtl.FOLDING)
    subject = subject_of(config)
    grid = InputGrid.from_json(stages["fold"].result.values["input"])
    inputs = input_codes(config, subject.samples(), grid)
    if images > len(inputs):
        raise FlowError(f"--images {images}: {subject.name} has {len(inputs)} test samples")
    frames = inputs[:images]
    with Reporter() as reporter:
        widest = graph.runtime and graph.runtime.widest
        at = f", all layers at {graph.runtime.widths[-1]} bits" if widest else ""
        reporter.line(f"cocotb on {graph.name}: {images} samples, seed {seed}{at}")
        bench = run_bench(
            graph, folding, load_design(written / rtl.FOLDER), np.asarray(frames),
            golden.run(graph, frames, configuration=widest), paths.cache(), run / "simulate", seed, waves, widest,
        )  # fmt: skip
        reporter.line(f"{bench.tests} tests passed in {bench.seconds:.1f} s: every byte equals golden's")
        if bench.waves:
            reporter.line(f"waves: {bench.waves}")
