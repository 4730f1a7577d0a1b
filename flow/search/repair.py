"""From learned, fractional widths to whole ones within the budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.search.costs import Costs


def repaired(learned: Mapping[str, Mapping[str, float]], fixed: BitsSpec, costs: Costs) -> BitsSpec:
    """The whole widths nearest to the learned ones that the budget allows.

    Rounds; while that costs too much, takes the bit away whose loss departs least from what was learned, for each unit
    of cost that it saves; then spends what is left on the layers whose learned width lies furthest above.

    Args:
        learned: widths by layer, under ``"weights"`` and ``"activations"``.
        fixed: the widths of all layers that were not searched.
        costs: with the budget; `Costs.check` has held for the lowest widths.
    """
    bits = _with(fixed, {kind: {n: _round(b) for n, b in named.items()} for kind, named in learned.items()})
    while costs.of(bits) > costs.budget:
        before = costs.of(bits)
        steps = [
            ((learned[kind][name] - getattr(bits, kind)[name] + 1) / max(before - costs.of(lower), 1e-9), lower)
            for kind, name, lower in _steps(bits, learned, -1)
            if costs.of(lower) < before
        ]
        bits = min(steps, key=lambda step: step[0])[1]
    while True:
        steps = [
            (learned[kind][name] - getattr(bits, kind)[name], higher)
            for kind, name, higher in _steps(bits, learned, +1)
            if costs.of(higher) <= costs.budget and learned[kind][name] > getattr(bits, kind)[name]
        ]
        if not steps:
            return bits
        bits = max(steps, key=lambda step: step[0])[1]


def _round(width: float) -> int:
    return min(max(round(width), MIN_BITS), MAX_BITS)


def _steps(
    bits: BitsSpec, learned: Mapping[str, Mapping[str, float]], step: int
) -> Iterator[tuple[str, str, BitsSpec]]:
    """All widths that differ by one bit of one searched layer."""
    for kind, named in learned.items():
        for name in named:
            width = getattr(bits, kind)[name] + step
            if MIN_BITS <= width <= MAX_BITS:
                yield kind, name, _with(bits, {kind: {name: width}})


def _with(bits: BitsSpec, changes: Mapping[str, Mapping[str, int]]) -> BitsSpec:
    plain = bits.model_dump()
    for kind, named in changes.items():
        plain[kind] = {**plain[kind], **named}
    return BitsSpec(**plain)
