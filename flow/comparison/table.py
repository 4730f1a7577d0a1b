"""The comparison on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow.comparison.columns import COLUMNS
from flow.comparison.compare import Comparison

if TYPE_CHECKING:
    from rich.table import Table

#: what is said where there is nothing to say
ALIKE = "All were measured alike: same tools, flags, versions, chip, dataset and number of images."


def screen_table(comparison: Comparison) -> Table:
    """A row for each figure and a column for each run, under its short name, so that several fit a narrow terminal."""
    from flow.cli.tables import plain_table

    runs = comparison.runs
    table = plain_table("", *(row.label for row in runs), right=tuple(range(1, len(runs) + 1)))
    for column in COLUMNS:
        if column.on_screen:
            table.add_row(column.head, *(column.show(row) for row in runs))
    return table


def remarks(comparison: Comparison) -> list[str]:
    """What a reader must know beside the table: what was not measured alike, and what is missing."""
    said = [f"Not measured alike: {sentence}" for sentence in comparison.differences] or [ALIKE]
    said = said if len(comparison.runs) > 1 else []
    named = ", ".join(f"{row.label} is {row.run}" for row in comparison.runs if row.label != row.run)
    missing = [f"Missing: {failure.run}: {failure.reason}" for failure in comparison.failures]
    return [*([f"{named}."] if named else []), *said, *missing]
