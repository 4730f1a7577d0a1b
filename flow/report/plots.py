"""The report's plots: small, one idea each, readable in black and white."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from flow.report.figure import blank, png
from flow.report.schema import Cells, Report

_DARK, _LIGHT, _LIMIT = "#1f4e79", "#a9c4de", "#b03a2e"
_WIDTH_INCH, _BAR_INCH, _FRAME_INCH = 8.0, 0.2, 1.0


def cycles_plot(report: Report) -> bytes | None:
    """Cycles that each layer is busy with a frame, and the measured interval between frames."""
    names = list(report.folding)
    if not names:
        return None
    figure = _figure(len(names))
    axes = figure.add_subplot()
    _rows(axes, names)
    values = [report.folding[name].cycles for name in names]
    _label(axes, axes.barh(range(len(names)), values, 0.7, color=_DARK), values)
    title = "Cycles per frame, by layer"
    interval = report.latency.interval_cycles
    if interval is not None:
        axes.axvline(interval, color=_LIMIT, linewidth=1.2, linestyle="--")
        title += f"   (dashed: measured interval between frames, {interval:,})"
    axes.set_xlim(0, 1.13 * max([*values, interval or 0, 1]))
    _dress(axes, title)
    return png(figure)


def lut_plot(report: Report) -> bytes | None:
    """LUTs of each layer, estimated and measured; below, the whole against what the chip has."""
    layers = {name: layer for name, layer in report.resources.layers.items() if layer.measured or layer.estimate}
    if not layers:
        return None
    rows = {name: (_luts(layer.estimate), _luts(layer.measured)) for name, layer in layers.items()}
    total, budget = report.resources.total, report.resources.budget.lut
    whole = {"whole network": (sum(estimate for estimate, _ in rows.values()), _luts(total))}
    figure = _figure(1.6 * (len(rows) + 1) + 3)
    upper, lower = figure.subplots(2, height_ratios=[len(rows), 1.6])
    for axes, group in ((upper, rows), (lower, whole)):
        _rows(axes, list(group))
        for place, column, colour, label in (
            (-0.2, 0, _LIGHT, "estimate, which chose the folding"),
            (0.2, 1, _DARK, "measured by synthesis"),
        ):
            values = [pair[column] for pair in group.values()]
            bars = axes.barh([row + place for row in range(len(group))], values, 0.38, color=colour, label=label)
            _label(axes, bars, values)
    upper.set_xlim(0, 1.13 * max([1, *(max(pair) for pair in rows.values())]))
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)
    lower.axvline(budget, color=_LIMIT, linewidth=1.2, linestyle="--")
    lower.set_xlim(0, 1.13 * max([budget, *whole["whole network"]]))
    _dress(upper, "LUTs, logic and memory, by layer")
    _dress(lower, f"and of the whole   (dashed: {report.resources.device} has {budget:,.0f})")
    return png(figure)


def seconds_plot(report: Report) -> bytes | None:
    """Seconds of each stage."""
    if not report.seconds:
        return None
    names, values = list(report.seconds), list(report.seconds.values())
    figure = _figure(len(names))
    axes = figure.add_subplot()
    _rows(axes, names)
    _label(axes, axes.barh(range(len(names)), values, 0.7, color=_DARK), values, "{:,.1f}")
    axes.set_xlim(0, 1.13 * max([*values, 1e-3]))
    _dress(axes, f"Seconds, by stage   ({sum(values):,.0f} in all)")
    return png(figure)


#: file name, what it shows, and the function that draws it
PLOTS = {
    "cycles.png": ("Cycles per frame, by layer", cycles_plot),
    "lut.png": ("LUTs by layer, estimated and measured", lut_plot),
    "seconds.png": ("Seconds by stage", seconds_plot),
}


def _figure(bars: float) -> Figure:
    """A figure with room for that many bars."""
    return blank(_WIDTH_INCH, _FRAME_INCH + _BAR_INCH * bars)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Gives the axes a row for each name, the first on top."""
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _label(axes: Axes, bars: BarContainer, values: Sequence[float], style: str = "{:,.0f}") -> None:
    axes.bar_label(bars, [style.format(value) for value in values], padding=3, fontsize=7)


def _dress(axes: Axes, title: str) -> None:
    """Title and scale; lines where they help to read."""
    axes.set_title(title, loc="left", fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _luts(cells: Cells | None) -> float:
    return 0 if cells is None else cells.luts_used
