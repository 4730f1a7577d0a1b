"""`flow study`: uniform quantization against N2UQ under one recipe, in accuracy and in hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data


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
    of one study side by side with --only, and what both need is trained by one. What a build has measured is kept in
    reports/, without the build. A build that fails stops no other; the command then ends with status 1.
    """
    from rich.console import Console

    from flow.datasets import load
    from flow.errors import FlowError
    from flow.n2uq_study.arms import Recipe, plan
    from flow.selection import chosen
    from keras_models import find_model

    spec = find_model(model)
    arms = plan(spec)
    here = chosen(arms, only, "arm")
    built = [arm for arm in here if arm.hardware] if hardware else []
    if spec.task != "classification":
        raise FlowError(f"--model {model}: a study compares accuracies, and this model does not name a class")
    if hardware and not built:
        names = ", ".join(arm.name for arm in arms if arm.hardware)
        raise FlowError(f"--only {only}: none of these is built with --hardware; those that are: {names}")
    images_of = load(dataset, data, spec.input_shape)

    from flow.n2uq_study.subject import Thresholds
    from flow.study.hardware import Hardware
    from flow.study.loop import run_study
    from flow.training.config import default_config
    from flow.training.progress import Progress
    from flow.training.run import find_float

    def subject(progress: Progress) -> Thresholds:
        return Thresholds(arms, images_of, Hardware(max_cycles, images, data), progress, epochs, out)

    start = find_float(spec, images_of.name, out)
    recipe = Recipe(epochs, 0 if start else default_config(images_of.name, spec.input_shape, quantized=False).epochs)
    run_study(subject, recipe, images_of, here, built, Console())
