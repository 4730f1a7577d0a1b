"""flow sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Board, Data, Dataset, Images, MaxCycles, Seed, Settings, TargetFps


def sweep(
    bits: Annotated[
        str, typer.Option(help="Widths to build, 1 to 8, with commas between; a bits.yaml may stand among them.")
    ] = "2,3,4,6,8",
    model: Annotated[str | None, typer.Option(help="Network to build; `flow models` lists them. [resnet8]")] = None,
    dataset: Dataset = None,
    data: Data = None,
    board: Board = None,
    target_fps: TargetFps = None,
    max_cycles: MaxCycles = None,
    images: Images = None,
    epochs: Annotated[
        int | None, typer.Option(help="Train anew, this long, instead of taking the included checkpoints.")
    ] = None,
    seed: Seed = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Builds at a time. Some stages of one build use two cores already.")
    ] = 2,
    out: Annotated[Path, typer.Option(help="Folder of the builds' folders, and of the comparison's.")] = Path("runs"),
    config: Annotated[Path | None, typer.Option(help="YAML with any setting of a build but bits.")] = None,
    settings: Settings = None,
) -> None:
    """Build a network at several widths, two at a time, and compare the builds.

    Each width has the folder that `flow build` gives it, <out>/<model>-<bits>-<dataset>, and finished stages are
    skipped: a sweep that was stopped goes on when the same command is given again. A width that fails does not stop
    the others. The comparison is shown, and written to <out>/sweep-<model>-<dataset>, with the quantizer behind the
    model where it is not the uniform one: comparison.json, comparison.csv, layers.csv, and comparison.html, a page with
    plots that opens offline. The log of each build is there too.

    Exits with 0 only if every build did; with 1 if a check failed in one, with 2 if all that failed did so by a mistake
    in what was given.

    \b
    flow sweep --model resnet8 --bits 2,3,4,6,8
    flow sweep --bits 4,8,mine.yaml --max-cycles 16384
    flow sweep --model tiny --bits 1,2,4 --dataset digits --epochs 5 --set route=false
    """
    from rich.console import Console

    from flow.comparison.show import show
    from flow.sweep.display import Display
    from flow.sweep.plan import comparison_folder, plan
    from flow.sweep.run import run_builds
    from flow.sweep.verdict import gather, judge

    options = {
        "model": model, "dataset": dataset, "data": data, "board": board, "target_fps": target_fps,
        "max_cycles": max_cycles, "images": images, "epochs": epochs, "seed": seed,
    }  # fmt: skip
    planned = plan(bits, config, settings or [], options, out)
    folder = comparison_folder(planned, out)
    console = Console()
    trains = ", ".join(item.bits for item in planned if item.trains)
    console.print(f"{len(planned)} builds, {jobs} at a time; logs in {folder}", highlight=False, soft_wrap=True)
    if trains:
        console.print(f"bits {trains}: no checkpoint is included: training comes first", soft_wrap=True)
    with Display(console, planned) as display:
        outcomes = run_builds(planned, folder, jobs, display)
    show(gather(outcomes), console, folder)
    judge(outcomes)
