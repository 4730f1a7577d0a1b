"""The end of a build: the table on the screen and the verdict."""

from __future__ import annotations

from flow.errors import CheckFailed
from flow.pipeline.build import Built
from flow.pipeline.reporter import Reporter
from flow.report import closing_table, load


def show(built: Built, reporter: Reporter) -> None:
    """Prints the closing table of a complete build, and where its report is.

    Raises:
        CheckFailed: the report does not say that every engine agreed, or the network does not fit its board.
    """
    if "report" not in built.stages:
        last = list(built.stages)[-1]
        reporter.line(f"stopped after {last}, {built.seconds:.1f} s: {built.stages[last].folder}")
        return
    folder = built.stages["report"].folder
    report = load(folder / "report.json")
    reporter.console.print(closing_table(report))
    reporter.line(f"{built.seconds:.1f} s; {folder / 'report.md'}")
    if not report.is_exact:
        raise CheckFailed("the engines do not agree on every integer; see the report")
    if report.resources.fits is False:
        total, budget = report.resources.total, report.resources.budget
        over = ", ".join(f"{name} {need:,.0f} of {have:,.0f}" for name, (need, have) in total.excess(budget).items())
        raise CheckFailed(
            f"the network does not fit {report.resources.device}: {over}; "
            f"build slower (--max-cycles) or for a larger board (--board)"
        )
