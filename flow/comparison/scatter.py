"""Where the parts of a scatter plot lie; the page's template draws them as SVG.

Lengths are in units of the drawing, which the page shows at about one CSS pixel each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 380, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 362, 14, 236
_RADIUS, _LETTER, _LINE = 6, 7.2, 12
_MOST_TICKS = 5
#: a scale that spans more than this is logarithmic
_LOG_FROM = 8.0


@dataclass(frozen=True)
class Point:
    """One run: where it lies, and where its label is written."""

    run: str
    label: str
    index: int
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Scatter:
    """A plot of one figure against another.

    Attributes:
        title, x_title, y_title: in words, with units.
        points: the runs that have both figures.
        front: an SVG path through the runs that no other run beats in both figures.
        left, right, top, bottom: of the frame.
        logarithmic: whether the x axis is.
    """

    title: str
    x_title: str
    y_title: str
    points: list[Point]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    front: str
    logarithmic: bool
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Sample:
    """A run's two figures; `index` is its place among all runs, which is its colour."""

    run: str
    label: str
    index: int
    x: float
    y: float


def scatter(title: str, x_title: str, y_title: str, samples: Sequence[Sample]) -> Scatter | None:
    """Lays a plot out; more of y and less of x is better. None without samples.

    Args:
        samples: y in percent.
    """
    if not samples:
        return None
    from matplotlib.ticker import EngFormatter

    xs, ys = [s.x for s in samples], [s.y for s in samples]
    logarithmic = min(xs) > 0 and max(xs) / min(xs) > _LOG_FROM
    low, high = _padded(xs, logarithmic)
    bottom, top = _padded(ys, False)
    bottom, top = max(bottom, 0.0), min(top, 100.0 + 0.05 * (top - bottom))
    to_x = _scale(low, high, _LEFT, _RIGHT, logarithmic)
    to_y = _scale(bottom, top, _BOTTOM, _TOP, False)
    x_ticks = _decades(low, high) if logarithmic else _even(low, high, 4, (1, 2, 2.5, 5, 10))
    y_ticks = [tick for tick in _even(bottom, top, 5, (1, 2, 5, 10)) if tick <= 100]
    short = EngFormatter(sep="")
    return Scatter(
        title=title,
        x_title=x_title,
        y_title=y_title,
        points=_points(samples, to_x, to_y, x_title),
        x_ticks=[Tick(to_x(t), short(t)) for t in x_ticks],
        y_ticks=[Tick(to_y(t), f"{t:g}") for t in y_ticks],
        front=_front(samples, to_x, to_y),
        logarithmic=logarithmic,
    )


def _even(low: float, high: float, most: int, steps: Sequence[float]) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(tick) for tick in MaxNLocator(most, steps=steps).tick_values(low, high) if low <= tick <= high]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 times them where there is room; every so many where there are too many."""
    from matplotlib.ticker import LogLocator

    for parts in ((1, 2, 5), (1, 3), (1,)):
        ticks = [float(tick) for tick in LogLocator(subs=parts).tick_values(low, high) if low <= tick <= high]
        if len(ticks) <= _MOST_TICKS:
            return ticks
    return ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]


def _padded(values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    """Room around the values; around equal ones, a tenth of them."""
    low, high = min(values), max(values)
    if logarithmic:
        room = (high / low) ** 0.1
        return low / room, high * room
    room = 0.14 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _scale(low: float, high: float, start: float, end: float, logarithmic: bool):
    if logarithmic:
        low, high = math.log(low), math.log(high)
    return lambda value: start + ((math.log(value) if logarithmic else value) - low) / (high - low) * (end - start)


def _points(samples: Sequence[Sample], to_x, to_y, x_title: str) -> list[Point]:
    """Each label goes where it covers no point and no other label, if there is such a place."""
    taken = [_box(to_x(s.x), to_y(s.y), 0, "middle", _RADIUS) for s in samples]
    points = []
    for s in samples:
        x, y = to_x(s.x), to_y(s.y)
        places = (
            (x + 10, y + 4, "start"), (x - 10, y + 4, "end"), (x, y - 11, "middle"), (x, y + 19, "middle"),
            (x + 8, y - 10, "start"), (x - 8, y - 10, "end"), (x + 8, y + 17, "start"), (x - 8, y + 17, "end"),
        )  # fmt: skip
        costs = [_cost(_box(*place[:2], len(s.label), place[2]), taken) for place in places]
        label_x, label_y, anchor = places[costs.index(min(costs))]
        taken.append(_box(label_x, label_y, len(s.label), anchor))
        title = f"{s.run}: {s.y:.2f} %, {s.x:,.0f} {x_title}"
        points.append(Point(s.run, s.label, s.index, x, y, label_x, label_y, anchor, title))
    return points


Box = tuple[float, float, float, float]


def _box(x: float, y: float, letters: int, anchor: str, around: float = 0) -> Box:
    """Left, top, right, bottom of a text whose baseline starts, ends or is centred at x, y."""
    if around:
        return x - around, y - around, x + around, y + around
    width = letters * _LETTER
    left = {"start": x, "end": x - width, "middle": x - width / 2}[anchor]
    return left, y - _LINE, left + width, y + 2


def _cost(box: Box, taken: Sequence[Box]) -> float:
    """What a label at `box` would cover, and how far it would leave the frame."""
    left, top, right, bottom = box
    covered = sum(
        max(0.0, min(right, b[2]) - max(left, b[0])) * max(0.0, min(bottom, b[3]) - max(top, b[1])) for b in taken
    )
    outside = max(0, _LEFT + 2 - left) + max(0, right - _RIGHT) + max(0, _TOP - top) + max(0, bottom - _BOTTOM)
    return covered + 40 * outside


def _front(samples: Sequence[Sample], to_x, to_y) -> str:
    """Steps through the runs that are best at their cost: more accurate than all that cost no more."""
    path, best = "", -math.inf
    for s in sorted(samples, key=lambda s: (s.x, -s.y)):
        if s.y > best:
            path += f"H{to_x(s.x):.1f}V{to_y(s.y):.1f}" if path else f"M{to_x(s.x):.1f} {to_y(s.y):.1f}"
            best = s.y
    return f"{path}H{_RIGHT}"
