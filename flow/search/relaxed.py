"""Quantizers whose width is a real number, learned with the weights.

A grid of b bits has the levels ``step(b) * k`` with k in [-2^(b-1), 2^(b-1) - 1], or in [0, 2^b - 1] for
activations; nothing in that asks for a whole b. Between two whole widths the step is interpolated geometrically, and
the ends of k are real numbers; at a whole width it is the ordinary quantizer. The gradient of the width passes rounding
straight through: ``dq/db = (k - x/step) dstep/db`` inside, and the derivative of the end outside, whose expectation is
that of the quantization error (as of the step in S. Esser et al., arXiv 1902.08153).

The formula is ours: that of differentiable fine-grained quantization (Cheng et al., arXiv 1810.10351) is not published
in detail. Interpolating the values of two whole widths does not do: it averages two errors, so that a mixture, four
fifths of the wider one, is better than either, and widths stay there. Only from 1 bit, which has no 0, to 2 bits are
values interpolated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import log

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS
from flow.keras_env import tf
from flow.training.calibrate import quantize

Relaxed = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@cache
def gaussian_steps() -> np.ndarray:
    """float32 (8,): by width minus 1, the step of a two's complement grid that rounds Gaussian values of variance 1
    with the least squared error; for 1 bit the size of -1 and +1.
    """
    values = np.random.default_rng(0).standard_normal(20_000)
    steps = [float(np.abs(values).mean())]
    for bits in range(2, MAX_BITS + 1):
        tried = np.geomspace(2.0 ** (1 - bits), 6.0 * 2.0 ** (1 - bits), 200)
        errors = [float(np.mean((quantize(values / step, bits, 0, True) * step - values) ** 2)) for step in tried]
        steps.append(tried[int(np.argmin(errors))])
    return np.array(steps, np.float32)


def relaxed_weights(exponents: np.ndarray | None = None) -> Relaxed:
    """A weight quantizer: a function of a kernel, float32 [weights, filters], and a float32 scalar width.

    The gradient of the weights is passed through; that of the width is as in this module's description.

    Args:
        exponents: of the power-of-two step that all filters have, int (8,) by width minus 1; if not given, each filter
            has a step of its own, as training fills the filters in front of a batch normalization.
    """

    @tf.custom_gradient
    def quantizer(kernel, width):
        if exponents is None:
            size = tf.sqrt(tf.reduce_mean(tf.square(kernel), axis=0) + 1e-12)
            steps = size[None, :] * gaussian_steps()[:, None]
        else:
            steps = tf.constant(np.exp2(exponents.astype(np.float32))[:, None])
        clipped = tf.clip_by_value(width, float(MIN_BITS), float(MAX_BITS))
        share = clipped - 1  # between 1 and 2 bits
        sign = tf.where(kernel < 0, -steps[0], steps[0])
        two, _ = _on_grid(kernel, tf.constant(2.0), steps, signed=True)
        many, slope = _on_grid(kernel, tf.maximum(clipped, 2.0), steps, signed=True)
        slope = tf.where(clipped < 2, two - sign, slope)
        values = tf.where(clipped < 2, (1 - share) * sign + share * two, many)
        return values, lambda upstream: (upstream, tf.reduce_sum(upstream * slope))

    return quantizer


def relaxed_activations(steps: np.ndarray) -> Relaxed:
    """An unsigned activation quantizer: a function of values and a float32 scalar width.

    The gradient of the values is passed where they are inside the range.

    Args:
        steps: float32 (8,), by width minus 1.
    """

    @tf.custom_gradient
    def quantizer(x, width):
        clipped = tf.clip_by_value(width, float(MIN_BITS), float(MAX_BITS))
        values, slope = _on_grid(x, clipped, tf.constant(steps), signed=False)
        top = (tf.pow(2.0, clipped) - 1) * _step(clipped, tf.constant(steps))[0]

        def gradient(upstream):
            inside = tf.logical_and(x > 0, x <= top)
            return upstream * tf.cast(inside, upstream.dtype), tf.reduce_sum(upstream * slope)

        return values, gradient

    return quantizer


def _step(width: tf.Tensor, steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The step of a width and its derivative.

    Args:
        steps: [8, ...] by width minus 1.
    """
    floor = tf.minimum(tf.floor(width), MAX_BITS - 1.0)  # the top width is the upper end of the last interval
    index, share = tf.cast(floor, tf.int32) - 1, width - floor
    low, high = tf.gather(steps, index), tf.gather(steps, index + 1)
    step = tf.where(share < 1, low * tf.pow(high / low, share), high)  # either end exactly
    return step, step * tf.math.log(high / low)


def _on_grid(x: tf.Tensor, width: tf.Tensor, steps: tf.Tensor, signed: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Values rounded to the grid of a width, and their derivative by it."""
    step, by_width = _step(width, steps)
    magnitude = tf.pow(2.0, width - float(signed))
    low, high, grows = (-magnitude if signed else 0.0), magnitude - 1, log(2) * magnitude
    nearest = tf.round(x / step)
    codes = tf.clip_by_value(nearest, low, high)
    inside = (codes - x / step) * by_width
    below = low * by_width - (grows * step if signed else 0.0)
    above = high * by_width + grows * step
    return codes * step, tf.where(nearest < low, below, tf.where(nearest > high, above, inside))
