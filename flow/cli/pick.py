"""`flow pick`: the best measured configuration within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pick(
    curve: Annotated[Path, typer.Argument(metavar="CURVE", help="What `flow mixer` wrote: its folder or its JSON.")],
    avg_bits: Annotated[
        float | None, typer.Option(help="Average bits of the layers that can change, at most.")
    ] = None,
    budget_cycles: Annotated[int | None, typer.Option(min=1, help="Cycles between frames, at most.")] = None,
) -> None:
    """Choose the best configuration of a network whose layers change width while it runs.

    Searches the configurations that `flow mixer` has measured, and prints the width of every layer and the word for
    the configuration register.

    \b
    flow pick runs/mixer --avg-bits 3
    flow pick runs/mixer --budget-cycles 20000
    """
    from flow.mixer.curve import read_curve
    from flow.mixer.pick import pick as choose
    from flow.tasks import metric_text
    from keras_models.runtime import field_bits

    measured = read_curve(curve)
    found = choose(measured, avg_bits, budget_cycles)
    for layer, bits in zip(measured.layers, found.bits, strict=True):
        typer.echo(f"{layer}: {bits}")
    cycles = "" if found.cycles is None else f", {found.cycles:,} cycles between frames"
    score = metric_text(measured.metric, found.score)
    typer.echo(f"# {measured.metric} {score}, {found.average_bits:.3f} bits on average{cycles}")
    digits = -(-field_bits(len(measured.widths)) * len(measured.layers) // 4)
    typer.echo(f"# configuration register: {found.word:#0{2 + digits}x}")
