"""flow compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished builds, or their report.json.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for comparison.json, .csv, .html and layers.csv; none are written without it."),
    ] = None,
) -> None:
    """Set finished builds side by side.

    Shows a table, and says plainly what was not measured alike: another tool, other flags or versions, another chip,
    dataset or number of images. With --out, writes it as JSON, as CSV, and as a page with plots that opens offline.

    \b
    flow compare runs/resnet8-4-cifar10 runs/resnet8-8-cifar10
    flow compare runs/resnet8-*-cifar10 --out comparison
    """
    from rich.console import Console

    from flow.comparison import compare as side_by_side
    from flow.comparison import is_comparison, load_runs
    from flow.comparison.show import show
    from flow.errors import FlowError

    console = Console()
    for place in filter(is_comparison, runs):
        said = f"{place} is a comparison and no build: passed over"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    builds = [place for place in runs if not is_comparison(place)]
    if len(builds) < 2:
        found = f"{builds[0]}: only one run" if builds else "no run"
        raise FlowError(f"{found}; a comparison needs two or more: flow compare RUN RUN...")
    show(side_by_side(load_runs(builds)), console, out)
