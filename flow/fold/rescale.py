"""Finds the integers of a `Requantize` that equal a trained step function on every reachable integer.

The unit computes saturate((a * M + B) >> S). On the integer u = -a or a in which the codes rise, "equal everywhere" is
a set of linear constraints on M and B, two for every step at U (code t from U on, below t at U - 1):

    t * 2**S - U * M  <=  B  <=  t * 2**S - 1 - (U - 1) * M

For a given M they leave an interval of B whose length is concave in M, so the best M is found by bisection on its
slope, and the smallest S that leaves a B for every channel needs the narrowest multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from flow.fold.steps import Affine, Chain, Clamp, Leak, Steps
from flow.golden import functions as golden
from flow.ir.types import signed_width

#: keeps every product and bias far inside 63 bits
MAX_SHIFT = 50
MAX_BIAS_BITS = 58


def multiplier_bits(accumulator_bits: int) -> int:
    """How wide a multiplier may be: what one DSP48E1 (25 by 18 bits, signed) takes, and two where one cannot do.

    >>> multiplier_bits(17), multiplier_bits(21), multiplier_bits(30)
    (25, 34, 28)
    """
    return 25 if accumulator_bits <= 18 else min(34, 58 - accumulator_bits)


@dataclass(frozen=True)
class Rescale:
    """The parameters of a `Requantize` and how far it is from what was trained.

    Attributes:
        multiplier, bias: int64 (C,).
        shift: bits.
        ties_to_even: as `flow.ir.Requantize`.
        differing: how many reachable integers, summed over channels, give another code; 0 unless no parameters of the
            allowed width exist.
    """

    multiplier: np.ndarray
    bias: np.ndarray
    shift: int
    ties_to_even: bool
    differing: int

    def codes(self, integers: np.ndarray, low: int, high: int) -> np.ndarray:
        return golden.requantize(integers, self.multiplier, self.bias, self.shift, low, high, self.ties_to_even)


def find_rescale(chain: Chain, steps: Steps) -> Rescale:
    """Exact parameters where they exist: power-of-two scales first, then the narrowest multiplier that fits."""
    exact = _power_of_two(chain, steps)
    if exact is not None and _count_differing(exact, steps) == 0:
        return exact
    fitted = _fit(steps)
    return Rescale(fitted.multiplier, fitted.bias, fitted.shift, False, _count_differing(fitted, steps))


def find_shared(parts: Sequence[Steps]) -> list[Rescale]:
    """Parameters of several step functions that one unit computes with one shift: the smallest that is exact for all.

    Args:
        parts: the functions; channels, integers and grids may differ.
    """
    constraints = [_Constraints(steps) for steps in parts]
    shift = _smallest_shift(constraints)
    fitted = [_at_shift(one, steps, shift) for one, steps in zip(constraints, parts, strict=True)]
    return [
        Rescale(one.multiplier, one.bias, shift, False, _count_differing(one, steps))
        for one, steps in zip(fitted, parts, strict=True)
    ]


def _power_of_two(chain: Chain, steps: Steps) -> Rescale | None:
    """The chain as exact fractions, rounding half to even; None if its scale or offset is no short binary fraction."""
    slope = [Fraction(2) ** (steps.grid.fraction_bits - chain.fraction_bits)] * steps.channels
    offset = [Fraction(0)] * steps.channels
    unit = Fraction(2) ** steps.grid.fraction_bits
    for operation in chain.operations:
        if isinstance(operation, Leak):
            return None
        if isinstance(operation, Clamp):
            if steps.grid.low < 0 or np.isfinite(operation.ceiling):
                return None  # a clip that the saturation does not do already
            continue
        for c, (center, scale, shift) in enumerate(_per_channel(operation, steps.channels)):
            slope[c] *= scale
            offset[c] = (offset[c] - center * unit) * scale + shift * unit
    shift = max(part.denominator.bit_length() - 1 for part in (*slope, *offset))
    multiplier = [part * 2**shift for part in slope]
    if shift > MAX_SHIFT or max(abs(m) for m in multiplier) >= _limit(steps):
        return None
    half = (1 << shift) >> 1
    bias = [part * 2**shift + half for part in offset]
    if max(abs(b) for b in bias) >= 1 << MAX_BIAS_BITS:
        return None
    return Rescale(np.array([int(m) for m in multiplier]), np.array([int(b) for b in bias]), shift, shift > 0, 0)


def _limit(steps: Steps) -> int:
    """What the magnitude of a multiplier stays below."""
    reach = signed_width(int(steps.low.min()), int(steps.high.max()))
    return 1 << (multiplier_bits(reach) - 1)


def _per_channel(operation: Affine, channels: int) -> list[tuple[Fraction, Fraction, Fraction]]:
    columns = [np.broadcast_to(v, channels) for v in (operation.center, operation.scale, operation.shift)]
    return [tuple(Fraction(float(v)) for v in row) for row in zip(*columns, strict=True)]  # type: ignore[misc]


def _fit(steps: Steps) -> Rescale:
    """The smallest shift that leaves a bias for every channel; failing that, the largest that the multiplier allows."""
    constraints = _Constraints(steps)
    return _at_shift(constraints, steps, _smallest_shift([constraints]))


def _smallest_shift(parts: Sequence[_Constraints]) -> int:
    def solved(shift: int) -> tuple[bool, bool]:
        """Whether this shift is exact, and whether it needs too wide a multiplier; doubling M keeps both true."""
        exact, wide = True, False
        for constraints in parts:
            multiplier, room, _ = constraints.solve(shift)
            exact &= bool((room >= 0)[~constraints.constant].all())
            wide |= bool(multiplier.max() >= constraints.limit)
        return exact, wide

    low, high = 0, MAX_SHIFT
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if any(solved(middle)) else (middle + 1, high)
    return max(low - 1, 0) if solved(low)[1] else low


def _at_shift(constraints: _Constraints, steps: Steps, shift: int) -> Rescale:
    multiplier, room, lower = constraints.solve(shift)
    bias = np.where(constraints.constant, constraints.constant_code << shift, lower + np.maximum(room, 0) // 2)
    return Rescale(multiplier * np.where(steps.flip, -1, 1), bias, shift, False, 0)


class _Constraints:
    """The linear constraints of all channels, in u = sign * a."""

    def __init__(self, steps: Steps) -> None:
        sign = np.where(steps.flip, -1, 1)
        start = np.where(steps.flip, -steps.high, steps.low)[:, None]
        stop = np.where(steps.flip, -steps.low, steps.high)[:, None]
        self.step = steps.thresholds * sign[:, None]
        self.target = np.arange(steps.grid.low + 1, steps.grid.high + 1)[None, :]
        self.has_lower = self.step <= stop  # the code is reached somewhere
        self.has_upper = self.step > start  # and is not reached everywhere
        self.limit = _limit(steps)
        self.constant = ~(self.has_lower & self.has_upper).any(axis=1)
        self.constant_code = steps.grid.low + self.has_lower.sum(axis=1)

    def bounds(self, shift: int, multiplier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest bias, (C,), that `multiplier` (C,) leaves."""
        goal, m = self.target << shift, multiplier[:, None]
        far = np.int64(1) << 60
        lower = np.where(self.has_lower, goal - self.step * m, -far).max(axis=1)
        upper = np.where(self.has_upper, goal - 1 - (self.step - 1) * m, far).min(axis=1)
        return lower, upper

    def solve(self, shift: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The multiplier with the widest interval of biases, that interval's length (negative: empty), its low end."""

        def room(m: np.ndarray) -> np.ndarray:
            lower, upper = self.bounds(shift, m)
            return upper - lower

        low = np.zeros(len(self.constant), dtype=np.int64)
        high = np.where(self.constant, 0, self.limit)
        while np.any(low < high):
            middle = (low + high) // 2
            rising = room(middle + 1) > room(middle)
            active = low < high
            low = np.where(active & rising, middle + 1, low)
            high = np.where(active & ~rising, middle, high)
        lower, upper = self.bounds(shift, low)
        return low, upper - lower, lower


def _count_differing(rescale: Rescale, steps: Steps) -> int:
    """Integers that give another code, found at the steps: two monotone functions are equal if their steps are.

    A step that is off by k integers differs on k of them; the search widens by doubling and then bisects.
    """
    sign = np.where(steps.flip, -1, 1)[:, None]
    start = np.where(steps.flip, -steps.high, steps.low)[:, None]
    stop = np.where(steps.flip, -steps.low, steps.high)[:, None]
    want = steps.thresholds * sign
    target = np.arange(steps.grid.low + 1, steps.grid.high + 1)[None, :]

    below = np.broadcast_to(start - 1, want.shape).copy()
    above = np.broadcast_to(stop + 1, want.shape).copy()
    while np.any(above - below > 1):
        middle = (below + above) // 2
        inside = np.clip(middle, start, stop)
        reached = target <= rescale.codes((inside * sign).T, steps.grid.low, steps.grid.high).T
        active = above - below > 1
        above = np.where(reached & active, middle, above)
        below = np.where(~reached & active, middle, below)
    return int(np.abs(above - want).sum())
