"""Weights whose lower widths are the top bits of the stored code (Bit-Mixer, arXiv 2103.17267), as Keras layers.

The stored weight is q_h = clip(round(w / step), -2^(h-1), 2^(h-1) - 1) at the top width h. At width b it is

    floor   q_b = q_h >> (h - b)                                    as in the paper
    round   q_b = min((q_h + 2^(h-b-1)) >> (h - b), 2^(b-1) - 1)    ours, as arXiv 2502.01199 proposes
    centre  q_b = q_h >> (h - b), with q_h = floor(w / step)        ours

and is used as q_b * 2^(h-b) * step; with `centre` as (q_b + 1/2) * 2^(h-b) * step, the middle of what q_b stands for,
which floor misses by half of what it drops. With floor and centre q_b are the top b bits of q_h, so that hardware which
stores bit planes reads fewer of them; rounded codes are no bit planes of q_h. Centred weights are the odd integers
2 q_b + 1 in steps of half a unit, N2UQ's codes: sum(u (2 q + 1)) = 2 sum(u q) + sum(u), which needs the sum of the
inputs, one for all outputs. The gradient passes to w unchanged.

The layers read `[x, selection]`: what `RuntimeWidths` of `flow.quantizers.runtime` gives is one number for each runtime
layer, its position in `widths`. Nothing is traced or built again when it changes.
"""

from __future__ import annotations

import numpy as np

from flow.keras_env import keras, tf
from flow.quantizers.uniform import signed_quantizer

PACKAGE = "flow"
BIAS_BITS = 16
FLOOR, ROUND, CENTRE = NESTINGS = ("floor", "round", "centre")


def nested_codes(codes: np.ndarray, top: int, bits: int, nesting: str = FLOOR) -> np.ndarray:
    """The codes at a lower width.

    Args:
        codes: int64, `top` bits, two's complement.
        top, bits: h and b.
        nesting: one of `NESTINGS`.
    """
    drop = top - bits
    if drop == 0 or nesting != ROUND:
        return codes >> drop
    return np.minimum((codes + (1 << (drop - 1))) >> drop, (1 << (bits - 1)) - 1)


def top_codes(weights: np.ndarray, top: int, exponent: int, nesting: str = FLOOR) -> np.ndarray:
    """Latent weights as int64 codes of `top` bits with step 2**exponent: rounded half to even, or down for `centre`."""
    limit = 1 << (top - 1)
    scaled = np.ldexp(np.asarray(weights, np.float64), -exponent)
    rounded = np.floor(scaled) if nesting == CENTRE else np.rint(scaled)
    return np.clip(rounded, -limit, limit - 1).astype(np.int64)


def _nested(widths: tuple[int, ...], exponent: int, nesting: str):
    """The weights that a layer uses, from latent weights and a position in `widths`."""
    top, step = widths[-1], 2.0**exponent
    limit = 2.0 ** (top - 1)
    units = tf.constant([2.0 ** (top - bits) for bits in widths], tf.float32)

    @tf.custom_gradient
    def quantize(weights, position):
        unit = tf.gather(units, position)
        rounded = (tf.floor if nesting == CENTRE else tf.round)(weights * (1 / step))
        codes = tf.clip_by_value(rounded, -limit, limit - 1)
        if nesting == CENTRE:
            codes = (tf.floor(codes / unit) + 0.5) * unit
        elif nesting == ROUND:
            # at the top width floor(q + 1/2) is q; its greatest code is that of the width
            codes = tf.minimum(tf.floor(codes / unit + 0.5) * unit, limit - unit)
        else:
            codes = tf.floor(codes / unit) * unit
        return codes * step, lambda upstream: (upstream, None)

    return quantize


class _Nested:
    """What convolutions and dense layers share: their weights."""

    def __init__(self, *args, widths, exponent: int, select: int | None = None, nesting: str = FLOOR,
                 bias_exponent: int | None = None, **kwargs) -> None:  # fmt: skip
        super().__init__(*args, use_bias=bias_exponent is not None, **kwargs)
        self.widths, self.exponent, self.select = tuple(widths), exponent, select
        self.nesting, self.bias_exponent = nesting, bias_exponent
        self._quantize = _nested(self.widths, exponent, nesting)
        self.input_spec = None  # Keras' own is that of one input

    @property
    def top_codes(self) -> np.ndarray:
        """What is stored: int64 in the kernel's shape, as wide as the widest width."""
        return top_codes(self.kernel.numpy(), self.widths[-1], self.exponent, self.nesting)

    def codes(self, bits: int) -> np.ndarray:
        """The codes at a width, in steps of 2**exponent * 2**(h - bits)."""
        return nested_codes(self.top_codes, self.widths[-1], bits, self.nesting)

    def build(self, input_shape) -> None:
        # not Keras' own, which checks and keeps the shape of one input
        shape = self._kernel_shape(input_shape[0][-1])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        self.bias = None
        if self.bias_exponent is not None:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer=self.bias_initializer)
        self.built = True

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape[0])

    def _weights(self, selection):
        position = 0 if self.select is None else selection[self.select]
        return self._quantize(tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(position))

    def _biased(self, x):
        if self.bias_exponent is None:
            return x
        return x + signed_quantizer(BIAS_BITS, self.bias_exponent)(tf.convert_to_tensor(self.bias))

    def get_config(self) -> dict:
        own = {name: getattr(self, name) for name in ("exponent", "select", "nesting", "bias_exponent")}
        config = super().get_config()
        del config["use_bias"]  # that is whether there is a bias_exponent
        return {**config, **own, "widths": list(self.widths)}


@keras.utils.register_keras_serializable(PACKAGE)
class NestedConv2D(_Nested, keras.layers.Conv2D):
    """A convolution whose width can change; reads `[x, selection]`.

    Args:
        filters, kernel_size, ...: as `Conv2D` takes them.
        widths: B, rising; one width for a layer that cannot change.
        exponent: the step of the codes at the top width is 2**exponent.
        select: position in the selection, None for a layer that cannot change.
        nesting: ``"floor"``, ``"round"`` or ``"centre"``, see the head of this file.
        bias_exponent: if given there is a bias of 16 bits with this step.
    """

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, channels, self.filters)

    def call(self, inputs):
        x, selection = inputs
        return self._biased(tf.nn.conv2d(x, self._weights(selection), self.strides, self.padding.upper()))


@keras.utils.register_keras_serializable(PACKAGE)
class NestedDense(_Nested, keras.layers.Dense):
    """A dense layer whose width can change; reads `[x, selection]`. Its arguments are those of `NestedConv2D`."""

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (channels, self.units)

    def call(self, inputs):
        x, selection = inputs
        return self._biased(tf.matmul(x, self._weights(selection)))
