"""flow isocost."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data

#: the width that the question about searched widths is asked for
MIXED_AT = "4"


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
    mixed: Annotated[
        str,
        typer.Option(
            metavar="BITS,BITS",
            help="Widths beside whose networks stands one of as many channels with searched widths, or none.",
        ),
    ] = MIXED_AT,
    float_epochs: Annotated[int, typer.Option(min=1, help="Of each network's float start.")] = 10,
    search_epochs: Annotated[int, typer.Option(min=1, help="Of a mixed network, in which its widths are learned.")] = 6,
    epochs: Annotated[int, typer.Option(min=1, help="Of quantized training, those of a search included.")] = 20,
    hardware: Annotated[bool, typer.Option(help="Build the networks too: C simulation, RTL, synthesis.")] = False,
    images: Annotated[int, typer.Option(min=1, help="Test images that go through C simulation and RTL.")] = 200,
    only: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Train and build some networks, by the names of --plan.")
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan", help="Show the networks and their cost, and stop.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the studies of a model. [runs/isocost-<model>]")] = None,
) -> None:
    """Compare bit-widths at equal cost: fewer bits, more channels.

    For every width of the weights (activations have 8 bits) the channels are multiplied until the network costs what
    the one of the widest width costs: the question of Chin et al., arXiv 2008.09916, at equal bytes, and at equal LUTs
    or cycles of this project's hardware. Added are networks that were not widened, and with --mixed some whose widths
    were searched layer by layer at the same cost. For equal LUTs and cycles networks are synthesized before they are
    trained. ResNet-8's float network, which comes with the project, teaches all where it knows the classes, else the
    model's own.

    Results so far are in <out>/<kind>/isocost.md, .json, .csv and accuracy.svg; the command goes on where it was
    stopped, and studies of several kinds of cost in one folder share their networks. With --only several processes
    train one study side by side. What a build has measured is kept in reports/, without the build.
    """
    from rich.console import Console

    from flow.boards import find_board
    from flow.cli.tables import plain_table
    from flow.errors import FlowError
    from flow.isocost.arms import Folders, Recipe, parse_mixed, parse_widths, plan, reference
    from flow.isocost.measure import equal_measured
    from flow.isocost.solve import Equal
    from flow.search.synthesized import FILE, NotSynthesized, Synthesized
    from flow.selection import chosen
    from flow.study.left import SECONDS, USUAL_SAMPLES, work
    from flow.training.console import duration
    from keras_models import MODELS, find_model

    spec, widths, chip = find_model(model), parse_widths(bits), find_board(board)
    if spec.name not in MODELS:
        raise FlowError(f"--model {model}: its channels are multiplied already; name the model itself")
    beside = [] if mixed == "none" else parse_mixed(mixed, widths)
    recipe, console = Recipe(float_epochs, search_epochs if beside else 0, epochs), Console()
    folders = Folders(out or Path("runs") / f"isocost-{model}", equal)
    first = reference(spec, share)
    common = Equal.of(equal, first, widths[-1], chip, cycles)

    from flow.datasets import load

    def tell(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    synthesized = Synthesized(folders.results / FILE, tell, only_known=plan_only)
    images_of = networks = None
    if equal != "bytes":
        if not plan_only:
            images_of = load(dataset, data, spec.input_shape)  # synthesis takes long, and is for nothing without
        try:
            common, networks = equal_measured(spec, first, widths, common, synthesized, tell)
        except NotSynthesized:
            tell("networks by the cost model; without --plan they are synthesized first, and others may be chosen")
    arms = plan(spec, first, widths, common, chip, seeds, beside, networks)
    here = chosen(arms, only, "network")
    table = plain_table("network, bits, seed", "kind", "MACs", "of the common cost", right=(2, 3))
    for arm in arms:
        share_of = None
        if arm.bits is not None:
            luts = synthesized.known(arm.spec, arm.bits, common.cycles) if networks else None
            share_of = common.share(arm.spec, arm.bits, luts)
        part = "-" if share_of is None else f"{share_of:.1%}"
        table.add_row(arm.name, arm.group, f"{arm.spec.macs:,}", part)
    console.print(table)
    seconds = SECONDS / 1e12 * sum(work(recipe, here, USUAL_SAMPLES).values())
    tell(f"training takes about {duration(seconds)} on two cores, by the networks' sizes and {USUAL_SAMPLES:,} samples")
    if plan_only:
        return

    from flow.isocost.subject import EqualCost, base_teacher
    from flow.study.hardware import Hardware
    from flow.study.loop import run_study
    from flow.training.progress import Progress

    images_of = images_of or load(dataset, data, spec.input_shape)
    command = ["flow", "isocost", "--model", model, "--bits", bits, "--equal", equal, "--share", f"{share:g}"]
    command += ["--cycles", str(cycles), "--board", board, "--dataset", images_of.name, "--seeds", str(seeds)]
    command += ["--float-epochs", str(float_epochs), "--search-epochs", str(search_epochs), "--epochs", str(epochs)]
    command += ["--mixed", mixed] if mixed != MIXED_AT else []
    command += ["--hardware", "--images", str(images)] if hardware else []

    def subject(progress: Progress) -> EqualCost:
        teacher = base_teacher(spec, images_of, folders.root, progress)
        # what fits was asked before anything was trained, and synthesis has the last word
        target = Hardware(common.cycles, images, data, board, estimate_refuses=False)
        makes = shlex.join(command)
        return EqualCost(arms, images_of, target, progress, common, teacher, recipe, folders, synthesized, makes)

    run_study(subject, recipe, images_of, here, here if hardware else [], console)
