"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table; `right` are the columns that are aligned to the right."""
    rule = ["---:" if index in right else "---" for index in range(len(heads))]
    return "\n".join(f"| {' | '.join(_cell(text) for text in row)} |" for row in (heads, rule, *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
