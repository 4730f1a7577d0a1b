"""N2UQ as a Keras layer and a weight quantizer (Liu et al., CVPR 2022, arXiv 2111.14826).

A network's nonlinearity and activation quantizer are one `N2UQActivation`; its convolutions are QKeras layers with
`kernel_quantizer=N2UQWeights(bits)`:

    from flow.quantizers.n2uq import CUSTOM_OBJECTS, N2UQActivation, N2UQWeights
    from flow.training.own import train_own

    x = qkeras.QConv2D(32, 3, kernel_quantizer=N2UQWeights(2), use_bias=False, padding="same")(x)
    x = N2UQActivation(2)(keras.layers.BatchNormalization()(x))
    ...
    train_own(model, data, config, teacher=float_network)      # images and labels; see there
    model.save("mine.h5")                                      # flow build --model mine.h5
"""

from __future__ import annotations

import numpy as np

from flow.keras_env import keras, qkeras, tf
from flow.quantizers import FLOOR, SYSTEMS, gste

PACKAGE = "flow"


@keras.utils.register_keras_serializable(PACKAGE)
class AtLeast(keras.constraints.Constraint):
    """Keeps every element at `floor` or above."""

    def __init__(self, floor: float = FLOOR) -> None:
        self.floor = floor

    def __call__(self, w):
        return tf.maximum(w, self.floor)

    def get_config(self) -> dict:
        return {"floor": self.floor}


@keras.utils.register_keras_serializable(PACKAGE)
class N2UQActivation(keras.layers.Layer):
    """Learned thresholds, equally spaced levels, for a whole tensor; see `flow.quantizers.gste`.

    It rectifies as well: what lies below the first threshold is 0.

    Args:
        bits: n; the codes are 0..2^n - 1.
        output_exponent: if given, the levels are multiples of 2**output_exponent, not of a learned step. Needed where
            no quantizer follows that could absorb a real scale: in front of an add or of the last layer.

    Weights: `start` (), `intervals` (N,), `input_scale` (), and `output_scale` () if it is learned.
    """

    def __init__(self, bits: int, output_exponent: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.bits = bits
        self.output_exponent = output_exponent

    @property
    def levels(self) -> int:
        """N, the greatest code."""
        return 2**self.bits - 1

    @property
    def quantizer_variables(self) -> list:
        """What is trained at a lower rate than weights."""
        return list(self.trainable_variables)

    def build(self, input_shape) -> None:
        def add(name: str, shape: tuple[int, ...], value: float, constraint=None, trainable: bool = True):
            initializer = keras.initializers.Constant(value)
            settings = {"initializer": initializer, "constraint": constraint, "trainable": trainable}
            return self.add_weight(name=name, shape=shape, dtype="float32", **settings)

        unit = 2.0 / self.levels
        self.start = add("start", (), 0.0)
        self.intervals = add("intervals", (self.levels,), unit, AtLeast())
        self.input_scale = add("input_scale", (), 1.0, AtLeast())
        fixed = self.output_exponent is not None
        scale = 2.0**self.output_exponent / unit if fixed else 1.0
        self.output_scale = add("output_scale", (), scale, None if fixed else AtLeast(), trainable=not fixed)
        super().build(input_shape)

    def set_step(self, step: float) -> None:
        """The uniform quantizer with this step: the start of training. A fixed output step stays as it is."""
        unit = 2.0 / self.levels
        self.start.assign(0.0)
        self.intervals.assign(np.full(self.levels, unit))
        if self.output_exponent is None:
            self.output_scale.assign(step / unit)
        else:
            step = 2.0**self.output_exponent
        self.input_scale.assign(unit / step)

    def call(self, inputs):
        x = tf.cast(inputs, tf.float32)
        parameters = (self.start, self.intervals, self.input_scale, self.output_scale)
        values = gste.quantize(x, *(tf.convert_to_tensor(_stored(parameter)) for parameter in parameters))
        return tf.cast(values, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "bits": self.bits, "output_exponent": self.output_exponent}


@keras.utils.register_keras_serializable(PACKAGE)
class N2UQWeights(qkeras.BaseQuantizer):
    """Entropy-preserving weights: every code about equally likely.

    Per output filter (the last axis), with N = 2^n - 1, g = N / 2^(n-1) and m = mean|W|, the weight used is
    g m F, F = (2 round((clip(W / (g m), -1, 1) + 1) N / 2) - N) / N: an odd integer from -N to N times g m / N. The
    gradient passes to W unchanged, without a clip mask, and m is a constant in it.

    Args:
        bits: n.

    Attributes:
        scale: after a call, the factor of each filter, g m / N.
    """

    #: as QKeras writes that a quantizer multiplies its codes with a scale of its own
    alpha = "n2uq"

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.scale = None

    def __call__(self, x):
        x = tf.convert_to_tensor(_stored(x))
        levels = 2**self.bits - 1
        gain = levels / 2 ** (self.bits - 1)
        axes = list(range(len(x.shape) - 1))
        magnitude = tf.maximum(gain * tf.reduce_mean(tf.abs(x), axis=axes, keepdims=True), 1e-12)
        self.scale = tf.stop_gradient(magnitude / levels)
        scale = self.scale

        @tf.custom_gradient
        def quantize(x):
            codes = tf.round((tf.clip_by_value(x / magnitude, -1.0, 1.0) + 1.0) * (levels / 2))
            return (2.0 * codes - levels) * scale, lambda upstream: upstream

        return quantize(x)

    def max(self) -> float:
        """QKeras keeps the latent weights below this: they have no bound of their own."""
        return 1e6

    def min(self) -> float:
        return -1e6

    def get_config(self) -> dict:
        return {"bits": self.bits}

    @classmethod
    def from_config(cls, config: dict) -> N2UQWeights:
        return cls(**config)


#: what `keras.models.load_model` needs beside QKeras' classes
CUSTOM_OBJECTS = {cls.__name__: cls for cls in (N2UQActivation, N2UQWeights, AtLeast)}


def system_of(model: keras.Model) -> str:
    """The name of the system, see `flow.quantizers.SYSTEMS`, that quantizes a network's layers, all of them or some."""
    quantizers = [layer.get_quantizers() for layer in model.layers if hasattr(layer, "get_quantizers")]
    thresholds = any(isinstance(layer, N2UQActivation) for layer in model.layers)
    weights = any(isinstance(quantizer, N2UQWeights) for found in quantizers for quantizer in found)
    return next(s.name for s in SYSTEMS.values() if (s.thresholds, s.weights) == (thresholds, weights))


def _stored(variable):
    """The float32 variable behind Keras' automatic cast to the arithmetic's type."""
    return getattr(variable, "_variable", variable)
