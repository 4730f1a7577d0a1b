"""What training minimizes, and what it counts on the way, for each task."""

from __future__ import annotations

from typing import Protocol

from flow.keras_env import tf


class Objective(Protocol):
    """Losses of one task. Outputs are float32 [samples, ...], inputs the real numbers that the network takes."""

    def learn(self, outputs, inputs, labels):
        """The loss against what is right."""

    def imitate(self, outputs, taught, temperature: float):
        """The loss against a teacher's outputs on the same samples, of about the same size as `learn`."""

    def count(self, outputs, inputs, labels):
        """The sum over samples of what the task's metric is the average of."""


class Classification:
    """Cross-entropy; soft labels as G. Hinton et al., arXiv 1503.02531. Counts right answers."""

    def learn(self, outputs, inputs, labels):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))

    def imitate(self, outputs, taught, temperature: float):
        # Cross-entropy with the soft labels: KL up to the teacher's constant entropy.
        soft = tf.nn.softmax(taught / temperature)
        return temperature**2 * tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(soft, outputs / temperature))

    def count(self, outputs, inputs, labels):
        return tf.reduce_sum(tf.cast(tf.argmax(outputs, axis=1) == labels, tf.int32))


class Reconstruction:
    """Mean squared difference of output and input, or of output and the teacher's."""

    def learn(self, outputs, inputs, labels):
        return tf.reduce_mean(tf.math.squared_difference(outputs, inputs))

    def imitate(self, outputs, taught, temperature: float):
        return tf.reduce_mean(tf.math.squared_difference(outputs, taught))

    def count(self, outputs, inputs, labels):
        return tf.reduce_sum(tf.reduce_mean(tf.math.squared_difference(outputs, inputs), axis=-1))


OBJECTIVES: dict[str, Objective] = {"classification": Classification(), "reconstruction": Reconstruction()}
