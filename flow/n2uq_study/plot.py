"""Accuracy against bits and against LUTs, a mark for each training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flow.study.table import accuracy_axes, with_legend

if TYPE_CHECKING:
    from flow.n2uq_study.rows import Row

_MARKS = {
    "uniform": ("s", "#555555"),
    "n2uq": ("o", "#1f4e79"),
    "n2uq-thresholds": ("^", "#b03a2e"),
    "n2uq-weights": ("v", "#2e8b57"),
}


def accuracy_plot(rows: Sequence[Row]) -> str:
    """SVG; seeds of one network are joined by a vertical line, quantizers stand side by side."""
    figure, axes = accuracy_axes("bits of weights and activations")
    shown = [name for name in _MARKS if any(row.quantizer == name for row in rows)]
    for index, name in enumerate(shown):
        mark, colour = _MARKS[name]
        shift = 0.05 * (index - (len(shown) - 1) / 2)
        means = []
        for bits in sorted({row.bits for row in rows if row.quantizer == name}):
            found = [100 * row.accuracy for row in rows if (row.quantizer, row.bits) == (name, bits)]
            axes.plot([bits + shift] * len(found), found, mark, color=colour, label=None if means else name)
            axes.vlines(bits + shift, min(found), max(found), color=colour)
            means.append((bits + shift, sum(found) / len(found)))
        axes.plot(*zip(*means, strict=True), color=colour, linewidth=0.8, alpha=0.6)
    axes.set_xticks(sorted({row.bits for row in rows}))
    return with_legend(figure, axes)


def lut_plot(rows: Sequence[Row]) -> str:
    """SVG; the networks that were built, their bits beside the marks."""
    figure, axes = accuracy_axes("LUTs, all built for the same cycles between frames")
    for name, (mark, colour) in _MARKS.items():
        found = sorted((row.lut, 100 * row.accuracy, row.bits) for row in rows if row.quantizer == name and row.lut)
        if found:
            axes.plot([lut for lut, _, _ in found], [y for _, y, _ in found], f"{mark}-", color=colour, label=name)
        for lut, accuracy, bits in found:
            place = {"xytext": (6, -10), "textcoords": "offset points", "fontsize": 8, "color": colour}
            axes.annotate(f"{bits} bits", (lut, accuracy), **place)
    axes.margins(x=0.1)
    return with_legend(figure, axes)
