"""The report of a build: `report.json`, `report.md` with plots, and the closing table.

report = check(plain)                # a dictionary with every key of `Report`
write(report, folder)
console.print(closing_table(report))
"""

from __future__ import annotations

from pathlib import Path

from flow.errors import FlowError
from flow.files import read_json, write_json, write_whole
from flow.report.layers import LayerFigures, layer_figures
from flow.report.schema import Cells, Report, check
from flow.report.summary import closing_table, verdict

__all__ = [
    "REPORT", "Cells", "LayerFigures", "Report", "check", "closing_table", "layer_figures", "load", "verdict", "write",
]  # fmt: skip

REPORT = "report.json"


def write(report: Report, folder: Path) -> list[Path]:
    """Writes the plots, then `report.md`, then `report.json`: where that is, all is there.

    Returns:
        The files written.

    Raises:
        FlowError: the folder cannot be written.
    """
    from flow.report.markdown import markdown
    from flow.report.plots import PLOTS

    drawn = {name: (caption, draw(report)) for name, (caption, draw) in PLOTS.items()}
    captions = {name: caption for name, (caption, image) in drawn.items() if image is not None}
    for name in captions:
        write_whole(folder / name, drawn[name][1] or b"")
    write_whole(folder / "report.md", markdown(report, captions))
    write_json(folder / REPORT, report.model_dump())
    return [folder / name for name in (*captions, "report.md", REPORT)]


def load(path: Path) -> Report:
    """Reads a `report.json`.

    Raises:
        FlowError: it is missing, broken, or not a report of this version.
    """
    try:
        return check(read_json(path))
    except ValueError as error:
        raise FlowError(f"{path}: not a report: {str(error).splitlines()[0]}") from error
