"""The cost of fractional widths, and what the loss pays for missing the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.keras_env import tf
from flow.search.costs import Costs, width_of

if TYPE_CHECKING:
    from flow.search.network import Widths

#: above which excess the price of a bit rises, and by how much: it is twice as high at 2 % of excess, fivefold at 5 %
NEAR, STEEPER = 0.01, 100.0


def cost_of(costs: Costs, widths: Widths, fixed: BitsSpec) -> tf.Tensor:
    """The cost, float32 scalar, linear between whole widths; differentiable in the learned ones.

    Args:
        costs: the tables.
        widths: what is searched.
        fixed: the widths of everything else.
    """
    total = tf.constant(costs.fixed, tf.float32)
    for layer, source, table in zip(costs.layers, costs.sources, costs.tables):
        rows = _between(tf.constant(table, tf.float32), widths.weights.get(layer, fixed.weights[layer]))
        total += _between(rows, widths.activations.get(source, width_of(fixed, source)))
    return total


def penalty(costs: Costs, widths: Widths, fixed: BitsSpec, strength: float) -> Callable[[], tf.Tensor]:
    """``strength * (|e| + STEEPER / 2 * max(e - NEAR, 0) ** 2)`` with the excess ``e = (cost - budget) / budget``.

    The first part holds the budget where bits are worth less than it asks for them. Bits of few are worth more: 2 bits
    would grow to 3. So the price rises with the excess.
    """

    def paid() -> tf.Tensor:
        excess = (cost_of(costs, widths, fixed) - costs.budget) / costs.budget
        return strength * (tf.abs(excess) + STEEPER / 2 * tf.nn.relu(excess - NEAR) ** 2)

    return paid


def _between(entries: tf.Tensor, width) -> tf.Tensor:
    """The entry of a width along the first axis, interpolated."""
    clipped = tf.clip_by_value(tf.cast(tf.convert_to_tensor(width), tf.float32), float(MIN_BITS), float(MAX_BITS))
    floor = tf.minimum(tf.floor(clipped), MAX_BITS - 1.0)
    index = tf.cast(floor, tf.int32) - MIN_BITS
    low, high = tf.gather(entries, index), tf.gather(entries, index + 1)
    return low + (clipped - floor) * (high - low)


def common_width(costs: Costs, make: Callable[[float], Widths], fixed: BitsSpec) -> float:
    """The one width of all searched layers that costs what the budget allows: where a search starts.

    Args:
        make: the learned widths, all at a value.
    """
    low, high = float(MIN_BITS), float(MAX_BITS)
    if float(cost_of(costs, make(high), fixed)) <= costs.budget:
        return high
    while high - low > 1e-3:
        middle = float(np.mean((low, high)))
        low, high = (middle, high) if float(cost_of(costs, make(middle), fixed)) <= costs.budget else (low, middle)
    return low
