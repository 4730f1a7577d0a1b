"""The width multiplier with which a network costs what it should."""

from __future__ import annotations

from dataclasses import dataclass

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.boards import Board
from flow.errors import FlowError, unknown
from flow.folding import estimate
from flow.folding.solve import for_cycles
from flow.search.skeleton import skeleton
from keras_models.spec import ModelSpec
from keras_models.widen import widened

ACTIVATION_BITS = 8

#: how far a network may be from the common cost
TOLERANCES = {"bytes": 0.02, "luts": 0.05, "cycles": 0.05}


@dataclass(frozen=True)
class Solved:
    """A network of the common cost.

    Attributes:
        spec: the model with its multiplier.
        multiplier: of the channels.
        bits: of every weight layer; activations have 8.
        cost: bytes or LUTs, as of `Equal.target`.
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


@dataclass(frozen=True)
class Equal:
    """What all networks of a study have in common.

    Attributes:
        kind: ``"bytes"`` of weights, ``"luts"`` at `cycles` between frames, or ``"cycles"`` between frames on a board.
        target: bytes or LUTs; of ``"cycles"`` the LUTs of the board, which every network fills at that rate.
        cycles: between frames, where hardware is meant.
    """

    kind: str
    target: float
    cycles: int

    @classmethod
    def of(cls, kind: str, spec: ModelSpec, bits: int, board: Board, utilization: float, cycles: int) -> Equal:
        """The common cost that one network sets.

        Args:
            spec, bits: that network.

        Raises:
            FlowError: another kind.
        """
        if kind not in TOLERANCES:
            raise unknown("kind of cost", kind, TOLERANCES)
        if kind == "cycles":
            return cls(kind, board.lut * utilization, cycles)
        return cls(kind, cls(kind, 0, cycles).cost(spec, one_width(spec, bits)), cycles)

    @property
    def tolerance(self) -> float:
        """The share of the target that a network may miss."""
        return TOLERANCES[self.kind]

    def cost(self, spec: ModelSpec, bits: BitsSpec) -> float:
        """What a network costs; in hardware by the cost model."""
        if self.kind == "bytes":
            return sum(w.weights * bits.weights[w.name] for w in spec.weight_layers()) / 8
        graph = skeleton(spec, bits)
        return estimate(graph, for_cycles(graph, self.cycles)).lut


def breakpoints(spec: ModelSpec, most: float) -> list[float]:
    """Multipliers, ascending, one for each way in which channels can round, up to `most`; none leaves a layer empty."""
    channels = {w.out_channels for w in spec.weight_layers()[:-1]}
    least = max(0.5 / c for c in channels)
    found = {round((k + 0.5) / c + 1e-4, 4) for c in channels for k in range(int(most * c) + 1)} | {1.0}
    return sorted(m for m in found if least < m <= most)


def solve_multiplier(spec: ModelSpec, bits: int, equal: Equal, most: float = 4.0) -> Solved:
    """The widest network that costs what it should.

    Bytes grow with every channel, and are bisected. LUTs waver: 26 channels fold in fewer ways than 24, and may cost
    more than 28. There the neighbours of the bisection's end are tried too, as far as twice the tolerance.

    Args:
        most: the greatest multiplier that is tried.

    Raises:
        FlowError: no multiplier comes near enough; says what the nearest one costs.
    """
    tried: dict[float, float] = {}

    def at(multiplier: float) -> float:
        if multiplier not in tried:
            network = widened(spec, multiplier)
            try:
                tried[multiplier] = equal.cost(network, one_width(network, bits))
            except FlowError:  # too wide for the rate
                tried[multiplier] = float("inf")
        return tried[multiplier]

    choices = breakpoints(spec, most)
    low, high = 0, len(choices) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(choices[middle]) <= equal.target else (low, middle)
    reach = 2 if equal.kind == "bytes" else 24
    near = choices[max(low - reach, 0) : high + reach + 1]
    missed = {multiplier: abs(at(multiplier) / equal.target - 1) for multiplier in near}
    if equal.kind == "bytes":
        best = min(near, key=missed.__getitem__)
    else:
        within = [m for m in near if missed[m] <= equal.tolerance and at(m) <= equal.target]
        best = max(within, default=min(near, key=missed.__getitem__))
    if missed[best] > equal.tolerance:
        raise FlowError(
            f"{spec.name} at {bits} bits: no width multiplier up to {most:g} costs {equal.target:,.0f} "
            f"{'bytes' if equal.kind == 'bytes' else 'LUTs'} within {equal.tolerance:.0%}; the nearest, {best:g}, "
            f"costs {at(best):,.0f}"
        )
    return Solved(widened(spec, best), best, bits, at(best))
