"""The width multiplier with which a network costs what it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from itertools import takewhile
from math import isfinite

import yaml

from flow.adders import available
from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.boards import Board
from flow.errors import FlowError, unknown
from flow.folding import Amount, estimate
from flow.folding.budget import UTILIZATION
from flow.folding.solve import fastest, for_cycles
from flow.search.skeleton import skeleton
from keras_models.spec import ModelSpec
from keras_models.widen import widened

ACTIVATION_BITS = 8

#: how far a network may be from the common cost
TOLERANCES = {"bytes": 0.02, "luts": 0.05, "cycles": 0.05}
#: of the networks within the tolerance of the common bytes, one may take this much more LUTs than the smallest: 79
#: channels, a prime number, fold in two ways only, and may take four times the LUTs of 80
_FOLDS_WELL = 1.1
#: of the multipliers, each so-many-th is tried to see where the others are to be tried
_COARSE = 6
#: a cost this little above another is equal to it: ratios of measured to estimated LUTs are rounded
_EQUAL = 1 + 1e-9
#: share of the board that a plan may fill: less than a build may, for a trained network takes a little more or less
PLANNED_UTILIZATION = 0.92


@dataclass(frozen=True)
class Solved:
    """A network of the common cost.

    Attributes:
        spec: the model with its multiplier.
        multiplier: of the channels.
        bits: of every weight layer; activations have 8.
        cost: bytes, LUTs or cycles, as of `Equal.target`.
    """

    spec: ModelSpec
    multiplier: float
    bits: int
    cost: float


def one_width(spec: ModelSpec, bits: int) -> BitsSpec:
    """Every weight layer, first and last too, at one width; every activation at 8 bits."""
    if not MIN_BITS <= bits <= MAX_BITS:
        raise FlowError(f"--bits {bits}: widths are {MIN_BITS} to {MAX_BITS} bits")
    return BitsSpec(
        weights={w.name: bits for w in spec.weight_layers()},
        activations={a.name: ACTIVATION_BITS for a in spec.activation_layers()},
    )


def weight_bytes(spec: ModelSpec, bits: BitsSpec) -> float:
    """Of all weights, packed."""
    return sum(w.weights * bits.weights[w.name] for w in spec.weight_layers()) / 8


@dataclass(frozen=True)
class Equal:
    """What all networks of a study have in common.

    Attributes:
        kind: ``"bytes"`` of weights, ``"luts"`` at `cycles` between frames, or ``"cycles"`` between frames of a network
            that fills a board.
        target: bytes, LUTs or cycles.
        cycles: between frames, where hardware is meant.
        lut: of the board, where it is to be filled.
        ratios: by width of the weights: measured LUTs over those of the cost model, where they were measured.
    """

    kind: str
    target: float
    cycles: int
    lut: float = 0.0
    ratios: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, spec: ModelSpec, bits: int, board: Board, cycles: int) -> Equal:
        """The common cost that one network sets.

        Args:
            spec, bits: that network.
            cycles: between frames, for ``"luts"``; for ``"cycles"`` it is what the network reaches on the board.

        Raises:
            FlowError: another kind.
        """
        if kind not in TOLERANCES:
            raise unknown("kind of cost", kind, TOLERANCES)
        if kind == "cycles":
            budget = Amount.of(board) * PLANNED_UTILIZATION
            _, found = fastest(skeleton(spec, one_width(spec, bits)), budget)
            interval = found.interval(skeleton(spec, one_width(spec, bits)))
            return cls(kind, interval, interval, budget.lut)
        return cls(kind, cls(kind, 0, cycles).cost(spec, one_width(spec, bits)), cycles)

    @property
    def tolerance(self) -> float:
        """The share of the target that a network may miss."""
        return TOLERANCES[self.kind]

    def measured(self, luts: float, ratios: Mapping[int, float]) -> Equal:
        """The same with LUTs as synthesis counts them: those that all take, and their ratios to the cost model's."""
        return replace(self, ratios=dict(ratios), **{"target" if self.kind == "luts" else "lut": luts})

    def estimated_luts(self, spec: ModelSpec, bits: int) -> float:
        """Of a network with one width, by the cost model alone; infinite where it is too wide for the rate."""
        with suppress(FlowError):
            return _hardware(spec, one_width(spec, bits).to_yaml(), self.cycles)[0]
        return float("inf")

    def cost(self, spec: ModelSpec, bits: BitsSpec) -> float:
        """What a network costs, of the kind of the target; in hardware by the cost model and what is known of it.

        Of ``"cycles"``, infinite where the network does not fit the board at these cycles.
        """
        if self.kind == "bytes":
            return weight_bytes(spec, bits)
        luts, interval = self._planned(spec, bits)
        if self.kind == "luts":
            return luts
        return interval if luts <= self.lut * _EQUAL else float("inf")

    def _planned(self, spec: ModelSpec, bits: BitsSpec) -> tuple[float, int]:
        """LUTs by the cost model and what is known of it, and the interval."""
        luts, interval = _hardware(spec, bits.to_yaml(), self.cycles)
        widths = set(bits.weights.values())
        return luts * (self.ratios.get(widths.pop(), 1.0) if len(widths) == 1 else 1.0), interval

    @property
    def luts(self) -> float:
        """LUTs that a network may take at `cycles` between frames, where these are what all have in common."""
        return self.target if self.kind == "luts" else self.lut

    def share(self, spec: ModelSpec, bits: BitsSpec, luts: float | None = None) -> float:
        """What a network costs, as a share of what all have in common: bytes, or else LUTs at these cycles.

        Args:
            luts: by synthesis, where they are known.
        """
        if self.kind == "bytes":
            return self.cost(spec, bits) / self.target
        return (self._planned(spec, bits)[0] if luts is None else luts) / self.luts


@lru_cache(maxsize=4096)
def _hardware(spec: ModelSpec, bits: str, cycles: int) -> tuple[float, int]:
    """Estimated LUTs and the interval of the cheapest folding for at most so many cycles.

    Args:
        bits: of every layer, as YAML.
    """
    graph = skeleton(spec, BitsSpec.model_validate(yaml.safe_load(bits)))
    folding = for_cycles(graph, cycles)
    return estimate(graph, folding).lut, folding.interval(graph)


def breakpoints(spec: ModelSpec, most: float) -> list[float]:
    """Multipliers, ascending, one for each way in which channels can round, up to `most`; none leaves a layer empty."""
    channels = {w.out_channels for w in spec.weight_layers()[:-1]}
    least = max(0.5 / c for c in channels)
    found = {round((k + 0.5) / c + 1e-4, 4) for c in channels for k in range(int(most * c) + 1)} | {1.0}
    return sorted(m for m in found if least < m <= most)


def solve_multiplier(spec: ModelSpec, bits: int, equal: Equal, most: float = 4.0) -> Solved:
    """The network that costs what it should.

    Bytes grow with every channel, and are bisected; of the networks within the tolerance that fold well at the study's
    cycles, the nearest is taken. LUTs and cycles waver: 26 channels fold in fewer ways than 24, and may cost more than
    28. There all networks about the widest one that a coarse scan finds affordable are tried; that with the most
    channels within the tolerance, and not above the target, is taken.

    Args:
        most: the greatest multiplier that is tried.

    Raises:
        FlowError: no multiplier comes near enough; says what the nearest one costs.
    """

    @cache
    def at(multiplier: float) -> float:
        network = widened(spec, multiplier)
        try:
            return equal.cost(network, one_width(network, bits))
        except FlowError:  # too wide for the rate
            return float("inf")

    def affordable(multiplier: float) -> bool:
        return at(multiplier) <= equal.target * _EQUAL

    def missed(multiplier: float) -> float:
        return abs(at(multiplier) / equal.target - 1)

    choices = breakpoints(spec, most)
    if equal.kind == "bytes":
        near = _about(choices, affordable, lambda m: missed(m) <= equal.tolerance)
        best = min(_folding_well(spec, near, bits, equal.cycles), key=missed)
    else:
        near = _around(choices, affordable)
        within = [m for m in near if missed(m) <= equal.tolerance and affordable(m)]
        best = max(within, default=min(near, key=missed))
    if missed(best) > equal.tolerance:
        raise FlowError(
            f"{spec.name} at {bits} bits: no width multiplier up to {most:g} costs {equal.target:,.0f} {equal.kind} "
            f"within {equal.tolerance:.0%}; the nearest, {best:g}, costs {at(best):,.0f}"
        )
    return Solved(widened(spec, best), best, bits, at(best))


def networks_about(spec: ModelSpec, bits: int, equal: Equal, most: float = 4.0) -> list[ModelSpec]:
    """The networks about the widest one that costs no more LUTs than there may be, and, of equal cycles, has them."""

    @cache
    def luts(multiplier: float) -> float:
        network = widened(spec, multiplier)
        return equal.estimated_luts(network, bits) * equal.ratios.get(bits, 1.0)

    near = _around(breakpoints(spec, most), lambda multiplier: luts(multiplier) <= equal.luts * _EQUAL)
    networks = {network.name: network for network in (widened(spec, m) for m in near if isfinite(luts(m)))}
    least = (1 - equal.tolerance) * equal.cycles if equal.kind == "cycles" else 0
    return [n for n in networks.values() if _hardware(n, one_width(n, bits).to_yaml(), equal.cycles)[1] >= least]


def _around(choices: Sequence[float], affordable: Callable[[float], bool]) -> list[float]:
    """The multipliers about the widest one that a coarse scan finds affordable."""
    coarse = [*choices[::_COARSE], choices[-1]]
    place = max((i for i, m in enumerate(coarse) if affordable(m)), default=0)
    about, above = coarse[place], coarse[min(place + 1, len(coarse) - 1)]
    return [m for m in choices if 0.65 * about <= m <= max(1.35 * about, above)]


def _about(
    choices: Sequence[float], affordable: Callable[[float], bool], within: Callable[[float], bool]
) -> list[float]:
    """The multipliers within the tolerance, or the two beside the target where none is, of a cost that only grows."""
    low, high = 0, len(choices) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if affordable(choices[middle]) else (low, middle)
    found = [*takewhile(within, reversed(choices[: low + 1])), *takewhile(within, choices[high:])]
    return found or [choices[low], choices[high]]


def _folding_well(spec: ModelSpec, multipliers: Sequence[float], bits: int, cycles: int) -> list[float]:
    """Those of the multipliers whose networks take few LUTs at these cycles; all where none is that fast."""
    luts: dict[float, float] = {}
    for multiplier in multipliers:
        network = widened(spec, multiplier)
        with suppress(FlowError):  # too wide for the rate
            luts[multiplier] = _hardware(network, one_width(network, bits).to_yaml(), cycles)[0]
    return [m for m, lut in luts.items() if lut <= _FOLDS_WELL * min(luts.values())] or list(multipliers)


def check_fits(
    networks: Sequence[tuple[ModelSpec, BitsSpec]], board: Board, cycles: int, slower: bool = True,
    ratios: Mapping[int, float] | None = None,
) -> None:  # fmt: skip
    """Raises FlowError where a network does not fit the board at these cycles by the cost model, corrected by what was
    measured: names it, and what would fit.

    Args:
        networks: with the width of every layer, one for all weights of a network.
        slower: whether more cycles are a way out.
        ratios: as of `Equal`.
    """
    full = Amount.of(board) * UTILIZATION
    problems = []
    for spec, bits in networks:
        if problem := _excess(spec, bits, full, cycles, ratios or {}):
            problems.append(f"{spec.name} at {', '.join(map(str, sorted(set(bits.weights.values()))))} bits: {problem}")
    if not problems:
        return
    more = [cycles * 2**k for k in range(1, 11)] if slower else []
    enough = next((c for c in more if not any(_excess(*one, full, c, ratios or {}) for one in networks)), None)
    advice = "" if enough is None else f"--cycles {enough} would do, or "
    raise FlowError(f"{cycles} cycles between frames on {board.name}: {'; '.join(problems)}; {advice}a smaller --share")


def _excess(spec: ModelSpec, bits: BitsSpec, budget: Amount, cycles: int, ratios: Mapping[int, float]) -> str | None:
    """What a network needs at these cycles beyond the budget; None where it fits.

    What is known of its width's LUTs is known of the cost model without graphs of adders.
    """
    graph, ratio = skeleton(spec, bits), ratios.get(min(bits.weights.values()))
    try:
        needed = estimate(graph, for_cycles(graph, cycles, ratio is None and available()))
    except FlowError as error:
        return str(error).split("; ")[0]
    needed = replace(needed, lut=needed.lut * (ratio or 1.0))
    parts = [f"{name} {need:,.0f} of {have:,.0f}" for name, (need, have) in needed.excess(budget).items()]
    return "estimated " + ", ".join(parts) if parts else None
