"""The training loop that float and quantized networks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.tasks import ACCURACY, METRICS, score
from flow.training.config import TrainConfig
from flow.training.distillation import Distillation
from flow.training.epochs import Epochs
from flow.training.objectives import OBJECTIVES, Objective
from flow.training.optimizers import Optimizers
from flow.training.progress import Progress
from flow.training.rates import learning_rate

PIXEL_SCALE = 256.0
"""Of uint8 samples the networks take pixel / 256."""

_EVAL_BATCH = 500


@dataclass(frozen=True)
class ExtraLoss:
    """What is learned besides a network's weights, at the quantizers' learning rate, and its share of the loss.

    Attributes:
        variables: kept with the state of an unfinished run.
        penalty: gives a float32 scalar from them.
    """

    variables: list[tf.Variable]
    penalty: Callable[[], tf.Tensor]


def fit(
    model: keras.Model,
    data: Dataset,
    config: TrainConfig,
    progress: Progress,
    state_path: Path | None = None,
    identity: str = "",
    teacher: keras.Model | None = None,
    before_frozen: Callable[[], None] | None = None,
    task: str = "classification",
    extra: ExtraLoss | None = None,
) -> list[dict[str, float]]:
    """Trains a model in place and resumes an interrupted run of the same recipe.

    The loss of a classification is `(1 - d) CE(labels) + d T^2 KL(teacher / T || student / T)` with
    d = `distill` and T = `temperature` (Hinton et al., arXiv 1503.02531), that of a reconstruction
    `(1 - d) MSE(input) + d MSE(teacher)`; d = 0 without a teacher.

    Args:
        model: takes pixel / 256 or real numbers, returns logits or a reconstruction.
        data: training samples; the test samples are only reported on.
        config: the recipe.
        progress: is told of every epoch.
        state_path: where the state is kept after each epoch; None keeps none.
        identity: a hash of all that the result depends on; a state with another is not used.
        teacher: its outputs on the same augmented samples are learned too; see `flow.training.distillation`.
        before_frozen: is called once, before the first epoch with frozen statistics.
        task: what the model is for, see `flow.tasks`.
        extra: what else is learned.

    Returns:
        A record per epoch, earlier ones of a resumed run included.
    """
    others = extra.variables if extra else []
    optimizer = Optimizers(model, config, others=others)
    epochs = Epochs([1] * config.epochs, optimizer, model.weights + others, progress, state_path, identity)
    objective = OBJECTIVES[task]
    penalty = extra.penalty if extra else None
    distillation = Distillation(data, config, teacher, as_numbers)
    steps = {
        frozen: _train_step(model, optimizer, config, objective, distillation.share, frozen, penalty)
        for frozen in (False, True)
    }
    for epoch in epochs:
        if epoch == config.first_frozen_epoch and before_frozen:
            before_frozen()
        step = steps[epoch >= config.first_frozen_epoch]
        taught = epochs.teach(step, distillation, lambda at: learning_rate(config, at))
        epochs.finish(taught, METRICS[task], evaluate(model, data, task)[METRICS[task]])
    return epochs.history


def as_numbers(samples) -> tf.Tensor:
    """The real numbers, float32, that raw samples stand for: pixel / 256 for uint8, else the samples themselves."""
    numbers = tf.cast(samples, tf.float32)
    return numbers / PIXEL_SCALE if samples.dtype == np.uint8 else numbers


def predict(model: keras.Model, samples: np.ndarray) -> np.ndarray:
    """What a network answers to raw samples.

    Args:
        model: takes pixel / 256 or real numbers.
        samples: uint8 [images, height, width, channels], or real numbers [samples, ...].

    Returns:
        float32 [samples, outputs].
    """
    return in_batches(tf.function(lambda x: model(as_numbers(x), training=False)), samples)


def in_batches(forward: Callable[[tf.Tensor], tf.Tensor], samples: np.ndarray) -> np.ndarray:
    """What a network answers, float32 [samples, outputs], some hundred samples at a time."""
    parts = [
        forward(tf.constant(samples[start : start + _EVAL_BATCH])).numpy()
        for start in range(0, len(samples), _EVAL_BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of raw images whose largest logit is that of their label."""
    return score("classification", predict(model, images), images, labels)[ACCURACY]


def evaluate(model: keras.Model, data: Dataset, task: str) -> dict[str, float]:
    """The figures of a task on all test samples, see `flow.tasks.score`."""
    return score(task, predict(model, data.x_test), as_numbers(data.x_test).numpy(), data.y_test)


def _train_step(model, optimizer, config: TrainConfig, objective: Objective, share: float, frozen: bool, penalty):
    """One step as a graph: raw samples, labels, a teacher's answers -> loss, what the objective counts.

    Args:
        share: of the teacher in the loss; 0 for no teacher, whose answers are then not looked at.
    """
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]

    @tf.function
    def step(samples, labels, taught):
        x = as_numbers(samples)
        with tf.GradientTape() as tape:
            outputs = tf.cast(model(x, training=not frozen), tf.float32)
            loss = (1 - share) * objective.learn(outputs, x, labels)
            if share:
                loss += share * objective.imitate(outputs, taught, config.temperature)
            if config.weight_decay:
                decay = tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
                loss += config.weight_decay * decay
            if penalty is not None:
                loss += penalty()
        optimizer.apply(optimizer.gradients(tape, loss))
        return loss, objective.count(outputs, x, labels)

    return step
