"""The end of `flow compare` and `flow sweep`: the table, what to know beside it, and the files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from flow.comparison.compare import Comparison
from flow.comparison.table import remarks, screen_table
from flow.comparison.write import write


def show(comparison: Comparison, console: Console, folder: Path | None) -> None:
    """Prints the comparison, and writes its files where `folder` is given.

    Raises:
        FlowError: the folder cannot be written.
    """
    written = [] if folder is None else write(comparison, folder)
    console.print(screen_table(comparison))
    for line in [*remarks(comparison), *map(str, written)]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
