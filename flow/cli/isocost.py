"""flow isocost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data


def isocost(
    model: Annotated[str, typer.Option(help="Network whose channels are multiplied: a classifier.")] = "resnet8",
    bits: Annotated[str, typer.Option(help="Widths of all weights, with commas between.")] = "1,2,4,8",
    equal: Annotated[str, typer.Option(help="bytes of weights, luts at --cycles, or cycles on --board.")] = "bytes",
    share: Annotated[
        float, typer.Option(min=0.01, max=1, help="MACs of the network of the widest width, as a share of the model's.")
    ] = 0.2,
    cycles: Annotated[int, typer.Option(min=1, help="Between frames, of networks of equal bytes or LUTs.")] = 16384,
    board: Annotated[str, typer.Option(help="Whose resources the builds may fill.")] = "pynq-z2",
    dataset: Annotated[str, typer.Option(help="A name of `flow models`, or auto.")] = "auto",
    data: Data = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each network.")] = 1,
    mixed: Annotated[bool, typer.Option(help="Add a network with searched widths at the same cost.")] = True,
    float_epochs: Annotated[int, typer.Option(min=1, help="Of each network's float start.")] = 10,
    search_epochs: Annotated[int, typer.Option(min=1, help="Of a mixed network, in which its widths are learned.")] = 6,
    epochs: Annotated[int, typer.Option(min=1, help="Of quantized training, those of a search included.")] = 20,
    hardware: Annotated[bool, typer.Option(help="Build the networks of seed 0: C simulation, RTL, synthesis.")] = False,
    images: Annotated[int, typer.Option(min=1, help="Test images that go through C simulation and RTL.")] = 200,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show the networks and their cost, and stop.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the studies of a model. [runs/isocost-<model>]")] = None,
) -> None:
    """Compare bit-widths at equal cost: fewer bits, more channels.

    For every width of the weights (activations have 8 bits) the channels are multiplied until the network costs what
    the one of the widest width costs: the question of Chin et al., arXiv 2008.09916, at equal bytes, and at equal LUTs
    or cycles of this project's hardware. Added are networks that were not widened, and one whose widths were searched
    layer by layer at the same cost. For equal LUTs the networks are synthesized before they are trained. Results so far
    are in <out>/<kind>/isocost.md, .json, .csv and accuracy.svg; the command goes on where it was stopped, and studies
    of several kinds of cost in one folder share their networks.
    """
    from rich.console import Console

    from flow.boards import find_board
    from flow.cli.tables import plain_table
    from flow.isocost.arms import Folders, Recipe, parse_widths, plan, reference
    from flow.isocost.solve import Equal
    from keras_models import find_model

    spec, widths, chip = find_model(model), parse_widths(bits), find_board(board)
    recipe, console = Recipe(float_epochs, search_epochs, epochs), Console()
    folders = Folders(out or Path("runs") / f"isocost-{model}", equal)
    first = reference(spec, share)
    common = Equal.of(equal, first, widths[-1], chip, cycles)
    if equal == "luts" and not plan_only:
        from flow.isocost.measure import equal_measured

        common = equal_measured(spec, first, widths, common, folders.results, console.print)
    arms = plan(spec, first, widths, common, chip, seeds, mixed)
    table = plain_table("", "weights, bits", "network", "kind", "MACs", "of the common cost", right=(1, 4, 5))
    for arm in arms:
        if arm.seed == 0:
            share_of = None if arm.bits is None else common.share(arm.spec, arm.bits)
            part = "-" if share_of is None else f"{share_of:.1%}"
            table.add_row(arm.label, arm.spec.name, arm.group, f"{arm.spec.macs:,}", part)
    console.print(table)
    if plan_only:
        return

    from flow.datasets import load
    from flow.isocost.results import MARKDOWN, read_row, write
    from flow.isocost.train import base_teacher, finished, found_widths, train_arm
    from flow.training.console import console_progress, duration

    images_of = load(dataset, data, spec.input_shape)

    def results() -> None:
        done = [(arm, finished(arm, images_of.name, recipe, folders)) for arm in arms]
        rows = [
            read_row(arm, found_widths(arm, folders), common, path, folders.build(arm, common.cycles))
            for arm, path in done
            if path is not None
        ]
        write(rows, common, folders.results)

    with console_progress(console) as progress:
        progress.on_message(images_of.source)
        try:
            teacher = base_teacher(model, images_of, folders, progress)
            todo = [arm for arm in arms if finished(arm, images_of.name, recipe, folders) is None]
            started, spent = time.monotonic(), 0.0
            for number, arm in enumerate(todo, start=1):
                progress.on_message(f"network {number} of {len(todo)}: {arm.name}")
                train_arm(arm, common, chip, images_of, teacher, recipe, folders, progress)
                spent += recipe.cost(arm)
                left = (time.monotonic() - started) / spent * sum(recipe.cost(other) for other in todo[number:])
                progress.on_message(f"{number} of {len(todo)} networks trained, about {duration(left)} left")
                results()
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last whole epoch")
            raise typer.Exit(130) from None
    results()
    failed = []
    if hardware:
        from flow.errors import CheckFailed, FlowError
        from flow.isocost.build import build_arm
        from flow.pipeline.reporter import Reporter

        with Reporter(console) as reporter:
            for arm in (arm for arm in arms if arm.seed == 0):
                reporter.line(f"building {arm.name}")
                widths_of = found_widths(arm, folders)
                try:
                    build_arm(arm, widths_of, images_of.name, data, board, common.cycles, images, folders, reporter)
                except (CheckFailed, FlowError) as error:  # the others can be built all the same
                    reporter.line(f"{arm.name}: {error}")
                    failed.append(arm.name)
                results()
    console.print((folders.results / MARKDOWN).read_text(), highlight=False, markup=False, soft_wrap=True)
    if failed:
        console.print(f"not built: {', '.join(failed)}")
        raise typer.Exit(1)
