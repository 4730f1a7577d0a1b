"""flow handoff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def handoff(
    run: Annotated[Path, typer.Argument(help="Folder of a finished build.")],
    to: Annotated[str | None, typer.Option(help="Tool to hand off to: vitis or vivado.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write. [<run>/handoff/<tool>]")] = None,
    collect: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read the tools' reports below DIR into the build's report instead."),
    ] = None,
) -> None:
    """Hand a finished build to Vitis HLS or Vivado, or collect their reports.

    The folder that is written can be moved; `./run.sh` in it does all steps with the vendor's tools, and its README
    says what has been tested without them. Afterwards --collect takes the reports of that folder into report.json and
    report.md, next to the figures of the open tools.
    """
    from flow import handoff as work
    from flow.errors import FlowError
    from flow.pipeline.reporter import Reporter

    if (to is None) == (collect is None):
        raise FlowError("give one of them: --to vitis, --to vivado, or --collect DIR")
    if collect is not None and out is not None:
        raise FlowError("--out is where --to writes; --collect writes into the build's report")
    if to is not None:
        work.check_target(to)
    with Reporter() as reporter:
        build = work.finished(run)
        if to is not None:
            place = out or run / "handoff" / to
            work.write(build, to, place)
            reporter.line(f"{place}: ./run.sh there; README.md says more")
        else:
            for line in work.collect(build, collect):
                reporter.line(line)
