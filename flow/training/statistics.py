"""Batch-norm statistics of given weights, and which statistics a trained network keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.tasks import ERROR, METRICS, metric_text
from flow.training.loop import as_numbers, evaluate, predict
from flow.training.objectives import OBJECTIVES
from flow.training.progress import Progress

#: training samples on which statistics are measured: the first ones
STATISTICS_IMAGES = 5000
#: on which it is decided which of two to keep: the last ones
_DECIDING = 20_000
_BATCH = 250


def measure_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Sets all batch-norm statistics to the mean over batches of the images, in place.

    Args:
        model: takes pixel / 256 or real numbers.
        images: uint8 [images, height, width, channels], or real samples.
    """
    normalizations = _normalizations(model)
    before = [layer.momentum for layer in normalizations]
    for index, start in enumerate(range(0, len(images), _BATCH)):
        for layer in normalizations:
            layer.momentum = index / (index + 1)
        batch = images[start : start + _BATCH]
        model(as_numbers(batch), training=True)
    for layer, momentum in zip(normalizations, before, strict=True):
        layer.momentum = momentum


def settle_statistics(model: keras.Model, data: Dataset, task: str, progress: Progress) -> None:
    """Keeps the statistics a network was trained with, or those of its final weights: whichever score better on
    training samples, in place.

    In the last epochs statistics stand still and the network learns to live with them. That is worth one or two points
    of accuracy from 2 bits up; weights of 1 bit, though, change their signs to the end, and leave the statistics
    behind.

    Args:
        model: takes pixel / 256 or real numbers.
        data: its training samples are used, and no test sample. Those that statistics are measured on do not decide,
            where there are enough others.
        task: whose metric decides, see `flow.tasks`.
        progress: is told where the statistics change.
    """
    metric = METRICS[task]
    deciding = replace(data, x_test=data.x_train[-_DECIDING:], y_test=data.y_train[-_DECIDING:])
    trained = [layer.get_weights() for layer in _normalizations(model)]
    before = evaluate(model, deciding, task)[metric]
    measure_statistics(model, data.x_train[:STATISTICS_IMAGES])
    after = evaluate(model, deciding, task)[metric]
    if after < before if metric == ERROR else after > before:
        change = f"{metric_text(metric, before)} -> {metric_text(metric, after)}"
        progress.on_message(f"batch statistics measured once more: {metric} {change} on training samples")
        return
    for layer, weights in zip(_normalizations(model), trained, strict=True):
        layer.set_weights(weights)


def training_loss(model: keras.Model, samples: np.ndarray, labels: np.ndarray, task: str) -> float:
    """The loss of a network against what is right, as it is deployed: with the statistics that it has."""
    return float(OBJECTIVES[task].learn(predict(model, samples), as_numbers(samples), tf.constant(labels)))


def _normalizations(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
