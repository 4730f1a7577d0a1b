"""Batch-norm statistics of given weights, and which statistics a trained network keeps."""

from __future__ import annotations

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras, tf
from flow.training.loop import as_numbers, predict
from flow.training.objectives import OBJECTIVES
from flow.training.progress import Progress

#: training samples on which statistics are measured and compared
STATISTICS_IMAGES = 5000
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
    """Keeps the statistics a network was trained with, or those of its final weights: whichever fit training samples
    better, in place.

    In the last epochs statistics stand still and the network learns to live with them. That is worth some points from
    2 bits up; weights of 1 bit, though, change their signs to the end, and leave the statistics behind.

    Args:
        model: takes pixel / 256 or real numbers.
        data: its training samples are used, and no test sample.
        task: whose loss decides, see `flow.tasks`.
        progress: is told where the statistics change.
    """
    samples, labels = data.x_train[:STATISTICS_IMAGES], data.y_train[:STATISTICS_IMAGES]
    trained = [layer.get_weights() for layer in _normalizations(model)]
    before = training_loss(model, samples, labels, task)
    measure_statistics(model, samples)
    after = training_loss(model, samples, labels, task)
    if after < before:
        progress.on_message(
            f"batch statistics measured once more: loss {before:.4f} -> {after:.4f} on training samples"
        )
        return
    for layer, weights in zip(_normalizations(model), trained, strict=True):
        layer.set_weights(weights)


def training_loss(model: keras.Model, samples: np.ndarray, labels: np.ndarray, task: str) -> float:
    """The loss of a network against what is right, as it is deployed: with the statistics that it has."""
    return float(OBJECTIVES[task].learn(predict(model, samples), as_numbers(samples), tf.constant(labels)))


def _normalizations(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
