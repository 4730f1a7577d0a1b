"""From learned, fractional widths to whole ones within the budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.search.costs import Costs

#: a quantizer's squared error with a bit less
_ERROR_OF_A_BIT = 4.0
#: a bit is taken to cost this share at least of what one costs on average over all widths
_LEAST_PRICE = 0.2

Learned = Mapping[str, Mapping[str, float]]
_Widths = tuple[int, ...]


def candidates(learned: Learned, fixed: BitsSpec, costs: Costs, most: int = 8) -> list[BitsSpec]:
    """Whole widths within the budget, those with the least predicted loss first.

    Where the search has settled, a bit is worth what it costs, in every layer; and a quantizer's squared error falls
    fourfold with a bit. So the loss of a layer at b bits is predicted, but for a common factor, as
    ``cost of a bit * 4 ** (learned - b)``. From the learned widths rounded down, less where the budget asks for it, the
    best change is taken again and again: a bit more somewhere, or that and a bit or two less elsewhere. Which of the
    best widths on this way is the best, training samples must tell.

    Args:
        learned: widths by layer, under ``"weights"`` and ``"activations"``.
        fixed: the widths of all layers that were not searched.
        costs: with the budget; `Costs.check` has held for the lowest widths.
        most: how many.
    """
    space = _Space(learned, fixed, costs)
    now, visited = space.start(), set()
    while now not in visited:
        visited.add(now)
        near = [widths for widths in (now, *_neighbours(now)) if space.cost(widths) <= costs.budget]
        now = min(near, key=space.loss)
    return [space.bits(widths) for widths in sorted({*visited, *near}, key=space.loss)[:most]]


class _Space:
    """Widths of the searched layers as tuples, with their cost and predicted loss."""

    def __init__(self, learned: Learned, fixed: BitsSpec, costs: Costs) -> None:
        self._fixed, self._costs = fixed, costs
        self._names = [(kind, name) for kind, named in learned.items() for name in named]
        self._learned = np.array([learned[kind][name] for kind, name in self._names])
        self._below = tuple(int(b) for b in np.clip(np.floor(self._learned), MIN_BITS, MAX_BITS - 1))
        self._slopes = np.array([self._slope(index) for index in range(len(self._names))])

    def _slope(self, index: int) -> float:
        """What a bit of one layer costs about where it has been learned.

        LUTs waver: a fourth bit may cost nothing, or even save some, and the fifth what both should. So it is the mean
        over the neighbouring widths, and never less than a share of that over all widths.
        """

        def mean(least: int, most: int) -> float:
            least, most = max(least, MIN_BITS), min(most, MAX_BITS)
            few, many = ((*self._below[:index], b, *self._below[index + 1 :]) for b in (least, most))
            return (self.cost(many) - self.cost(few)) / (most - least)

        below = self._below[index]
        return max(mean(below - 1, below + 2), _LEAST_PRICE * mean(MIN_BITS, MAX_BITS), 1e-9)

    def bits(self, widths: _Widths) -> BitsSpec:
        plain = self._fixed.model_dump()
        for (kind, name), width in zip(self._names, widths, strict=True):
            plain[kind][name] = width
        return BitsSpec(**plain)

    def cost(self, widths: _Widths) -> float:
        return self._costs.of(self.bits(widths))

    def loss(self, widths: _Widths) -> float:
        return float((self._slopes * _ERROR_OF_A_BIT ** (self._learned - widths)).sum())

    def start(self) -> _Widths:
        """The learned widths rounded down, and less where that costs too much: the cheapest loss for what it saves."""
        now = self._below
        while self.cost(now) > self._costs.budget:
            fewer = [(*now[:i], b - 1, *now[i + 1 :]) for i, b in enumerate(now) if b > MIN_BITS]
            saved = {widths: self.cost(now) - self.cost(widths) for widths in fewer}
            now = min(fewer, key=lambda w: (self.loss(w) - self.loss(now)) / max(saved[w], 1e-9))
        return now


def _neighbours(widths: _Widths) -> Iterator[_Widths]:
    """A bit more in one layer; that, and a bit or two less in another."""
    for more, width in enumerate(widths):
        if width == MAX_BITS:
            continue
        raised = (*widths[:more], width + 1, *widths[more + 1 :])
        yield raised
        for less, other in enumerate(raised):
            yield from (
                (*raised[:less], other - cut, *raised[less + 1 :])
                for cut in (1, 2)
                if less != more and other - cut >= MIN_BITS
            )
