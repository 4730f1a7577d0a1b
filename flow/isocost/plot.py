"""Accuracy at equal cost, a mark for each training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH
from flow.study.table import accuracy_axes, with_legend

if TYPE_CHECKING:
    from flow.isocost.rows import Row

_STYLES = {ONE_WIDTH: ("o", "#1f4e79"), NOT_WIDENED: ("v", "#888888"), MIXED: ("D", "#b03a2e")}


def plot(rows: Sequence[Row], at: str) -> str:
    """SVG: accuracy by weight width; mixed networks stand apart, at the right, by whose channels they have.

    Args:
        at: the common cost, for people.
    """
    figure, axes = accuracy_axes(f"bits of all weights, at {at}")
    names = sorted({row.weights for row in rows if row.weights != MIXED}, key=int)
    names += sorted({_name(row) for row in rows if row.weights == MIXED})
    for group, (mark, colour) in _STYLES.items():
        found = [row for row in rows if row.group == group]
        places = [names.index(_name(row)) for row in found]
        if found:
            axes.plot(places, [100 * row.accuracy for row in found], mark, color=colour, label=group, alpha=0.85)
        means = {p: [100 * r.accuracy for r, q in zip(found, places) if q == p] for p in sorted(set(places))}
        if len(means) > 1 and group != MIXED:
            axes.plot(list(means), [sum(v) / len(v) for v in means.values()], color=colour, linewidth=0.8, alpha=0.6)
    axes.set_xticks(range(len(names)), names)
    return with_legend(figure, axes)


def _name(row: Row) -> str:
    """Below a mark."""
    return f"{MIXED},\nchannels\nas {row.beside} bits" if row.weights == MIXED else row.weights
