"""Whether a report is of a build for a certain board."""

from __future__ import annotations

from flow.boards import Board
from flow.report.schema import Report


def another_board(report: Report, board: Board) -> str | None:
    """In what the board of a build was another one: its chip, what is on it, or the clock; None in nothing.

    A name and a file do not count, and a report has none.
    """
    amounts = {key: getattr(report.resources.budget, key) for key in board.budget()}
    for what, built, wanted in (
        ("chip", report.resources.device, board.part),
        ("chip's amounts", amounts, board.budget()),
        ("clock in MHz", report.latency.clock_mhz, board.clock_mhz),
    ):
        if built != wanted:
            return f"{what}: {built}, not {wanted}"
    return None
