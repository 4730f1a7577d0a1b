"""The optimizers of a network: one for what it computes with, one at a lower rate for what its quantizers learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flow.keras_env import keras, tf
from flow.training.config import TrainConfig


class Optimizers:
    """One optimizer for what a network computes with, one at a lower rate for what its quantizers learn.

    A layer says in `quantizer_variables` which of its variables those are.

    Args:
        model: the network.
        config: the recipe.
        make: an optimizer of a recipe.
        others: further variables that are trained at the lower rate.
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrainConfig,
        make: Callable[[TrainConfig], keras.optimizers.Optimizer] | None = None,
        others: Sequence[tf.Variable] = (),
    ) -> None:
        own = [v for layer in model.layers for v in getattr(layer, "quantizer_variables", ())] + list(others)
        slow = {id(v) for v in own}
        groups = [([v for v in model.trainable_variables if id(v) not in slow], 1.0), (own, config.quantizer_rate)]
        make = make or optimizer_of
        self._groups = [(make(config), variables, rate) for variables, rate in groups if variables]
        for optimizer, variables, _ in self._groups:
            optimizer.build(variables)

    @property
    def variables(self) -> list:
        """The state of all, in a fixed order."""
        return [variable for optimizer, _, _ in self._groups for variable in optimizer.variables]

    @property
    def learning_rate(self):
        """That of the weights."""
        return self._groups[0][0].learning_rate

    def set_learning_rate(self, rate: float) -> None:
        for optimizer, _, share in self._groups:
            optimizer.learning_rate.assign(rate * share)

    def gradients(self, tape: tf.GradientTape, loss) -> list[list]:
        """Of a loss, for the variables of each optimizer."""
        return tape.gradient(loss, [variables for _, variables, _ in self._groups])

    def apply(self, gradients: list[list]) -> None:
        """One step down the gradients."""
        for (optimizer, variables, _), of_group in zip(self._groups, gradients, strict=True):
            optimizer.apply_gradients(zip(of_group, variables, strict=True))


def optimizer_of(config: TrainConfig) -> keras.optimizers.Optimizer:
    """Keras' own, as a recipe names it."""
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.learning_rate, jit_compile=False)
    return keras.optimizers.SGD(config.learning_rate, momentum=0.9, nesterov=True, jit_compile=False)
