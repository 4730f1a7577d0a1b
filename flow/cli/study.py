"""`flow study`: uniform quantization against N2UQ under one recipe, in accuracy and in hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data
from flow.files import locked


def study(
    model: Annotated[str, typer.Option(help="A classifier with open widths: resnet8, tiny, ...")] = "resnet8",
    dataset: Annotated[str, typer.Option(help="As of flow build.")] = "auto",
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
    start from the same float network, which is the teacher too, with the same epochs and augmentation; uniform weights
    fill their grids and uniform steps are chosen by least squares. The command goes on where it was stopped. What is
    known of all arms is written to <out>/study.md, .json, .csv and plots after every arm; two processes can train parts
    of one study side by side with --only.
    """
    from rich.console import Console

    from flow.datasets import load
    from flow.errors import FlowError
    from flow.selection import chosen
    from flow.study.arms import ARMS
    from flow.study.results import MARKDOWN, read_rows, write
    from flow.study.train import train_arm
    from flow.training.console import console_progress
    from keras_models import find_model

    spec, arms = find_model(model), chosen(ARMS, only, "arm")
    if spec.task != "classification":
        raise FlowError(f"--model {model}: a study compares accuracies, and this model does not name a class")
    if hardware and not any(arm.hardware for arm in arms):
        built = ", ".join(arm.name for arm in ARMS if arm.hardware)
        raise FlowError(f"--only {only}: none of these is built with --hardware; those that are: {built}")
    images_of = load(dataset, data, spec.input_shape)
    console = Console()

    def results() -> None:
        with locked(out / ".lock"):  # others may train other arms for the same table
            write(read_rows(spec, images_of.name, epochs, out, console.print), out)

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
    failed = []
    if hardware:
        from flow.errors import CheckFailed
        from flow.pipeline.reporter import Reporter
        from flow.study.build import build_arm

        with Reporter(console) as reporter:
            for arm in (arm for arm in arms if arm.hardware):
                reporter.line(f"building {arm.name}")
                path = arm.checkpoint(spec, images_of.name, out)
                try:
                    build_arm(arm, path, out, model, images_of.name, data, max_cycles, images, reporter)
                except (CheckFailed, FlowError) as error:  # the others can be built all the same
                    reporter.line(f"{arm.name}: {error}")
                    failed.append(arm.name)
                results()
    console.print((out / MARKDOWN).read_text(), highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise FlowError(f"not built: {', '.join(failed)}; the reasons stand above")
