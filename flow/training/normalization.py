"""Batch normalization that trains fast with any number of channels.

TensorFlow's fused normalization has vector code in bfloat16 for multiples of 16 channels alone; with others it takes
ten times as long, most of a training step of a network whose width was multiplied. Here an image's rows
[width * channels] are the vectors, with float32 arithmetic inside.
"""

from __future__ import annotations

from flow.keras_env import keras, tf

_VECTOR = 16


class TrainableNormalization(keras.layers.BatchNormalization):
    """Keras' layer, with its weights and its answers; where that is slow, computed as this module says."""

    def call(self, inputs, training=None):
        slow = self.compute_dtype == "bfloat16" and inputs.shape.rank == 4 and inputs.shape[-1] % _VECTOR
        if not slow:
            return super().call(inputs, training=training)
        gamma, beta, means, variances = (
            tf.convert_to_tensor(getattr(variable, "_variable", variable))  # float32, behind Keras' automatic cast
            for variable in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if not (training and self.trainable):
            rows, scale = _Rows(inputs), gamma * tf.math.rsqrt(variances + self.epsilon)
            return rows.back(rows.of(inputs) * rows.spread(scale) + rows.spread(beta - means * scale))
        outputs, mean, variance = normalize(inputs, gamma, beta, self.epsilon)
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        unbiased = variance * count / tf.maximum(count - 1, 1)
        self.moving_mean.assign_sub((means - mean) * (1 - self.momentum))
        self.moving_variance.assign_sub((variances - unbiased) * (1 - self.momentum))
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
        As x; means and variances, float32 [channels], through which no gradient flows.
    """

    @tf.custom_gradient
    def normalized(x, gamma, beta):
        rows = _Rows(x)
        mean = rows.mean(rows.of(x))
        centered = rows.of(x) - rows.spread(mean)
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

        return (rows.back(y), mean, variance), gradient

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
