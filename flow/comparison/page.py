"""The page: one HTML file with its styles and its plots inside, so that it opens without a network and can be sent."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from flow import __version__
from flow.comparison.bars import folding_bars, resource_bars
from flow.comparison.columns import COLUMNS
from flow.comparison.compare import Comparison, RunRow
from flow.comparison.scatter import Sample, Scatter, scatter
from flow.comparison.table import ALIKE

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"

#: key of `RunRow`, title, and what the axis shows
_AGAINST = (
    ("lut", "Accuracy against LUT", "LUT, logic and memory"),
    ("interval_cycles", "Accuracy against interval", "cycles between frames"),
    ("bit_operations", "Accuracy against bit operations", "bit operations a frame"),
)


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")


def page(comparison: Comparison) -> str:
    """The page as text."""
    return _template().render(
        comparison=comparison,
        columns=COLUMNS,
        scatters=_scatters(comparison),
        resources=resource_bars(comparison),
        folding=folding_bars(comparison),
        heading=_heading(comparison),
        alike=ALIKE,
        version=__version__,
    )


def _heading(comparison: Comparison) -> str:
    rows = comparison.runs
    models = " and ".join(dict.fromkeys(row.model for row in rows))
    datasets = " and ".join(dict.fromkeys(row.dataset for row in rows))
    return f"{models} on {datasets}: {len(rows)} build{'s' if len(rows) != 1 else ''}"


def _scatters(comparison: Comparison) -> list[tuple[str, str, Scatter | None]]:
    """Key, title and plot; no plot where no run has both figures."""
    return [
        (f"accuracy-{key}", title, scatter(title, axis, "accuracy, %", _samples(comparison.runs, key)))
        for key, title, axis in _AGAINST
    ]


def _samples(rows: list[RunRow], key: str) -> list[Sample]:
    return [
        Sample(row.run, row.label, index, float(getattr(row, key)), 100 * row.accuracy_deployed)
        for index, row in enumerate(rows)
        if getattr(row, key) is not None and row.accuracy_deployed is not None
    ]
