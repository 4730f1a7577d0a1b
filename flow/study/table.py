"""What the results of studies share: files, tables, plots, and networks compared seed by seed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from matplotlib.figure import Figure

from flow.files import write_json, write_whole
from flow.report.figure import blank, svg
from flow.report.summary import DASH, amount

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Results:
    """What a study has found so far.

    Attributes:
        name: of the files, before their suffixes.
        row: the class of a row, a dataclass, whose fields are the columns of the CSV file.
        plain: for JSON, dataclasses among it; ``"rows"`` are those of the CSV file too.
        markdown: tables.
        plots: SVG by file name.
    """

    name: str
    row: type
    plain: Mapping[str, Any]
    markdown: str
    plots: Mapping[str, str]

    def write(self, folder: Path, failed: Mapping[str, str] = MappingProxyType({})) -> str:
        """Writes all files.

        Args:
            failed: why builds failed, by network.

        Returns:
            Markdown.
        """
        plain = {**self.plain, **({"failed_builds": dict(failed)} if failed else {})}
        write_json(folder / f"{self.name}.json", json.loads(json.dumps(plain, default=asdict)))
        out = io.StringIO()
        writer = csv.DictWriter(out, [field.name for field in fields(self.row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in self.plain["rows"])
        write_whole(folder / f"{self.name}.csv", out.getvalue())
        reasons = [f"* {name}: {reason}" for name, reason in failed.items()]
        markdown = self.markdown + ("\n".join(["", "Failed builds:", "", *reasons, ""]) if failed else "")
        write_whole(folder / f"{self.name}.md", markdown)
        for name, text in self.plots.items():
            write_whole(folder / name, text)
        return markdown


class Row(Protocol):
    """Of one training; what a build measures is None without one."""

    seed: int
    accuracy: float
    lut: float | None
    fits: bool | None
    differing: int | None
    images: int | None


@dataclass(frozen=True)
class Paired:
    """One network against another, seed by seed.

    Attributes:
        seeds: that both have.
        points: mean difference of accuracies, in percentage points.
        by_seed: the difference of each seed.
        spread: between the least and the greatest seed of the same network, the wider of the two; None with one seed.
    """

    seeds: tuple[int, ...]
    points: float
    by_seed: tuple[float, ...]
    spread: float | None


def paired(new: Iterable[Row], old: Iterable[Row]) -> Paired | None:
    """The rows of one network against those of another; None where they have no seed in common."""
    a, b = ({row.seed: row.accuracy for row in rows} for rows in (new, old))
    seeds = tuple(sorted(a.keys() & b.keys()))
    if not seeds:
        return None
    points = tuple(100 * (a[seed] - b[seed]) for seed in seeds)
    spreads = [spread([part[seed] for seed in seeds]) for part in (a, b)]
    return Paired(seeds, sum(points) / len(points), points, None if None in spreads else max(spreads))


def spread(accuracies: Sequence[float]) -> float | None:
    """Between the least and the greatest, in percentage points; None with one seed."""
    return 100 * (max(accuracies) - min(accuracies)) if len(accuracies) > 1 else None


def table(heads: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of Markdown.

    Args:
        heads: of the columns, with ``" | "`` between.
    """
    titles = heads.split(" | ")
    return [f"| {' | '.join(map(str, cells))} |" for cells in (titles, ["---"] * len(titles), *rows)]


def percent(value: float | None, digits: int = 2) -> str:
    """A share of 1; a dash where there is none."""
    return DASH if value is None else f"{value:.{digits}%}"


def points(value: float | None, missing: str = DASH) -> str:
    """A distance of percentage points."""
    return missing if value is None else f"{value:.2f} points"


def luts(row: Row) -> str:
    """Of a built network, and whether its board does not hold it."""
    return amount(row.lut) + (" (does not fit)" if row.fits is False else "")


def differing(row: Row) -> str:
    """Integers that differ between engines, and how many images they have computed."""
    return DASH if row.differing is None else f"{row.differing:,} ({row.images:,})"


def accuracy_axes(across: str) -> tuple[Figure, Axes]:
    """An empty plot of accuracy by something.

    Args:
        across: the label of the horizontal axis.
    """
    figure = blank(6.4, 3.8)
    axes = figure.add_subplot()
    axes.set_xlabel(across)
    axes.set_ylabel("accuracy on the test images, %")
    axes.grid(axis="y", linewidth=0.4)
    return figure, axes


def with_legend(figure: Figure, axes: Axes) -> str:
    """The plot as SVG."""
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)
