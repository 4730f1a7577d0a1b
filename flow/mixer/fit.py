"""The training loop of a network with run-time widths; an interrupted run goes on after its last whole epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
from flow.training.distillation import Distillation
from flow.training.epochs import Epochs
from flow.training.loop import as_numbers, in_batches
from flow.training.objectives import OBJECTIVES
from flow.training.optimizers import Optimizers
from flow.training.progress import Progress
from flow.training.selected import SelectedAdam

#: random configurations in the log, and on how many test samples each
_MIXED, _MIXED_SAMPLES = 5, 2000


def fit_mixer(
    model: RuntimeModel, data: Dataset, config: MixerConfig, progress: Progress, state_path: Path | None,
    identity: str, teacher: keras.Model, task: str, waypoints: Mapping[int, tuple[Path, str]],
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
        waypoints: see `Epochs`.

    Returns:
        A record per epoch: those of every training, its stage, and the test score of each width network-wide and of
        some random configurations (not a number before they are trained).
    """
    optimizer = Optimizers(model, config, lambda recipe: SelectedAdam(recipe.learning_rate, jit_compile=False))
    passes = [1 if config.stage_of(epoch)[0] == 0 else len(model.widths) for epoch in range(config.epochs)]
    epochs = Epochs(passes, optimizer, model.weights, progress, state_path, identity, waypoints)
    distillation = Distillation(data, config, teacher, as_numbers)
    steps = {
        frozen: mixed_step(model, optimizer, config, OBJECTIVES[task], distillation.share, frozen)
        for frozen in (False, True)
    }
    schedule = Schedule(config, len(model.widths), len(model.runtime_layers))
    forward = Forward(model)
    for epoch in epochs:
        stage, number = config.stage_of(epoch)
        if number == 0:
            progress.on_message(f"stage {'I' * (stage + 1)}, {STAGES[stage]}: {config.stages[stage]} epochs")
            _enter(stage, model, data)
        if epoch == config.first_frozen_epoch:
            measure_sets(model, data.x_train, random_rows(model, data.x_train, config.seed, config.mixing))
        step = steps[epoch >= config.first_frozen_epoch]
        taught = epochs.teach(
            step,
            distillation,
            config.rate,
            lambda at, epoch=epoch: (tf.constant(schedule.rows(epoch, at, distillation.steps)),),
        )
        scores = _scores(forward, model, data, task, stage)
        known = [value for name, value in scores.items() if not (math.isnan(value) or name.endswith("mixed"))]
        epochs.finish(taught, METRICS[task], sum(known) / len(known), stage=stage + 1, **scores)
    if config.first_frozen_epoch == config.epochs:  # no epoch with measured statistics
        measure_sets(model, data.x_train, random_rows(model, data.x_train, config.seed, config.mixing))
    model.set_bits(model.widths[-1])
    return epochs.history


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
        return in_batches(self._call, samples)


def width_scores(forward: Callable, model: RuntimeModel, data: Dataset, task: str) -> dict[int, float]:
    """The task's metric on all test samples at every width network-wide."""
    reals = as_numbers(data.x_test).numpy()
    found = {}
    for width, row in zip(model.widths, network_wide(len(model.widths), len(model.runtime_layers)), strict=True):
        found[width] = score(task, forward(data.x_test, row), reals, data.y_test)[METRICS[task]]
    return found


def _scores(forward: Forward, model: RuntimeModel, data: Dataset, task: str, stage: int) -> dict[str, float]:
    """By column of the log; a few random configurations are measured on a part of the test samples."""
    metric, count, layers = METRICS[task].replace(" ", "_"), len(model.widths), len(model.runtime_layers)
    found = dict.fromkeys([f"test_{metric}_w{width}" for width in model.widths] + [f"test_{metric}_mixed"], math.nan)
    if stage == 0:
        row = network_wide(count, layers)[-1]
        reals = as_numbers(data.x_test).numpy()
        only = score(task, forward(data.x_test, row), reals, data.y_test)[METRICS[task]]
        return found | {f"test_{metric}_w{model.widths[-1]}": only}
    wide = width_scores(forward, model, data, task)
    found |= {f"test_{metric}_w{width}": value for width, value in wide.items()}
    if stage == 2:
        samples, labels = data.x_test[:_MIXED_SAMPLES], data.y_test[:_MIXED_SAMPLES]
        reals = as_numbers(samples).numpy()
        rows = np.random.default_rng(0).integers(0, count, (_MIXED, layers))
        scores = [score(task, forward(samples, row), reals, labels)[METRICS[task]] for row in rows]
        found[f"test_{metric}_mixed"] = float(np.mean(scores))
    return found


def _enter(stage: int, model: RuntimeModel, data: Dataset) -> None:
    if stage == 1:
        copy_top(model)
        start_widths(model, data.x_train, range(len(model.widths) - 1))
    elif stage == 2:
        copy_pairs(model)
