"""Options that mean the same in several commands; None is "not given", so that --config can have its say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder to look for the dataset in, before $FLOW_DATA.")]
Dataset = Annotated[str | None, typer.Option(help="A name of `flow models`, or auto. [auto]")]
Board = Annotated[
    str | None,
    typer.Option(
        help="Board whose resources are the budget: a name of `flow models`, or a YAML file with name, part, lut, ff, "
        "dsp, bram36, lutram and clock_mhz. [pynq-z2]"
    ),
]
TargetFps = Annotated[float | None, typer.Option(help="Frames a second at the board's clock.")]
MaxCycles = Annotated[
    int | None, typer.Option(help="Cycles between frames. Without a target: the best rate that fits.")
]
Images = Annotated[int | None, typer.Option(help="Test images that go through C simulation and RTL. [1000]")]
Seed = Annotated[int | None, typer.Option(help="Seed of training and of the benches' stalls. [0]")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting more, for example images=200.")
]
