"""Tables on the screen, all of one look."""

from __future__ import annotations

from rich import box
from rich.table import Table


def plain_table(*heads: str, right: tuple[int, ...] = ()) -> Table:
    """A table with a line under its head; the first column, which holds names, is never broken.

    Args:
        heads: of the columns.
        right: numbers of the columns that are aligned to the right.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, highlight=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in right else "left", overflow="fold", no_wrap=index == 0)
    return table
