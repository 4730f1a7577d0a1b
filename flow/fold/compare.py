"""Trained against deployed: measured on images, not assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flow.twin.twin import BATCH, Twin

if TYPE_CHECKING:
    from flow.keras_env import keras


class Difference(NamedTuple):
    """How far a twin is from the network that it was folded from.

    Attributes:
        activations: quantized activations with another code.
        total: quantized activations compared.
        labels: samples with another largest logit.
    """

    activations: int
    total: int
    labels: int


def compare_trained_deployed(
    trained: keras.Model, twin: Twin, codes: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> Difference:
    """Runs both networks and compares every quantized activation and every label.

    The trained network computes in TensorFlow's float32, whose last bits depend on its build and thread count: the
    result is a measurement of this run.

    Args:
        trained: the QKeras network.
        twin: what `fold_network` made of it.
        codes: integers (N, *twin.input.shape); both networks get the numbers that they stand for.
        progress: hears how many samples are done.
    """
    from flow.keras_env import keras, tf

    layers = [twin.model.get_layer(a.name) for a in twin.activations]
    fractions = [layer.output_fraction_bits for layer in layers]
    # codes a unit of the trained network's output
    units = [
        2.0**bits if activation.step is None else 1.0 / activation.step
        for bits, activation in zip(fractions, twin.activations, strict=True)
    ]
    last = twin.model.layers[-1].input if twin.gives_labels else twin.model.output
    deployed_probe = keras.Model(twin.model.input, [*(layer.output for layer in layers), last])
    kept = [trained.get_layer(a.trained).output for a in twin.activations]
    trained_probe = keras.Model(trained.input, [*kept, trained.output])

    # a sigmoid at the end is left to the host
    sigmoid = getattr(getattr(trained.layers[-1], "activation", None), "__name__", None) == "sigmoid"
    middle, logits = 0.5 if sigmoid else 0.0, int(np.prod(last.shape[1:]))

    def label(values, above: float):
        """The largest logit, or whether the only one is above the middle."""
        flat = tf.reshape(values, (-1, logits))
        return tf.argmax(flat, axis=1) if logits > 1 else tf.cast(flat[:, 0] > above, tf.int64)

    @tf.function(reduce_retracing=True)
    def differing(batch):
        # Keras takes a list of one output for the output
        *want, want_logits = tf.nest.flatten(
            trained_probe(tf.reshape(batch, (-1, *trained.input_shape[1:])), training=False)
        )
        *have, have_logits = tf.nest.flatten(deployed_probe(batch, training=False))
        activations = tf.constant(0, tf.int64)
        for fraction_bits, unit, a, b in zip(fractions, units, want, have, strict=True):
            a = tf.reshape(a, tf.shape(b))
            # QKeras leaves float32 rounding errors of its straight-through sum on the codes
            unequal = tf.round(tf.cast(a, tf.float32) * unit) != tf.cast(b, tf.float32) * 2.0**fraction_bits
            activations += tf.math.count_nonzero(unequal)
        labels = tf.math.count_nonzero(label(want_logits, middle) != label(have_logits, 0.0))
        return activations, labels

    per_sample = sum(int(np.prod(layer.output_shape[1:])) for layer in layers)
    activations = labels = 0
    for start in range(0, len(codes), BATCH):
        found = differing(tf.constant(twin.input.reals(codes[start : start + BATCH])))
        activations, labels = activations + int(found[0]), labels + int(found[1])
        progress(min(start + BATCH, len(codes)))
    return Difference(activations, per_sample * len(codes), labels)
