"""`flow study`: uniform quantization against N2UQ under one recipe, in accuracy and in hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data


def study(
    model: Annotated[str, typer.Option(help="Network: resnet8, tiny.")] = "resnet8",
    dataset: Annotated[str, typer.Option(help="cifar10, digits or auto.")] = "auto",
    data: Data = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of every training.")] = 15,
    only: Annotated[
        str | None, typer.Option(metavar="ARM,ARM", help="Some arms, such as n2uq-w2a2-seed-0,uniform-w2a2-seed-0.")
    ] = None,
    hardware: Annotated[
        bool, typer.Option(help="Build seed 0 of n2uq and uniform at every width as well: C simulation, RTL, LUTs.")
    ] = False,
    max_cycles: Annotated[int, typer.Option(min=1, help="Cycles between frames of every built network.")] = 16384,
    images: Annotated[int, typer.Option(min=1, help="Test images that go through C simulation and RTL.")] = 1000,
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, builds and results.")] = Path("runs/n2uq-study"),
) -> None:
    """Train N2UQ and uniform networks under one recipe and compare them.

    At 2, 3 and 4 bits: uniform QKeras against N2UQ; at 2 bits also each part of N2UQ alone and a second seed. All
    start from the same float network, which is the teacher too, with the same epochs and augmentation; uniform filters
    fill their grids and uniform steps are chosen by least squares. The command goes on where it was stopped; what is
    known is written to <out>/study.md, .json, .csv and accuracy.svg after every arm.
    """
    from rich.console import Console

    from flow.datasets import load
    from flow.study.arms import chosen
    from flow.study.results import read_row, write
    from flow.study.train import finished, train_arm
    from flow.training.console import console_progress
    from keras_models import find_model

    spec, arms = find_model(model), chosen(only)
    images_of = load(dataset, data, spec.input_shape)
    console = Console()

    def results() -> None:
        rows = []
        for arm in arms:
            path = finished(arm, spec, images_of.name, epochs, out)
            if path is not None:
                rows.append(read_row(arm, path, out / "builds" / arm.name))
        write(rows, out)

    with console_progress(console) as progress:
        progress.on_message(images_of.source)
        try:
            for number, arm in enumerate(arms, start=1):
                progress.on_message(f"arm {number} of {len(arms)}: {arm.name}")
                train_arm(arm, spec, images_of, epochs, out, progress)
                results()
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last whole epoch")
            raise typer.Exit(130) from None
    if hardware:
        from flow.pipeline.reporter import Reporter
        from flow.study.build import build_arm

        with Reporter(console) as reporter:
            for arm in arms:
                if arm.hardware:
                    reporter.line(f"building {arm.name}")
                    path = arm.checkpoint(spec, images_of.name, out)
                    build_arm(arm, path, out, model, images_of.name, data, max_cycles, images, reporter)
                    results()
    console.print((out / "study.md").read_text(), highlight=False, markup=False, soft_wrap=True)
