"""The training loop that float and quantized networks share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.training.batches import epoch_batches
from flow.training.config import TrainConfig
from flow.training.progress import EpochRecord, Progress
from flow.training.resume import TrainState, load_state, save_state

PIXEL_SCALE = 256.0
"""The networks take pixel / 256."""

_EVAL_BATCH = 500
_STEPS_BETWEEN_REPORTS = 50


def fit(
    model: keras.Model,
    data: Dataset,
    config: TrainConfig,
    progress: Progress,
    state_path: Path | None = None,
    identity: str = "",
    teacher: keras.Model | None = None,
    before_frozen: Callable[[], None] | None = None,
) -> list[dict[str, float]]:
    """Trains a model in place and resumes an interrupted run of the same recipe.

    The loss is `(1 - d) CE(labels) + d T^2 KL(teacher / T || student / T)` with d = `distill`
    and T = `temperature` (Hinton et al., arXiv 1503.02531), d = 0 without a teacher.

    Args:
        model: takes pixel / 256, returns logits.
        data: training images; the test images are only reported on.
        config: the recipe.
        progress: is told of every epoch.
        state_path: where the state is kept after each epoch; None keeps none.
        identity: a hash of all that the result depends on; a state with another is not used.
        teacher: its logits on the same augmented images are the soft labels.
        before_frozen: is called once, before the first epoch with frozen statistics.

    Returns:
        A record per epoch, earlier ones of a resumed run included.
    """
    optimizer = _Optimizers(model, config)
    variables = model.weights + optimizer.variables
    history: list[dict[str, float]] = []
    if state_path is not None:
        state, reason = load_state(state_path, identity)
        if reason:
            progress.on_message(reason)
        if state is not None:
            for variable, value in zip(variables, state.arrays, strict=True):
                variable.assign(value)
            history = state.history
            progress.on_message(f"goes on after epoch {state.epoch}, found in {state_path}")
    steps = {frozen: _train_step(model, optimizer, config, teacher, frozen) for frozen in (False, True)}
    first = len(history)
    begin = time.monotonic()
    for epoch in range(first, config.epochs):
        started = time.monotonic()
        if epoch == config.first_frozen_epoch and before_frozen:
            before_frozen()
        loss, train_accuracy = _train_epoch(
            steps[epoch >= config.first_frozen_epoch], optimizer, data, config, epoch, progress
        )
        done = epoch + 1
        record = EpochRecord(
            epoch=done,
            epochs=config.epochs,
            loss=loss,
            train_accuracy=train_accuracy,
            test_accuracy=accuracy(model, data.x_test, data.y_test),
            learning_rate=float(optimizer.learning_rate),
            seconds=time.monotonic() - started,
            seconds_left=(time.monotonic() - begin) / (done - first) * (config.epochs - done),
        )
        history.append(record.as_dict())
        if state_path is not None:
            arrays = [variable.numpy() for variable in variables]
            save_state(state_path, TrainState(identity, done, arrays, history))
        progress.on_epoch(record)
    return history


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """Linear rise, then half a cosine down to zero at the end.

    Args:
        config: peak, epochs and length of the rise.
        epoch: passed so far, with a fraction.
    """
    warmup = min(config.warmup_epochs, config.epochs / 5)
    if epoch < warmup:
        return config.learning_rate * (epoch + 0.01) / (warmup + 0.01)
    passed = (epoch - warmup) / (config.epochs - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * passed))


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Logits of raw images.

    Args:
        model: takes pixel / 256.
        images: uint8 [images, height, width, channels].

    Returns:
        float32 [images, classes].
    """
    forward = tf.function(lambda x: model(tf.cast(x, tf.float32) / PIXEL_SCALE, training=False))
    parts = [
        forward(tf.constant(images[start : start + _EVAL_BATCH])).numpy()
        for start in range(0, len(images), _EVAL_BATCH)
    ]
    return np.concatenate(parts).astype(np.float32)


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of raw images whose largest logit is that of their label."""
    return float(np.mean(predict(model, images).argmax(axis=1) == labels))


def _train_epoch(
    step_function, optimizer, data: Dataset, config: TrainConfig, epoch: int, progress: Progress
) -> tuple[float, float]:
    """One pass over the training images; returns mean loss and accuracy on the way."""
    steps = len(data.x_train) // min(config.batch, len(data.x_train))
    losses, hits, seen = 0.0, 0, 0
    for step, (images, labels) in enumerate(epoch_batches(data.x_train, data.y_train, config, epoch)):
        optimizer.set_learning_rate(learning_rate(config, epoch + step / steps))
        loss, right = step_function(tf.constant(images), tf.constant(labels))
        losses, hits, seen = losses + float(loss), hits + int(right), seen + len(labels)
        if (step + 1) % _STEPS_BETWEEN_REPORTS == 0:
            progress.on_step(epoch + 1, config.epochs, step + 1, steps, losses / (step + 1))
    return losses / steps, hits / seen


class _Optimizers:
    """One optimizer for what a network computes with, one at a lower rate for what its quantizers learn.

    A layer says in `quantizer_variables` which of its variables those are.
    """

    def __init__(self, model: keras.Model, config: TrainConfig) -> None:
        own = [v for layer in model.layers for v in getattr(layer, "quantizer_variables", ())]
        slow = {id(v) for v in own}
        groups = [([v for v in model.trainable_variables if id(v) not in slow], 1.0), (own, config.quantizer_rate)]
        self._groups = [(_optimizer(config), variables, rate) for variables, rate in groups if variables]
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

    def apply(self, tape: tf.GradientTape, loss) -> None:
        """One step down the gradient."""
        gradients = tape.gradient(loss, [variables for _, variables, _ in self._groups])
        for (optimizer, variables, _), of_group in zip(self._groups, gradients, strict=True):
            optimizer.apply_gradients(zip(of_group, variables, strict=True))


def _optimizer(config: TrainConfig) -> keras.optimizers.Optimizer:
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.learning_rate, jit_compile=False)
    return keras.optimizers.SGD(config.learning_rate, momentum=0.9, nesterov=True, jit_compile=False)


def _train_step(model, optimizer, config: TrainConfig, teacher, frozen: bool):
    """One step as a graph: uint8 images, labels -> loss, number of right answers."""
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]
    share = config.distill if teacher is not None else 0.0
    temperature = config.temperature

    @tf.function
    def step(images, labels):
        x = tf.cast(images, tf.float32) / PIXEL_SCALE
        soft = None
        if share:
            soft = tf.nn.softmax(tf.cast(teacher(x, training=False), tf.float32) / temperature)
        with tf.GradientTape() as tape:
            logits = tf.cast(model(x, training=not frozen), tf.float32)
            loss = (1 - share) * tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            if share:
                # Cross-entropy with the soft labels: KL up to the teacher's constant entropy.
                loss += (share * temperature**2) * tf.reduce_mean(
                    tf.nn.softmax_cross_entropy_with_logits(soft, logits / temperature)
                )
            if config.weight_decay:
                decay = tf.add_n([tf.nn.l2_loss(kernel) for kernel in kernels])
                loss += config.weight_decay * decay
        optimizer.apply(tape, loss)
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == labels, tf.int32))
        return loss, right

    return step
