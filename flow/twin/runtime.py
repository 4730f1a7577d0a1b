"""The Keras layers of a twin whose layers choose their width for each frame.

Such a twin has a second input, `flow.twin.inputs.CONFIGURATION`: a number for each runtime layer, its position in the
widths. The layers below read it beside their data and look at the positions that concern them; every sample of a batch
can have another configuration. Importing this module imports TensorFlow.

hls4ml makes a stream of each input and of each copy of one. One that is read more often than it can copy goes from
`PassThrough` to `PassThrough`, a few readers at each, in the order of computation: so a frame's configuration goes
along with the frame, and the next frame can have another while this one is still inside.
"""

from __future__ import annotations

from flow.ir import table_number
from flow.ir.geometry import windows
from flow.keras_env import keras, tf
from flow.twin.layers import CUSTOM_OBJECTS, PACKAGE, _IntegerActivation


class _Selecting(_IntegerActivation):
    """What these layers share; they read [x, configuration].

    Args:
        widths: bits to choose from, ascending.
        select: positions in the configuration of the runtime layers whose widths the layer looks at.
    """

    def __init__(self, *, widths: tuple[int, ...], select: tuple[int, ...], **kwargs) -> None:
        super().__init__(**kwargs)
        self.widths, self.select = tuple(widths), tuple(select)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "widths": list(self.widths), "select": list(self.select)}

    def entry(self, configuration):
        """The table of each sample, int32 (B,), see `flow.ir.table_number`."""
        positions = tf.cast(configuration, tf.int32)
        return table_number(len(self.widths), [positions[:, layer] for layer in self.select])


@keras.utils.register_keras_serializable(PACKAGE)
class SerialMatvec(_Selecting):
    """A convolution, or a dense layer on a vector, with the top bits of its weights; see `flow.ir.SerialMatvec`.

    At width b the weight is code >> (h - b), with `odd` 2 * (code >> (h - b)) + 1; h is the widest. Sums in the layer's
    own float type, one that holds every partial sum exactly.

    Args:
        size: rows and columns of the window; (1, 1) for a dense layer.
        stride: rows and columns from one window to the next.
        padding: rows of zeros above, columns left, rows below, columns right.
        outputs: sums of a window.
        odd: a code k stands for 2 k + 1.

    Weights: `weight` int64 (KH, KW, C, outputs), codes of h bits.
    """

    def __init__(self, *, size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int],
                 outputs: int, odd: bool = False, **kwargs) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.size, self.stride, self.padding = tuple(size), tuple(stride), tuple(padding)
        self.outputs, self.odd = outputs, odd

    def build(self, input_shape) -> None:
        shape = (*self.size, input_shape[0][-1], self.outputs)
        self.weight = self.add_weight(name="weight", shape=shape, dtype="int64", initializer="zeros", trainable=False)
        super().build(input_shape)

    def compute_output_shape(self, input_shape):
        shape = input_shape[0]
        if len(shape) == 2:
            return (shape[0], self.outputs)
        return (shape[0], *windows(shape[1:3], self.size, self.stride, self.padding), self.outputs)

    def call(self, inputs):
        x, configuration = inputs
        vector = x.shape.rank == 2
        top, left, bottom, right = self.padding
        image = x[:, None, None, :] if vector else tf.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        image *= 2.0**self.input_fraction_bits
        entry, total = self.entry(configuration), 0.0
        for position, width in enumerate(self.widths):
            weight = tf.bitwise.right_shift(self.weight, tf.constant(self.widths[-1] - width, tf.int64))
            weight = tf.cast(2 * weight + 1 if self.odd else weight, x.dtype)
            chosen = tf.cast(entry == position, x.dtype)[:, None, None, None]
            total += chosen * tf.nn.conv2d(image, weight, self.stride, "VALID")
        total *= 2.0**-self.output_fraction_bits
        return total[:, 0, 0, :] if vector else total

    def get_config(self) -> dict:
        own = {name: list(getattr(self, name)) for name in ("size", "stride", "padding")}
        return {**super().get_config(), **own, "outputs": self.outputs, "odd": self.odd}


@keras.utils.register_keras_serializable(PACKAGE)
class RequantizeTable(_Selecting):
    """code = saturate((x * multiplier[t] + bias[t]) >> shift) in int64; see `flow.ir.RequantizeTable`.

    t is the number whose digits are the selected positions. Codes lie between 0, or -1 - maximum[t] where they are
    signed, and maximum[t].

    Args:
        shift: bits.

    Weights: `multiplier` and `bias` int64 (T, C); `maximum` int64 (T,).
    """

    def __init__(self, *, shift: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.shift = shift

    def build(self, input_shape) -> None:
        weight = {"dtype": "int64", "initializer": "zeros", "trainable": False}
        shape = (len(self.widths) ** len(self.select), input_shape[0][-1])
        self.multiplier = self.add_weight(name="multiplier", shape=shape, **weight)
        self.bias = self.add_weight(name="bias", shape=shape, **weight)
        self.maximum = self.add_weight(name="maximum", shape=shape[:1], **weight)
        super().build(input_shape)

    def call(self, inputs):
        data, configuration = inputs
        entry = self.entry(configuration)
        each = (-1, *[1] * (data.shape.rank - 2), data.shape[-1])
        multiplier, bias = (tf.reshape(tf.gather(part, entry), each) for part in (self.multiplier, self.bias))
        maximum = tf.reshape(tf.gather(self.maximum, entry), (-1, *[1] * (data.shape.rank - 1)))
        x = tf.cast(tf.round(data * 2.0**self.input_fraction_bits), tf.int64)
        code = tf.bitwise.right_shift(x * multiplier + bias, tf.constant(self.shift, tf.int64))
        code = tf.clip_by_value(code, -1 - maximum if self.signed else tf.zeros_like(maximum), maximum)
        return tf.cast(code, data.dtype) * 2.0**-self.output_fraction_bits

    def get_config(self) -> dict:
        return {**super().get_config(), "shift": self.shift}


@keras.utils.register_keras_serializable(PACKAGE)
class PassThrough(_IntegerActivation):
    """The configuration, unchanged, for more readers."""

    def call(self, inputs):
        return tf.identity(inputs)


#: what Keras needs beside `flow.twin.layers.CUSTOM_OBJECTS`
RUNTIME_OBJECTS = {f"{PACKAGE}>{cls.__name__}": cls for cls in (SerialMatvec, RequantizeTable, PassThrough)}
ALL_OBJECTS = CUSTOM_OBJECTS | RUNTIME_OBJECTS
