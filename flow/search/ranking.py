"""Which whole widths are the best: those with the least loss on training samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flow.bits import BitsSpec
from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.search.network import Widths
from flow.training.calibrate import copy_weights
from flow.training.config import TrainConfig
from flow.training.loop import as_numbers, fit, in_batches
from flow.training.objectives import OBJECTIVES
from flow.training.progress import Progress, Silent
from flow.training.statistics import as_trained_on, measure_statistics

#: training samples on which whole widths are compared, and on which each is trained for a moment
RANKING_IMAGES, MOMENT_IMAGES = 4000, 12_800
#: by how much the loss may grow when widths are made whole, for the losses to say which will train best. Weights of two
#: bits and a half, rounded to two, answer no better than a guess, whichever layers get the third bit
TELLING = 1.5


class Ranking:
    """Tries a searched network, which stands at its learned widths, at whole ones.

    Args:
        model, widths: the network, and the widths that it reads.
        task: what it is for.
        data: its training samples.
        recipe: of the search.
        teacher: of the soft labels.
        progress: is told of every loss.
    """

    def __init__(
        self, model: keras.Model, widths: Widths, task: str, data: Dataset, recipe: TrainConfig, teacher: keras.Model,
        progress: Progress,
    ) -> None:  # fmt: skip
        self._model, self._widths, self._task, self._data = model, widths, task, data
        self._recipe, self._teacher, self._progress = recipe, teacher, progress
        self._weights, self._seen = model.get_weights(), as_trained_on(data, recipe)
        self._forward = tf.function(lambda x: model(as_numbers(x), training=False))  # once: widths are variables
        self._learned_loss = self._loss()

    def best(self, tried: Sequence[BitsSpec]) -> BitsSpec:
        """The widths with the least loss; where rounding alone costs too much, once each was trained for a moment."""
        self._progress.on_message(
            f"{len(tried)} ways to make the widths whole, on {RANKING_IMAGES:,} training samples:"
        )
        losses = [self._loss_at(bits, trained=False) for bits in tried]
        if len(tried) > 1 and min(losses) > TELLING * self._learned_loss:
            self._progress.on_message(
                f"that tells nothing, the learned widths have {self._learned_loss:.4f}; each is trained for a moment:"
            )
            losses = [self._loss_at(bits, trained=True) for bits in tried]
        return tried[int(np.argmin(losses))]

    def network_at(self, bits: BitsSpec, network: keras.Model) -> keras.Model:
        """Gives a float network what the search has learned, with the statistics that the weights have at widths."""
        self._stand_at(bits)
        measure_statistics(self._model, self._seen)
        copy_weights(self._model, network)
        return network

    def _stand_at(self, bits: BitsSpec) -> None:
        self._model.set_weights(self._weights)
        self._widths.assign(bits)

    def _loss_at(self, bits: BitsSpec, trained: bool) -> float:
        self._stand_at(bits)
        if trained:
            self._train()
        loss = self._loss()
        self._progress.on_message(f"    {self._widths.text(digits=0)}: {loss:.4f}")
        return loss

    def _train(self) -> None:
        """The weights alone, as long as the widths stand still."""
        part = replace(
            self._data, x_train=self._data.x_train[:MOMENT_IMAGES], y_train=self._data.y_train[:MOMENT_IMAGES],
            x_test=self._data.x_test[:1], y_test=self._data.y_test[:1],
        )  # fmt: skip
        recipe = self._recipe.model_copy(update={"epochs": 1})
        fit(self._model, part, recipe, Silent(), teacher=self._teacher, task=self._task)

    def _loss(self) -> float:
        measure_statistics(self._model, self._seen)
        samples, labels = self._data.x_train[:RANKING_IMAGES], tf.constant(self._data.y_train[:RANKING_IMAGES])
        outputs = in_batches(self._forward, samples)
        return float(OBJECTIVES[self._task].learn(outputs, as_numbers(samples), labels))
