"""Bit-Mixer's other Keras layers (arXiv 2103.17267): the selection, activations, transitional batch normalization.

    selection = RuntimeWidths((2, 3, 4), ("conv1", "conv2"))(x)      # one position in the widths for each layer
    x = WidthActivation((2, 3, 4), select=1)([x, selection])          # as wide as its reader, conv2
    x = NestedConv2D(8, 3, widths=(2, 3, 4), exponent=-3, select=1)([x, selection])
    x = TransitionalBatchNormalization((2, 3, 4), select=(0, 1))([x, selection])
    model = RuntimeModel(inputs, outputs)
    model.set_bits({"conv1": 4, "conv2": 2})

The selection is a variable of one layer and a tensor for all others, which gather from it: changing it traces and
builds nothing, and what is not gathered gets no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from flow import ir
from flow.errors import FlowError
from flow.keras_env import keras, tf
from flow.quantizers import FLOOR
from flow.quantizers.n2uq import AtLeast
from flow.quantizers.nested import PACKAGE, NestedConv2D, NestedDense
from flow.quantizers.uniform import relu_quantizer, signed_quantizer

SELECTION = "runtime_widths"
_LANES = 512


@keras.utils.register_keras_serializable(PACKAGE)
class RuntimeWidths(keras.layers.Layer):
    """The present configuration: int32 (layers,), positions in `widths`; its input says nothing.

    Args:
        widths: B, rising.
        layers: names of the runtime layers.
    """

    def __init__(self, widths: Sequence[int], layers: Sequence[str], **kwargs) -> None:
        super().__init__(**kwargs)
        self.widths, self.layers = tuple(widths), tuple(layers)

    def build(self, input_shape) -> None:
        top = keras.initializers.Constant(len(self.widths) - 1)
        shape = (len(self.layers),)
        self.selection = self.add_weight(name="selection", shape=shape, dtype="int32", initializer=top, trainable=False)
        super().build(input_shape)

    def call(self, inputs):
        return tf.identity(self.selection)

    def compute_output_shape(self, input_shape):
        return tf.TensorShape((len(self.layers),))

    def get_config(self) -> dict:
        return {**super().get_config(), "widths": list(self.widths), "layers": list(self.layers)}


@keras.utils.register_keras_serializable(PACKAGE)
class WidthActivation(keras.layers.Layer):
    """A rectifier with a learned step for each width: step * clip(round(x / step), 0, 2^b - 1).

    The gradient for x is 1 inside the range; that for the step is that of learned step sizes (Esser et al., LSQ,
    arXiv 1902.08153): round(v) - v inside, 0 below, 2^b - 1 above, with v = x / step.

    Args:
        widths: B, rising.
        select: position of the reader in the selection.

    Weights: `steps` (|B|,).
    """

    def __init__(self, widths: Sequence[int], select: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.widths, self.select = tuple(widths), select

    @property
    def quantizer_variables(self) -> list:
        """What is trained at a lower rate than weights."""
        return [self.steps]

    def build(self, input_shape) -> None:
        start = keras.initializers.Constant([4.0 / 2**bits for bits in self.widths])
        self.steps = self.add_weight(
            name="steps", shape=(len(self.widths),), dtype="float32", initializer=start, constraint=AtLeast(FLOOR)
        )
        super().build(input_shape)

    def call(self, inputs):
        x, selection = inputs
        position = selection[self.select]
        tops = tf.constant([2.0**bits - 1 for bits in self.widths], tf.float32)
        return learned_step(x, tf.gather(self.steps, position), tf.gather(tops, position))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "widths": list(self.widths), "select": self.select}


def _forward(x, step, top):
    return tf.clip_by_value(tf.round(x / step), 0.0, top) * step


@tf.function(jit_compile=True)
def _backward(x, upstream, step, top):
    scaled = x / step
    inside = tf.logical_and(scaled > 0, scaled <= top)
    slope = tf.where(inside, tf.round(scaled) - scaled, tf.where(scaled > top, top, 0.0))
    # rows of many lanes: their sum is vectorized, and short sums keep float32 exact enough
    lanes = _LANES if prod(x.shape[1:]) % _LANES == 0 else x.shape[-1]
    rows = tf.reshape(upstream * slope, (-1, lanes))
    return tf.where(inside, upstream, 0.0), tf.reduce_sum(tf.reduce_sum(rows, 0))


@tf.custom_gradient
def learned_step(x, step, top):
    """Quantizes with a learned step; float32 x, scalars `step` > 0 and `top`, the greatest code."""
    return _forward(x, step, top), lambda upstream: (*_backward(x, upstream, step, top), None)


@keras.utils.register_keras_serializable(PACKAGE)
class FixedActivation(keras.layers.Layer):
    """A quantizer of one width with a power-of-two step, as QKeras' `quantized_relu` and `quantized_bits`.

    Args:
        bits: width.
        exponent: the step is 2**exponent.
        signed: two's complement, else a rectifier.
    """

    def __init__(self, bits: int, exponent: int, signed: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.bits, self.exponent, self.signed = bits, exponent, signed
        self._quantize = (signed_quantizer if signed else relu_quantizer)(bits, exponent)

    def call(self, inputs):
        return self._quantize(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "bits": self.bits, "exponent": self.exponent, "signed": self.signed}


@keras.utils.register_keras_serializable(PACKAGE)
class TransitionalBatchNormalization(keras.layers.Layer):
    """Batch normalization with a set {gamma, beta, mean, variance} for each choice of the widths that it depends on.

    Args:
        widths: B, rising.
        select: positions in the selection of the layers whose widths choose the set, predecessor first; |B|^len(select)
            sets, the last one's width runs fastest.
        momentum, epsilon: as `BatchNormalization` takes them.

    Weights: `gamma`, `beta`, `moving_mean`, `moving_variance`, each (sets, C). A step changes the selected set alone.
    """

    def __init__(self, widths: Sequence[int], select: Sequence[int], momentum: float = 0.99, epsilon: float = 1e-3,
                 **kwargs) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.widths, self.select = tuple(widths), tuple(select)
        self.momentum, self.epsilon = momentum, epsilon

    @property
    def sets(self) -> int:
        """How many there are."""
        return len(self.widths) ** len(self.select)

    def set_of(self, positions: Sequence[int]) -> int:
        """The number of the set that a selection chooses."""
        return ir.table_number(len(self.widths), [positions[layer] for layer in self.select])

    def build(self, input_shape) -> None:
        shape = (self.sets, input_shape[0][-1])

        def add(name: str, value: str, trainable: bool):
            return self.add_weight(name=name, shape=shape, dtype="float32", initializer=value, trainable=trainable)

        self.gamma, self.beta = add("gamma", "ones", True), add("beta", "zeros", True)
        self.moving_mean = add("moving_mean", "zeros", False)
        self.moving_variance = add("moving_variance", "ones", False)
        super().build(input_shape)

    def call(self, inputs, training=None):
        x, selection = inputs
        number = tf.convert_to_tensor(self.set_of(selection), tf.int32)
        gamma, beta = tf.gather(self.gamma, number), tf.gather(self.beta, number)
        moving = (self.moving_mean, self.moving_variance)
        flat = x if x.shape.rank == 4 else x[:, None, None, :]
        if not training:
            mean, variance = (tf.gather(variable, number) for variable in moving)
            values, _, _ = tf.compat.v1.nn.fused_batch_norm(
                flat, gamma, beta, mean, variance, self.epsilon, is_training=False
            )
        else:
            values, mean, variance = tf.compat.v1.nn.fused_batch_norm(flat, gamma, beta, epsilon=self.epsilon)
            for variable, new in zip(moving, (mean, variance), strict=True):
                moved = self.momentum * tf.gather(variable, number) + (1 - self.momentum) * new
                variable.scatter_update(tf.IndexedSlices(moved[None], number[None]))
        return values if x.shape.rank == 4 else values[:, 0, 0, :]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        own = {"widths": list(self.widths), "select": list(self.select)}
        return {**super().get_config(), **own, "momentum": self.momentum, "epsilon": self.epsilon}


@keras.utils.register_keras_serializable(PACKAGE)
class RuntimeModel(keras.Model):
    """A functional network with one `RuntimeWidths` layer."""

    @property
    def _control(self) -> RuntimeWidths:
        return next(layer for layer in self.layers if isinstance(layer, RuntimeWidths))

    @property
    def runtime_layers(self) -> tuple[str, ...]:
        """The layers that can change their width, in the order of a configuration's fields."""
        return self._control.layers

    @property
    def widths(self) -> tuple[int, ...]:
        """B, rising."""
        return self._control.widths

    @property
    def bits(self) -> dict[str, int]:
        """The present configuration."""
        positions = self._control.selection.numpy()
        return {name: self.widths[position] for name, position in zip(self.runtime_layers, positions, strict=True)}

    def set_bits(self, bits: Mapping[str, int] | Sequence[int] | int) -> None:
        """Chooses the width of every runtime layer.

        Args:
            bits: by layer, in the order of `runtime_layers`, or one for all.

        Raises:
            FlowError: an unknown or a missing layer, or a width that is not in `widths`.
        """
        if isinstance(bits, (int, np.integer)):
            bits = [bits] * len(self.runtime_layers)
        self.select(ir.RuntimeWidths(self.widths, self.runtime_layers).fields(bits, 1)[0])

    def select(self, positions) -> None:
        """Chooses by positions in `widths`: an int array or tensor (layers,); not checked."""
        self._control.selection.assign(tf.cast(positions, tf.int32))

    def of_kind(self, kind: type) -> list:
        """The layers of a class, in the order of computation."""
        return [layer for layer in self.layers if isinstance(layer, kind)]


#: what `keras.models.load_model` needs where this module is not imported otherwise
CUSTOM_OBJECTS = {
    cls.__name__: cls
    for cls in (
        RuntimeModel, RuntimeWidths, WidthActivation, FixedActivation, TransitionalBatchNormalization, NestedConv2D,
        NestedDense, AtLeast,
    )
}  # fmt: skip


def runtime_model(model: keras.Model) -> RuntimeModel:
    """The same object, if widths can be chosen in it.

    Raises:
        FlowError: they cannot.
    """
    if not isinstance(model, RuntimeModel):
        raise FlowError(f"{model.name}: has no run-time widths; `flow train --runtime-bits 2,3,4` makes such a network")
    return model
