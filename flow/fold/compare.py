"""Trained against deployed: measured on images, not assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flow.twin.twin import BATCH, INPUT_FRACTION_BITS, Twin

if TYPE_CHECKING:
    from flow.keras_env import keras


class Difference(NamedTuple):
    """How far a twin is from the network that it was folded from.

    Attributes:
        activations: quantized activations with another code.
        total: quantized activations compared.
        labels: images with another largest logit.
    """

    activations: int
    total: int
    labels: int


def compare_trained_deployed(
    trained: keras.Model, twin: Twin, images: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> Difference:
    """Runs both networks and compares every quantized activation and every label.

    The trained network computes in TensorFlow's float32, whose last bits depend on its build and thread count: the
    result is a measurement of this run.

    Args:
        trained: the QKeras network.
        twin: what `fold_network` made of it.
        images: uint8 (N, H, W, C).
        progress: hears how many images are done.
    """
    from flow.keras_env import keras, tf

    names = [a.name for a in twin.activations]
    fractions = [twin.model.get_layer(name).output_fraction_bits for name in names]
    deployed_probe = keras.Model(
        twin.model.input, [*(twin.model.get_layer(n).output for n in names), twin.model.output]
    )
    trained_probe = keras.Model(trained.input, [*(_trained_output(trained, n) for n in names), trained.output])

    @tf.function(reduce_retracing=True)
    def differing(batch):
        *want, want_logits = trained_probe(batch, training=False)
        *have, have_logits = deployed_probe(batch, training=False)
        activations = tf.constant(0, tf.int64)
        for fraction_bits, a, b in zip(fractions, want, have, strict=True):
            # QKeras leaves float32 rounding errors of its straight-through sum on the codes
            unequal = (
                tf.round(tf.cast(a, tf.float32) * 2.0**fraction_bits) != tf.cast(b, tf.float32) * 2.0**fraction_bits
            )
            activations += tf.math.count_nonzero(unequal)
        labels = tf.math.count_nonzero(tf.argmax(want_logits, axis=-1) != tf.argmax(have_logits, axis=-1))
        return activations, labels

    per_image = sum(int(np.prod(twin.model.get_layer(name).output_shape[1:])) for name in names)
    activations = labels = 0
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH].astype(np.float32) / 2.0**INPUT_FRACTION_BITS
        found = differing(tf.constant(batch))
        activations, labels = activations + int(found[0]), labels + int(found[1])
        progress(min(start + BATCH, len(images)))
    return Difference(activations, per_image * len(images), labels)


def _trained_output(trained: keras.Model, name: str):
    """The trained tensor that a folded activation stands for; a quantizer inside a layer is named `<layer>_act`."""
    known = {layer.name for layer in trained.layers}
    return trained.get_layer(name if name in known else name.removesuffix("_act")).output
