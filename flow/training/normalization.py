"""Batch normalization that trains fast with any number of channels.

TensorFlow's fused normalization has vector code for multiples of 4 channels in float32, of 16 in bfloat16. With others
it takes up to ten times as long, most of a training step of a network whose width was multiplied. Here an image's rows
[width * channels] are the vectors, with float32 arithmetic inside.
"""

from __future__ import annotations

from flow.keras_env import keras, tf

_VECTOR = {"float32": 4, "bfloat16": 16}


class TrainableNormalization(keras.layers.BatchNormalization):
    """Keras' layer over the last axis, with scale and center; computed as this module says where Keras' is slow.

    In float32 without batch statistics it always answers what Keras' does, to the bit: so are networks scored.
    """

    def call(self, inputs, training=None):
        by_batch = training and self.trainable
        keras_is_slow = inputs.shape.rank == 4 and inputs.shape[-1] % _VECTOR.get(self.compute_dtype, 1) != 0
        if not keras_is_slow or (self.compute_dtype == "float32" and not by_batch):
            return super().call(inputs, training=training)
        if not by_batch:
            rows, scale = _Rows(inputs), self.gamma * tf.math.rsqrt(self.moving_variance + self.epsilon)
            return rows.back(rows.of(inputs) * rows.spread(scale) + rows.spread(self.beta - self.moving_mean * scale))
        gamma, beta = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        outputs, mean, variance = normalize(inputs, gamma, beta, self.epsilon)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))  # all of `now` where momentum is 0
        return outputs


def normalize(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalizes with the statistics of the batch.

    Args:
        x: [images, height, width, channels], of any float type.
        gamma, beta: float32 [channels].
        epsilon: is added to the variance.

    Returns:
        As x; means, and variances with Bessel's correction, float32 [channels], through which no gradient flows.
    """

    @tf.custom_gradient
    def normalized(x, gamma, beta):
        rows = _Rows(x)
        values = rows.of(x)
        mean = rows.mean(values)
        centered = values - rows.spread(mean)
        variance = rows.mean(centered * centered)
        scale = tf.math.rsqrt(variance + epsilon)
        y = centered * rows.spread(scale * gamma) + rows.spread(beta)

        def gradient(dy, *_):
            dy = rows.of(dy)
            along = rows.mean(dy * centered)
            shift = rows.mean(dy)
            pull = centered * rows.spread(along * scale * scale) + rows.spread(shift)
            dx = (dy - pull) * rows.spread(gamma * scale)
            return rows.back(dx), along * scale * rows.count, shift * rows.count

        unbiased = variance * rows.count / tf.maximum(rows.count - 1, 1)
        return (rows.back(y), mean, unbiased), gradient

    y, mean, variance = normalized(x, gamma, beta)
    return y, tf.stop_gradient(mean), tf.stop_gradient(variance)


class _Rows:
    """Images as float32 [images * height, width * channels]."""

    def __init__(self, x: tf.Tensor) -> None:
        self._shape, self._dtype = tf.shape(x), x.dtype
        self._width, self._channels = x.shape[2], x.shape[3]
        self.count = tf.cast(tf.reduce_prod(self._shape[:3]), tf.float32)

    def of(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.reshape(x, (-1, self._width * self._channels)), tf.float32)

    def back(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.cast(rows, self._dtype), self._shape)

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """One value for each channel, for a whole row."""
        return tf.tile(values, [self._width])

    def mean(self, rows: tf.Tensor) -> tf.Tensor:
        """Of each channel."""
        sums = tf.reshape(tf.reduce_sum(rows, axis=0), (self._width, self._channels))
        return tf.reduce_sum(sums, axis=0) / self.count
