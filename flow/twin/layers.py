"""The Keras layers that only a twin has: activations, sums and filters of integers, quantizers for float64 layers.

Tensors between the layers of a twin are real numbers, integer * 2**-fraction_bits, so that the layers of Keras and
hls4ml understand them; our layers turn them into integers, compute, and turn the codes back. Importing this
module imports TensorFlow.
"""

from __future__ import annotations

from flow.ir.geometry import windows
from flow.keras_env import keras, qkeras, tf

#: prefix of the registered names, as Keras writes them into a model's configuration
PACKAGE = "flow"


class _IntegerActivation(keras.layers.Layer):
    """What these layers share: the grids of input and output.

    Args:
        input_fraction_bits: input integer = input * 2**input_fraction_bits.
        output_fraction_bits: output = code * 2**-output_fraction_bits.
        bits: width of a code.
        signed: whether codes are two's complement.
    """

    def __init__(self, input_fraction_bits: int, output_fraction_bits: int, bits: int, signed: bool, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_fraction_bits = input_fraction_bits
        self.output_fraction_bits = output_fraction_bits
        self.bits = bits
        self.signed = signed

    @property
    def code_range(self) -> tuple[int, int]:
        """The least and the greatest code that the type holds."""
        return (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) if self.signed else (0, (1 << self.bits) - 1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        names = ("input_fraction_bits", "output_fraction_bits", "bits", "signed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.utils.register_keras_serializable(PACKAGE)
class Threshold(_IntegerActivation):
    """code = offset + number of thresholds reached: x >= t, or x <= t in channels that flip.

    Compares in the layer's own float type; the fold picks one that holds every input and threshold exactly.

    Args:
        count: thresholds of a channel.
        offset: the code below all thresholds.

    Weights: `thresholds` int64 (C, count); `flip` int64 (C,), 0 or 1.
    """

    def __init__(self, *, count: int, offset: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.count = count
        self.offset = offset

    def build(self, input_shape) -> None:
        channels = input_shape[-1]
        weight = {"dtype": "int64", "initializer": "zeros", "trainable": False}
        self.thresholds = self.add_weight(name="thresholds", shape=(channels, self.count), **weight)
        self.flip = self.add_weight(name="flip", shape=(channels,), **weight)
        super().build(input_shape)

    def call(self, inputs):
        kind = inputs.dtype
        sign = tf.cast(1 - 2 * self.flip, kind)
        x = inputs * (sign * 2.0**self.input_fraction_bits)
        thresholds = tf.cast(self.thresholds, kind) * sign[:, None]
        code = tf.fill(tf.shape(x), tf.constant(self.offset, kind))
        for i in range(self.count):
            code += tf.cast(x >= thresholds[:, i], kind)
        return code * 2.0**-self.output_fraction_bits

    def get_config(self) -> dict:
        return {**super().get_config(), "count": self.count, "offset": self.offset}


@keras.utils.register_keras_serializable(PACKAGE)
class Requantize(_IntegerActivation):
    """code = saturate((x * multiplier + bias) >> shift) in int64, the shift rounding down.

    Args:
        shift: bits.
        ties_to_even: where all dropped bits are zero, the lowest bit of the code is cleared.

    Weights: `multiplier` and `bias` (which holds half a place), int64 (C,).
    """

    def __init__(self, *, shift: int, ties_to_even: bool, **kwargs) -> None:
        super().__init__(**kwargs)
        self.shift = shift
        self.ties_to_even = ties_to_even

    def build(self, input_shape) -> None:
        weight = {"shape": (input_shape[-1],), "dtype": "int64", "initializer": "zeros", "trainable": False}
        self.multiplier = self.add_weight(name="multiplier", **weight)
        self.bias = self.add_weight(name="bias", **weight)
        super().build(input_shape)

    def call(self, inputs):
        x = tf.cast(tf.round(inputs * 2.0**self.input_fraction_bits), tf.int64)
        scaled = x * self.multiplier + self.bias
        shift = tf.constant(self.shift, tf.int64)
        code = tf.bitwise.right_shift(scaled, shift)
        if self.ties_to_even and self.shift > 0:
            dropped = tf.bitwise.bitwise_and(scaled, (1 << self.shift) - 1)
            code -= tf.where(dropped == 0, tf.bitwise.bitwise_and(code, 1), 0)
        code = tf.clip_by_value(code, *self.code_range)
        return tf.cast(code, inputs.dtype) * 2.0**-self.output_fraction_bits

    def get_config(self) -> dict:
        return {**super().get_config(), "shift": self.shift, "ties_to_even": self.ties_to_even}


@keras.utils.register_keras_serializable(PACKAGE)
class SumPool(_IntegerActivation):
    """Sum of each window, whose stride is its size; what is left at the far edges is dropped.

    Args:
        size: rows and columns of a window.
    """

    def __init__(self, *, size: tuple[int, int], **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height // self.size[0], width // self.size[1], channels)

    def call(self, inputs):
        _, out_h, out_w, channels = self.compute_output_shape(inputs.shape)
        whole = inputs[:, : out_h * self.size[0], : out_w * self.size[1]]
        windows = tf.reshape(whole, (-1, out_h, self.size[0], out_w, self.size[1], channels))
        return tf.reduce_sum(windows, axis=(2, 4)) * 2.0 ** (self.input_fraction_bits - self.output_fraction_bits)

    def get_config(self) -> dict:
        return {**super().get_config(), "size": list(self.size)}


@keras.utils.register_keras_serializable(PACKAGE)
class Depthwise(_IntegerActivation):
    """Filters of one channel each: out[c * multiplier + m] = bias + sum of in[ky, kx, c] * weight[ky, kx, c, m].

    Sums in the layer's own float type; the fold picks one that holds every partial sum exactly.

    Args:
        size: rows and columns of the window.
        stride: rows and columns from one window to the next.
        padding: rows of zeros above, columns left, rows below, columns right.
        multiplier: filters of a channel.
        weight_bits: of a weight, 1 to 8.
        binary: weights are -1 and +1.

    Weights: `weight` int64 (KH, KW, C, multiplier); `bias` int64 (C * multiplier,), on the output's grid.
    """

    def __init__(self, *, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int],
                 multiplier: int, weight_bits: int, binary: bool, **kwargs) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.size, self.stride, self.padding = tuple(size), tuple(stride), tuple(padding)
        self.multiplier, self.weight_bits, self.binary = multiplier, weight_bits, binary

    def build(self, input_shape) -> None:
        channels = input_shape[-1]
        weight = {"dtype": "int64", "initializer": "zeros", "trainable": False}
        self.weight = self.add_weight(name="weight", shape=(*self.size, channels, self.multiplier), **weight)
        self.bias = self.add_weight(name="bias", shape=(channels * self.multiplier,), **weight)
        super().build(input_shape)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        positions = windows((height, width), self.size, self.stride, self.padding)
        return (batch, *positions, channels * self.multiplier)

    def call(self, inputs):
        _, out_h, out_w, outputs = self.compute_output_shape(inputs.shape)
        top, left, bottom, right = self.padding
        x = tf.pad(inputs * 2.0**self.input_fraction_bits, ((0, 0), (top, bottom), (left, right), (0, 0)))
        weight = tf.cast(self.weight, inputs.dtype)
        total = tf.cast(tf.reshape(self.bias, (-1, self.multiplier)), inputs.dtype)
        for ky in range(self.size[0]):
            for kx in range(self.size[1]):
                rows = slice(ky, ky + (out_h - 1) * self.stride[0] + 1, self.stride[0])
                columns = slice(kx, kx + (out_w - 1) * self.stride[1] + 1, self.stride[1])
                total += x[:, rows, columns, :, None] * weight[ky, kx]
        return tf.reshape(total, (-1, out_h, out_w, outputs)) * 2.0**-self.output_fraction_bits

    def get_config(self) -> dict:
        own = {name: list(getattr(self, name)) for name in ("size", "stride", "padding")}
        own |= {name: getattr(self, name) for name in ("multiplier", "weight_bits", "binary")}
        return {**super().get_config(), **own}


@keras.utils.register_keras_serializable(PACKAGE)
class Argmax(_IntegerActivation):
    """The position of the largest element of a vector; of several that are equal, the first."""

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def call(self, inputs):
        count = inputs.shape[-1]
        largest = tf.reduce_max(inputs, axis=-1, keepdims=True)
        positions = tf.where(inputs == largest, tf.range(count), count)
        return tf.cast(tf.reduce_min(positions, axis=-1, keepdims=True), inputs.dtype)


@keras.utils.register_keras_serializable(PACKAGE)
class WideBits(qkeras.quantized_bits):
    """`quantized_bits` of fixed weights, without a gradient, that also takes what QKeras' own does not.

    That is float64, for layers whose sums exceed the 24 bits of float32, and negative integer bits.
    """

    def __call__(self, x):
        step, top = 2.0 ** (self.integer + 1 - self.bits), 2.0 ** (self.bits - 1)
        return tf.clip_by_value(tf.round(x / step), self.symmetric - top, top - 1) * step


@keras.utils.register_keras_serializable(PACKAGE)
class WideBinary(qkeras.binary):
    """`binary` that keeps float64."""

    def __call__(self, x):
        return tf.cast(super().__call__(tf.cast(x, tf.float32)), x.dtype)


#: what Keras needs to rebuild a twin from its configuration
_OWN = (Threshold, Requantize, SumPool, Depthwise, Argmax, WideBits, WideBinary)
CUSTOM_OBJECTS = {f"{PACKAGE}>{cls.__name__}": cls for cls in _OWN} | {
    "QConv2D": qkeras.QConv2D,
    "QDense": qkeras.QDense,
}
