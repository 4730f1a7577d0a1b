"""flow search."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data


def search(
    budget: Annotated[
        str,
        typer.Option(
            metavar="KIND=NUMBER",
            help="bytes=40k of weights, bops=200M bit operations a frame, luts=30k at --max-cycles, or cycles=8192 "
            "between frames on the board.",
        ),
    ],
    model: Annotated[str, typer.Option(help="Network: a name of `flow models`.")] = "resnet8",
    activations: Annotated[
        bool, typer.Option("--activations", help="Search the widths of activations too, not of weights alone.")
    ] = False,
    activation_bits: Annotated[int, typer.Option(min=1, max=8, help="Of activations that are not searched.")] = 4,
    dataset: Annotated[str, typer.Option(help="A name of `flow models`, or auto.")] = "auto",
    data: Data = None,
    board: Annotated[str, typer.Option(help="For budgets of LUTs and cycles.")] = "pynq-z2",
    max_cycles: Annotated[int, typer.Option(min=1, help="Cycles between frames, for a budget of LUTs.")] = 8192,
    epochs: Annotated[int, typer.Option(min=1, help="In which widths are learned.")] = 8,
    fine_epochs: Annotated[int, typer.Option(min=0, help="After them, with whole widths frozen; 0 for none.")] = 15,
    strength: Annotated[float, typer.Option(min=0, help="Weight of the budget in the loss.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of order and augmentation.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of results and of an unfinished search. [runs/search-<model>-<budget>]")
    ] = None,
) -> None:
    """Learn each layer's bit-width by gradient descent, under a budget.

    Widths are real numbers while they are learned, together with the weights: a grid's step and ends need no whole one,
    and the loss pays for what the budget is missed by. Then whole widths within the budget are tried on training
    samples, and frozen, and training goes on. The result is <out>/bits.yaml and a checkpoint for `flow build`,
    search.json, and the path of the widths as a plot. A command that was stopped goes on where it was; one that was
    finished trains nothing.
    """
    from rich.console import Console

    from flow.bits import BitsSpec
    from flow.boards import find_board
    from flow.datasets import load
    from flow.errors import FlowError
    from flow.files import locked, read_json
    from flow.folding.budget import UTILIZATION
    from flow.search.budget import Budget, rate
    from flow.search.costs import check_board, costs
    from flow.search.report import JSON, refuse_another, write_bits, write_found
    from flow.tasks import ACCURACY
    from flow.training.checkpoints import read_meta
    from flow.training.config import default_config
    from flow.training.console import console_progress
    from keras_models import find_model

    spec, wanted = find_model(model), Budget.parse(budget)
    fixed, chip = BitsSpec.uniform(spec, activation_bits), find_board(board)
    place = out or Path("runs") / f"search-{model}-{wanted.kind}-{wanted.amount:.0f}"

    from flow.search.choices import LEARNING, SearchConfig, lowest

    config = SearchConfig(activations, strength)
    least = lowest(spec, config, fixed)
    check_board(spec, least, wanted, chip, UTILIZATION)
    tables = costs(spec, wanted, chip, UTILIZATION, max_cycles)
    tables.check(least, wanted)
    images = load(dataset, data, spec.input_shape)
    result = {
        "model": model, "dataset": images.name, "budget": {"kind": wanted.kind, "amount": wanted.amount},
        "activations": activations, "activation_bits": activation_bits, "epochs": epochs, "strength": strength,
        "seed": seed,
    }  # fmt: skip
    built_at = rate(wanted, max_cycles)
    if built_at:
        result |= {"board": board, "cycles": int(built_at[-1])}
    before = read_json(place / JSON) if (place / JSON).is_file() else {}
    if before:
        refuse_another(place / JSON, before, result)
    recipe = default_config(images.name, spec.input_shape, quantized=True).model_copy(update={"seed": seed})

    from flow.search.run import find_widths, train_found
    from flow.search.synthesized import FILE, USED, Synthesized, SynthesizedBudget
    from flow.training.run import float_start

    command = shlex.join(
        ["flow", "search", "--model", model, "--budget", budget, "--dataset", images.name, "--board", board]
        + ["--max-cycles", str(max_cycles), "--activation-bits", str(activation_bits), "--epochs", str(epochs)]
        + ["--fine-epochs", str(fine_epochs), "--strength", f"{strength:g}", "--seed", str(seed)]
        + (["--activations"] if activations else [])
    )
    console, busy = Console(), f"{place}: another process searches there; wait for its end, or take another --out"
    with locked(place / ".lock", held=busy), console_progress(console) as progress:
        progress.on_message(images.source)
        progress.on_message(wanted.certainty)
        try:
            measured = None
            if built_at:
                synthesized = Synthesized(place / FILE, progress.on_message)
                measured = SynthesizedBudget(
                    spec, tables, int(built_at[-1]), tables.budget, USED, least, synthesized, progress.on_message
                )
                measured = measured.checked()
                tables = measured.costs
            start = float_start(spec, images, place, progress, seed)
            learning = recipe.model_copy(update={"epochs": epochs, **LEARNING})
            found = find_widths(
                spec, images, start, wanted, tables, fixed, config, learning, place, progress,
                within=measured.choose if measured else None,
            )  # fmt: skip
            share = measured.share(found.bits) if measured else tables.of(found.bits) / tables.budget
            if share > 1:  # found by another version of the RTL, the folding or the tools
                raise FlowError(
                    f"the widths that a search left in {place} take {share:.1%} of the budget, as synthesized now; "
                    f"search anew with another --out"
                )
            file = write_bits(found.bits, place)
            progress.on_message(f"whole widths: {share:.1%} of the budget: {file}")
            result |= {
                "share_of_budget": share, "learned": found.learned, "bits": found.bits.model_dump(),
                "fine_epochs": fine_epochs, "command": command,
            }  # fmt: skip
            if fine_epochs:
                fine = recipe.model_copy(update={"epochs": fine_epochs})
                path = train_found(spec, images, start, found, fine, command, place, progress)
                meta = read_meta(path)
                scores = meta.scores if meta.accuracy is None else {ACCURACY: meta.accuracy}
                result |= {"scores": scores, "test_images": meta.test_images, "checkpoint": path.name}
                line = ["flow", "build", "--model", model, "--bits", str(file), "--checkpoint", str(path)]
                line += ["--dataset", images.name, *(["--data", str(data)] if data else [])]
                line += [*built_at, "--set", "estimate_refuses=false"] if built_at else []  # synthesis has been asked
                progress.on_message(f"{meta.score_text}; build it with")
                progress.on_message(f"    {shlex.join([*line, '--board', board])}")
            if fine_epochs or "checkpoint" not in before:  # widths alone say less than was known
                write_found(result, found.path, found.bits, place)
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last whole epoch")
            raise typer.Exit(130) from None
