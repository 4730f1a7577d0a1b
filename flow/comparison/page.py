"""The page: one HTML file with its styles and its plots inside, so that it opens offline and can be sent."""

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
from flow.tasks import AUC

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).parent / "templates"

#: key of `RunRow`, its name in a title, and what the axis shows
_AGAINST = (
    ("lut", "LUT", "LUT, logic and memory"),
    ("interval_cycles", "interval", "cycles between frames"),
    ("bit_operations", "bit operations", "bit operations a frame"),
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
    title, axis, values = _task_axis(comparison.runs)
    return [
        (f"accuracy-{key}", f"{title} against {name}", scatter(f"{title} against {name}", shown, axis,
                                                               _samples(comparison.runs, key, values)))
        for key, name, shown in _AGAINST
    ]  # fmt: skip


def _task_axis(rows: list[RunRow]) -> tuple[str, str, list[float | None]]:
    """Title, axis and values of the figure that tells how well each network does its task."""
    areas = [row.auc for row in rows]
    if all(row.accuracy_deployed is None for row in rows) and any(area is not None for area in areas):
        return AUC, "area under the ROC curve", areas
    shares = [row.accuracy_deployed for row in rows]
    return "Accuracy", "accuracy, %", [None if share is None else 100 * share for share in shares]


def _samples(rows: list[RunRow], key: str, values: list[float | None]) -> list[Sample]:
    return [
        Sample(row.run, row.label, index, float(getattr(row, key)), value)
        for index, (row, value) in enumerate(zip(rows, values))
        if getattr(row, key) is not None and value is not None
    ]
