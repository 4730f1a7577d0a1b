"""A layer that QKeras got after 0.9.0, as far as a trained network needs it."""

from __future__ import annotations

from flow.keras_env import keras, qkeras, tf


class QDenseBatchnorm(qkeras.QDense):
    """A dense layer whose kernel is multiplied with the slope of its batch normalization before it is quantized.

    Weights are in the order in which QKeras saves them: kernel, bias, those of the normalization.
    """

    def __init__(self, units: int, ema_freeze_delay=None, folding_mode: str = "ema_stats_folding", axis=-1,
                 momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 **kwargs) -> None:  # fmt: skip
        super().__init__(units, **kwargs)
        self.ema_freeze_delay, self.folding_mode = ema_freeze_delay, folding_mode
        self.batchnorm = keras.layers.BatchNormalization(
            axis=axis, momentum=momentum, epsilon=epsilon, center=center, scale=scale, name="batchnorm"
        )

    def build(self, input_shape) -> None:
        super().build(input_shape)
        self._iteration = tf.Variable(-1, trainable=False, name="iteration", dtype=tf.int64)
        self.batchnorm.build((*input_shape[:-1], self.units))

    def get_folded_weights(self) -> list:
        """The kernel and the bias with the normalization in them, not quantized."""
        norm = self.batchnorm
        slope = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        slope = slope * norm.gamma if norm.gamma is not None else slope
        bias = self.bias if self.use_bias else 0.0
        folded = slope * (bias - norm.moving_mean)
        return [slope * self.kernel, folded + norm.beta if norm.beta is not None else folded]

    def call(self, inputs):
        kernel, bias = self.get_folded_weights()
        kernel = kernel if self.kernel_quantizer_internal is None else self.kernel_quantizer_internal(kernel)
        bias = bias if self.bias_quantizer_internal is None else self.bias_quantizer_internal(bias)
        outputs = tf.nn.bias_add(keras.backend.dot(inputs, kernel), bias)
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self) -> dict:
        config = super().get_config()
        norm = self.batchnorm.get_config()
        kept = {key: norm[key] for key in ("axis", "momentum", "epsilon", "center", "scale")}
        return {**config, **kept, "ema_freeze_delay": self.ema_freeze_delay, "folding_mode": self.folding_mode}
