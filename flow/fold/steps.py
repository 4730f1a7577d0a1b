"""A trained activation as a monotone step function of an integer, and its thresholds.

Everything is numpy float64 from the stored parameters, evaluated once: TensorFlow's own batch normalization depends on
its build and is never asked. Each operation of the chain (subtract, multiply, add, rectify, round, clip) is monotone in
floating point too, so that the codes are monotone in the integer and bisection finds the exact steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flow.fold.grids import Grid

#: integers of each channel at which a function is looked at to see that it only rises or only falls
_SAMPLES = 1025


@dataclass(frozen=True)
class Affine:
    """y = (x - center) * scale + shift per channel, in this order of operations; float64 (C,) or scalars."""

    center: np.ndarray
    scale: np.ndarray
    shift: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x - self.center) * self.scale + self.shift

    @property
    def direction(self) -> np.ndarray:
        """The sign of the slope."""
        return np.sign(self.scale)


@dataclass(frozen=True)
class Step:
    """y = x * size, the same in all channels: what a level of a learned quantizer is worth; size > 0."""

    size: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x * self.size

    @property
    def direction(self) -> np.ndarray:
        return np.float64(1)


@dataclass(frozen=True)
class Clamp:
    """A rectifier: y = min(max(x, 0), ceiling)."""

    ceiling: float = np.inf

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(x, 0.0), self.ceiling)

    @property
    def direction(self) -> np.ndarray:
        return np.float64(1)


@dataclass(frozen=True)
class Leak:
    """A leaky rectifier: y = min(x, ceiling) from 0 on, slope * x below; slope >= 0, by channel or one for all."""

    slope: float | np.ndarray
    ceiling: float = np.inf

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.where(x >= 0, np.minimum(x, self.ceiling), x * self.slope)

    @property
    def direction(self) -> np.ndarray:
        return np.float64(1)


Operation = Affine | Step | Clamp | Leak


@dataclass(frozen=True)
class Chain:
    """What stands between an integer tensor and the next quantizer.

    Attributes:
        fraction_bits: real value of the integer a is a * 2**-fraction_bits.
        operations: in order.
    """

    fraction_bits: int
    operations: tuple[Operation, ...] = ()

    def then(self, operation: Operation) -> Chain:
        return replace(self, operations=(*self.operations, operation))

    @property
    def direction(self) -> np.ndarray:
        """The sign of the slope, by channel or one for all."""
        product = np.float64(1)
        for operation in self.operations:
            product = product * operation.direction
        return product

    def tiled(self, times: int) -> Chain:
        """The same for a vector that has the channels `times` times over."""
        return replace(self, operations=tuple(_tiled(operation, times) for operation in self.operations))

    def __call__(self, integers: np.ndarray) -> np.ndarray:
        """Real values, float64; channels last."""
        x = np.ldexp(np.asarray(integers, dtype=np.float64), -self.fraction_bits)
        for operation in self.operations:
            x = operation(x)
        return x


def _tiled(operation: Operation, times: int) -> Operation:
    if isinstance(operation, Leak) and np.ndim(operation.slope):
        return replace(operation, slope=np.tile(operation.slope, times))
    if not isinstance(operation, Affine):
        return operation
    parts = (operation.center, operation.scale, operation.shift)
    return Affine(*(np.tile(part, times) if np.ndim(part) else part for part in parts))


@dataclass(frozen=True)
class Steps:
    """The function code(a) of every channel on the integers low..high, by where it steps.

    Attributes:
        thresholds: int64 (C, N), N = grid.high - grid.low. Entry [c, i] is the least (where `flip`: the greatest)
            integer whose code is at least grid.low + 1 + i; low and high + 1 (where `flip`: high and low - 1) stand
            for always and never.
        flip: bool (C,), the slope is negative.
        low, high: int64 (C,), the integers that the accumulator can reach.
        grid: of the codes.
    """

    thresholds: np.ndarray
    flip: np.ndarray
    low: np.ndarray
    high: np.ndarray
    grid: Grid

    @property
    def channels(self) -> int:
        return len(self.flip)


def find_steps(chain: Chain, grid: Grid, low: np.ndarray, high: np.ndarray) -> Steps:
    """Bisects code(a) for all channels and codes at once.

    Args:
        chain: the trained function up to the quantizer.
        grid: the quantizer.
        low, high: int64 (C,), the reachable integers.
    """
    channels = len(low)
    flip = np.broadcast_to(chain.direction < 0, channels)
    sign = np.where(flip, -1, 1)[:, None]

    # In u = sign * a the codes never fall. Invariant: code(below) < target <= code(above), by
    # definition beyond the ends.
    targets = np.arange(grid.low + 1, grid.high + 1)[None, :]
    start = np.where(flip, -high, low)[:, None]
    stop = np.where(flip, -low, high)[:, None]
    below = np.broadcast_to(start - 1, (channels, targets.size)).copy()
    above = np.broadcast_to(stop + 1, (channels, targets.size)).copy()
    while np.any(above - below > 1):
        middle = (below + above) // 2
        # chain works on channels last: (N, C)
        inside = np.clip(middle, start, stop)
        reached = targets <= grid.codes(chain((inside * sign).T)).T
        above = np.where(reached & (above - below > 1), middle, above)
        below = np.where(~reached & (above - below > 1), middle, below)
    return Steps(above * sign, flip, np.asarray(low, np.int64), np.asarray(high, np.int64), grid)


def turning_channels(chain: Chain, grid: Grid, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The channels in which the codes both rise and fall, int64 (n,), which no thresholds can express.

    They are evaluated at both ends and evenly in between; arguments as of `find_steps`.
    """
    integers = np.rint(np.linspace(low, high, _SAMPLES)).astype(np.int64)
    rises = np.diff(grid.codes(chain(integers)), axis=0) * np.where(chain.direction < 0, -1, 1)
    return np.flatnonzero((rises < 0).any(axis=0))
