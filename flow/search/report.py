"""What a search leaves: bits.yaml for `flow build`, search.json, and the path of the widths as a plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.files import write_json, write_whole
from flow.report.figure import blank, svg

BITS, JSON, PATH, PLOT = "bits.yaml", "search.json", "widths.json", "widths.svg"


def refuse_another(file: Path, found: dict, wanted: dict) -> None:
    """Raises FlowError where a folder holds the result of another search than the one that is asked for.

    Args:
        file: of the result.
        found: what it says of its search.
        wanted: what the other depends on; None where that is not known.
    """
    changed = [name for name, value in wanted.items() if value is not None and found.get(name) != value]
    if changed:
        raise FlowError(f"{file}: was searched with another {', '.join(changed)}; take another --out")


def write_bits(bits: BitsSpec, folder: Path) -> Path:
    """The file that `flow build --bits` takes."""
    write_whole(folder / BITS, bits.to_yaml())
    return folder / BITS


def write_found(plain: dict, path: list[dict], bits: BitsSpec, folder: Path) -> None:
    """Writes the result, the path of the widths, and its plot.

    Args:
        plain: budget, cost, learned and whole widths, accuracy, command.
        path: the records of `flow.search.path.PathRecorder`.
        bits: whole widths, at which the lines end.
    """
    write_json(folder / JSON, plain)
    write_whole(folder / PATH, json.dumps(path))
    write_whole(folder / PLOT, widths_plot(path, bits))


def widths_plot(path: list[dict], bits: BitsSpec) -> str:
    """SVG: the width of each searched layer over the epochs, and the whole one that it became."""
    kinds = [kind for kind in ("weights", "activations") if path and path[-1][kind]]
    figure = blank(7.2, 3.6 * max(len(kinds), 1))
    for row, kind in enumerate(kinds, start=1):
        axes = figure.add_subplot(len(kinds), 1, row)
        epochs = [record["epoch"] for record in path]
        end = epochs[-1] * (1.02 + 0.012 * np.arange(len(path[-1][kind])))  # side by side: many are alike
        for index, name in enumerate(path[-1][kind]):
            style = "-" if index < 10 else "--"
            (line,) = axes.plot(epochs, [record[kind][name] for record in path], style, linewidth=1.2, label=name)
            axes.plot([end[index]], [getattr(bits, kind)[name]], "o", color=line.get_color(), markersize=4)
        axes.set_ylim(0.5, 8.5)
        axes.set_yticks(range(1, 9))
        axes.set_ylabel(f"bits of {kind}")
        axes.grid(axis="y", linewidth=0.4)
        axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
        if row == len(kinds):
            axes.set_xlabel("epoch; dots: whole widths within the budget")
    return svg(figure)
