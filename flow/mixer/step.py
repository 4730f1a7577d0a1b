"""One training step of a network with run-time widths: a pass for each configuration, one update for all."""

from __future__ import annotations

from collections.abc import Callable

from flow.keras_env import tf
from flow.quantizers.runtime import RuntimeModel
from flow.training.config import TrainConfig
from flow.training.loop import as_numbers
from flow.training.objectives import Objective
from flow.training.optimizers import Optimizers


def mixed_step(
    model: RuntimeModel, optimizer: Optimizers, config: TrainConfig, objective: Objective, share: float, frozen: bool
) -> Callable:
    """A step as a graph: raw samples, labels, a teacher's answers, configurations -> mean loss, what the objective
    counts in the first pass.

    Configurations are positions in the widths, int32 [passes, layers]. The gradients of all passes are summed before
    anything moves. Each number of passes is traced once.

    Args:
        share: of the teacher in the loss; 0 for no teacher, whose answers are then not looked at.
        frozen: batch normalization uses and keeps the moving statistics.
    """
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]

    @tf.function
    def step(samples, labels, taught, configurations):
        x = as_numbers(samples)
        total, gradients, counts = 0.0, None, []
        for row in range(configurations.shape[0]):
            model.select(configurations[row])
            with tf.GradientTape() as tape:
                outputs = model(x, training=not frozen)
                loss = (1 - share) * objective.learn(outputs, x, labels)
                if share:
                    loss += share * objective.imitate(outputs, taught, config.temperature)
                if config.weight_decay:
                    loss += config.weight_decay * tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
            found = optimizer.gradients(tape, loss)
            gradients = found if gradients is None else _sums(gradients, found)
            total += loss
            counts.append(objective.count(outputs, x, labels))
        optimizer.apply(gradients)
        return total / configurations.shape[0], counts[0]

    return step


def _sums(left: list[list], right: list[list]) -> list[list]:
    return [[_sum(a, b) for a, b in zip(*groups, strict=True)] for groups in zip(left, right, strict=True)]


def _sum(a, b):
    """Of two gradients; those of gathered rows keep the rows, which the optimizer sums."""
    if isinstance(a, tf.IndexedSlices):
        return tf.IndexedSlices(tf.concat([a.values, b.values], 0), tf.concat([a.indices, b.indices], 0), a.dense_shape)
    return a + b
