"""Adam that moves nothing but what a step used.

Keras' Adam moves every row of a variable by its momentum when a step gathered only some of its rows. A set of a
transitional batch normalization, or the step of an activation at some width, is such a row, and one that was not
selected must stay as it is.
"""

from __future__ import annotations

from flow.keras_env import keras, tf


@keras.utils.register_keras_serializable("flow")
class SelectedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba, arXiv 1412.6980) with moments, and their bias correction, of each gathered row by itself.

    A variable whose gradient is dense is treated as Adam does.
    """

    def build(self, var_list) -> None:
        first = not getattr(self, "_built", False)
        super().build(var_list)
        if first:
            self._visits = [
                self.add_variable(shape=var.shape[:1], dtype=tf.float32, name=f"visits_{index}")
                for index, var in enumerate(var_list)
            ]

    def update_step(self, gradient, variable) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        place = self._index_dict[self._var_key(variable)]
        first, second, visits = self._momentums[place], self._velocities[place], self._visits[place]
        rows, values = gradient.indices, gradient.values
        count = tf.gather(visits, rows) + 1
        m = tf.gather(first, rows) + (values - tf.gather(first, rows)) * (1 - self.beta_1)
        v = tf.gather(second, rows) + (tf.square(values) - tf.gather(second, rows)) * (1 - self.beta_2)
        power = tf.reshape(count, (-1, *[1] * (values.shape.rank - 1)))
        alpha = tf.sqrt(1 - self.beta_2**power) / (1 - self.beta_1**power)
        change = tf.cast(self.learning_rate, values.dtype) * alpha * m / (tf.sqrt(v) + self.epsilon)
        for target, new in ((visits, count), (first, m), (second, v)):
            target.scatter_update(tf.IndexedSlices(new, rows))
        variable.scatter_sub(tf.IndexedSlices(change, rows))
