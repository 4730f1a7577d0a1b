"""QKeras' uniform quantizers on power-of-two grids in one pass, with their straight-through gradients."""

from __future__ import annotations

from collections.abc import Callable

from flow.keras_env import tf

Quantizer = Callable[[tf.Tensor], tf.Tensor]


def relu_quantizer(bits: int, exponent: int) -> Quantizer:
    """`qkeras.quantized_relu`: unsigned, gradient 1 where 0 < x <= largest value, else 0."""
    step, top = 2.0**exponent, 2.0**bits - 1

    @tf.custom_gradient
    def quantize(x):
        codes = tf.clip_by_value(tf.round(x * tf.cast(1 / step, x.dtype)), 0, tf.cast(top, x.dtype))

        def gradient(upstream):
            inside = tf.logical_and(x > 0, x <= tf.cast(top * step, x.dtype))
            return upstream * tf.cast(inside, x.dtype)

        return codes * tf.cast(step, x.dtype), gradient

    return quantize


def signed_quantizer(bits: int, exponent: int) -> Quantizer:
    """`qkeras.quantized_bits`, or `binary` for 1 bit: gradient 1 everywhere."""
    step, top = 2.0**exponent, 2.0 ** (bits - 1)

    @tf.custom_gradient
    def quantize(x):
        if bits == 1:
            values = tf.where(x < 0, -step * tf.ones_like(x), step * tf.ones_like(x))
        else:
            codes = tf.clip_by_value(tf.round(x * (1 / step)), -top, top - 1)
            values = codes * step
        return values, lambda upstream: upstream

    return quantize
