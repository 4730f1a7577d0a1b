"""The training loop of a network with run-time widths; an interrupted run goes on after its last whole epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.mixer.config import STAGES, MixerConfig
from flow.mixer.stages import Schedule, network_wide
from flow.mixer.start import copy_pairs, copy_top, measure_sets, random_rows, start_widths
from flow.mixer.step import mixed_step
from flow.quantizers.runtime import RuntimeModel
from flow.tasks import METRICS, score
from flow.training.lessons import Lessons
from flow.training.loop import as_numbers
from flow.training.objectives import OBJECTIVES
from flow.training.optimizers import Optimizers
from flow.training.progress import EpochRecord, Progress
from flow.training.resume import TrainState, load_state, save_state
from flow.training.selected import SelectedAdam

_EVAL_BATCH = 500
_STEPS_BETWEEN_REPORTS = 50


def fit_mixer(
    model: RuntimeModel, data: Dataset, config: MixerConfig, progress: Progress, state_path: Path | None,
    identity: str, teacher: keras.Model, task: str,
) -> list[dict[str, float]]:  # fmt: skip
    """Trains a network in place, stage after stage.

    Args:
        model: at the start of stage I.
        data: the test samples are only reported on.
        config: the recipe.
        progress: is told of every stage and epoch.
        state_path: where the state is kept after each epoch; None keeps none.
        identity: a hash of all that the result depends on; a state with another is not used.
        teacher: whose soft labels are learned.
        task: what the model is for, see `flow.tasks`.

    Returns:
        A record per epoch: those of every training, its stage, and the test score of each width network-wide
        (not a number before the width is trained).
    """
    optimizer = Optimizers(model, config, lambda recipe: SelectedAdam(recipe.learning_rate, jit_compile=False))
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
    lessons = Lessons(data, config, teacher, as_numbers)
    steps = {
        frozen: mixed_step(model, optimizer, config, OBJECTIVES[task], lessons.share, frozen)
        for frozen in (False, True)
    }
    schedule = Schedule(config, len(model.widths), len(model.runtime_layers))
    forward = Forward(model)
    first, begin = len(history), time.monotonic()
    for epoch in range(first, config.epochs):
        started = time.monotonic()
        stage, number = config.stage_of(epoch)
        if number == 0:
            progress.on_message(f"stage {'I' * (stage + 1)}, {STAGES[stage]}: {config.stages[stage]} epochs")
            _enter(stage, model, data)
        if epoch == config.first_frozen_epoch:
            measure_sets(model, data.x_train, random_rows(model, data.x_train, config.seed, config.mixing))
        frozen = epoch >= config.first_frozen_epoch
        loss, train_score = _epoch(steps[frozen], optimizer, schedule, lessons, config, epoch, progress)
        scores = _scores(forward, model, data, task, stage)
        known = [value for value in scores.values() if not math.isnan(value)]
        record = EpochRecord(
            epoch=epoch + 1,
            epochs=config.epochs,
            loss=loss,
            metric=METRICS[task],
            train_score=train_score,
            test_score=sum(known) / len(known),
            learning_rate=float(optimizer.learning_rate),
            seconds=time.monotonic() - started,
            seconds_left=_left(config, epoch, first, time.monotonic() - begin, len(model.widths)),
        )
        history.append(record.as_dict() | {"stage": stage + 1} | scores)
        if state_path is not None:
            arrays = [variable.numpy() for variable in variables]
            save_state(state_path, TrainState(identity, epoch + 1, arrays, history))
        progress.on_epoch(record)
    model.set_bits(model.widths[-1])
    return history


class Forward:
    """What a network answers to raw samples at any configuration; traced once for all of them."""

    def __init__(self, model: RuntimeModel) -> None:
        self._model = model
        self._call = tf.function(lambda x: model(as_numbers(x), training=False))

    def __call__(self, samples: np.ndarray, positions) -> np.ndarray:
        """float32 [samples, outputs].

        Args:
            samples: raw, [samples, ...].
            positions: of each layer's width in the widths.
        """
        self._model.select(positions)
        parts = [
            self._call(tf.constant(samples[start : start + _EVAL_BATCH])).numpy()
            for start in range(0, len(samples), _EVAL_BATCH)
        ]
        return np.concatenate(parts)


def width_scores(forward: Callable, model: RuntimeModel, data: Dataset, task: str) -> dict[int, float]:
    """The task's metric on all test samples at every width network-wide."""
    reals = as_numbers(data.x_test).numpy()
    found = {}
    for width, row in zip(model.widths, network_wide(len(model.widths), len(model.runtime_layers)), strict=True):
        found[width] = score(task, forward(data.x_test, row), reals, data.y_test)[METRICS[task]]
    return found


def _scores(forward: Forward, model: RuntimeModel, data: Dataset, task: str, stage: int) -> dict[str, float]:
    """By column of the log."""
    metric, top = METRICS[task].replace(" ", "_"), model.widths[-1]
    if stage == 0:
        row = network_wide(len(model.widths), len(model.runtime_layers))[-1]
        reals = as_numbers(data.x_test).numpy()
        only = score(task, forward(data.x_test, row), reals, data.y_test)[METRICS[task]]
        return {f"test_{metric}_w{width}": only if width == top else math.nan for width in model.widths}
    return {f"test_{metric}_w{width}": value for width, value in width_scores(forward, model, data, task).items()}


def _enter(stage: int, model: RuntimeModel, data: Dataset) -> None:
    if stage == 1:
        copy_top(model)
        start_widths(model, data.x_train, range(len(model.widths) - 1))
    elif stage == 2:
        copy_pairs(model)


def _epoch(
    step_function, optimizer: Optimizers, schedule: Schedule, lessons: Lessons, config: MixerConfig, epoch: int,
    progress: Progress,
) -> tuple[float, float]:  # fmt: skip
    """One pass over the training samples; returns mean loss and the task's metric of the first configurations."""
    steps = lessons.steps
    losses, counted, seen = 0.0, 0.0, 0
    for step, (images, labels, taught) in enumerate(lessons.batches(epoch)):
        optimizer.set_learning_rate(config.rate(epoch + step / steps))
        rows = tf.constant(schedule.rows(epoch, step, steps))
        loss, count = step_function(tf.constant(images), tf.constant(labels), tf.constant(taught), rows)
        losses, counted, seen = losses + float(loss), counted + float(count), seen + len(labels)
        if (step + 1) % _STEPS_BETWEEN_REPORTS == 0:
            progress.on_step(epoch + 1, config.epochs, step + 1, steps, losses / (step + 1))
    return losses / steps, counted / seen


def _left(config: MixerConfig, epoch: int, first: int, seconds: float, passes: int) -> float:
    """Seconds for the rest: an epoch of stage I is one pass, others are |B|."""
    cost = [1 if config.stage_of(number)[0] == 0 else passes for number in range(config.epochs)]
    return seconds / sum(cost[first : epoch + 1]) * sum(cost[epoch + 1 :])
