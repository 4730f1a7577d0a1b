"""Tables of bars: a row for each layer, a column for each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flow.comparison.compare import Comparison, LayerRow
from flow.report.summary import DASH, amount


@dataclass(frozen=True)
class Bar:
    """A cell: what is written, and how long its bar is, 0 to 1; None where there is no figure.

    Attributes:
        strong: one of those that bound the whole, drawn to be seen.
    """

    text: str
    length: float | None
    strong: bool = False


@dataclass(frozen=True)
class BarTable:
    """Bars of all layers that have a figure.

    Attributes:
        key: its name in the page.
        title: what the bars show.
        caption: how to read them.
        rows: by layer, a cell for each run.
    """

    key: str
    title: str
    caption: str
    rows: dict[str, list[Bar]]


RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36"}


def resource_bars(comparison: Comparison) -> list[BarTable]:
    """A table for each resource that some layer uses."""
    caption = "Each layer's module synthesized alone; all bars have one scale."
    tables = []
    for key, title in RESOURCES.items():
        longest = max((getattr(layer, key) or 0 for layer in comparison.layers), default=0)
        if longest:
            rows = _rows(comparison, lambda layer: getattr(layer, key), longest)  # noqa: B023
            tables.append(BarTable(key, title, caption, rows))
    return tables


def folding_bars(comparison: Comparison) -> BarTable | None:
    """How far each layer is unrolled, and its share of the run's busiest layer."""
    longest: dict[str, int] = {}
    for layer in comparison.layers:
        longest[layer.run] = max(longest.get(layer.run, 0), layer.cycles or 0)

    def cell(layer: LayerRow) -> Bar:
        if layer.cycles is None:
            return Bar(DASH, None)
        length = layer.cycles / max(longest[layer.run], 1)
        return Bar(f"{layer.pe} × {layer.simd}", length, strong=length >= 1)

    known = [layer for layer in comparison.layers if layer.cycles is not None]
    if not known:
        return None
    caption = (
        "PE × SIMD: outputs and inputs computed at once. The bar is the share of a frame's interval that the layer is "
        "busy; a full bar is a layer that sets the pace."
    )
    return BarTable("folding", "Folding", caption, _cells(comparison, known, cell))


def _rows(comparison: Comparison, figure: Callable[[LayerRow], float | None], longest: float) -> dict[str, list[Bar]]:
    """Layers where some run has more than nothing."""

    def cell(layer: LayerRow) -> Bar:
        value = figure(layer)
        return Bar(amount(value), None if value is None else value / longest)

    return _cells(comparison, [layer for layer in comparison.layers if figure(layer)], cell)


def _cells(comparison: Comparison, layers: Sequence[LayerRow], cell: Callable[[LayerRow], Bar]) -> dict[str, list[Bar]]:
    by_place = {(layer.layer, layer.run): layer for layer in comparison.layers}
    rows: dict[str, list[Bar]] = {}
    for name in dict.fromkeys(layer.layer for layer in layers):
        found = [by_place.get((name, run.run)) for run in comparison.runs]
        rows[name] = [Bar(DASH, None) if layer is None else cell(layer) for layer in found]
    return rows
