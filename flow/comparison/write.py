"""The comparison as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from flow.comparison.compare import Comparison, LayerRow, RunRow
from flow.files import write_json, write_whole
from flow.pipeline.build import CONFIG
from flow.report import REPORT

JSON, CSV, LAYERS, PAGE = "comparison.json", "comparison.csv", "layers.csv", "comparison.html"


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes JSON, CSV of the runs, CSV of their layers, and the page.

    Returns:
        The files written, the page last.

    Raises:
        FlowError: the folder cannot be written.
    """
    from flow.comparison.page import page

    write_json(folder / JSON, comparison.model_dump())
    write_whole(folder / CSV, _csv(RunRow, comparison.runs))
    write_whole(folder / LAYERS, _csv(LayerRow, comparison.layers))
    write_whole(folder / PAGE, page(comparison))
    return [folder / name for name in (JSON, CSV, LAYERS, PAGE)]


def is_comparison(place: Path) -> bool:
    """Whether a folder holds a comparison and no build: what `flow sweep` and `flow compare --out` leave."""
    return (place / JSON).is_file() and not any((place / name).exists() for name in (CONFIG, REPORT))


def _csv(kind: type[BaseModel], rows: Sequence[BaseModel]) -> str:
    """Rows under the names of their fields; what was not measured is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, kind.model_fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump() for row in rows)
    return out.getvalue()
