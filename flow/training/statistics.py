"""Batch-norm statistics of given weights."""

from __future__ import annotations

from itertools import islice

import numpy as np

from flow.datasets import Dataset
from flow.keras_env import keras
from flow.training.batches import epoch_batches
from flow.training.config import TrainConfig
from flow.training.loop import as_numbers

#: training samples on which statistics are measured
STATISTICS_IMAGES = 5000
_BATCH = 250


def measure_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Sets all batch-norm statistics to the mean over batches of the images, in place.

    Args:
        model: takes pixel / 256 or real numbers.
        images: uint8 [images, height, width, channels], or real samples.
    """
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.momentum for layer in normalizations]
    for index, start in enumerate(range(0, len(images), _BATCH)):
        for layer in normalizations:
            layer.momentum = index / (index + 1)
        batch = images[start : start + _BATCH]
        model(as_numbers(batch), training=True)
    for layer, momentum in zip(normalizations, before, strict=True):
        layer.momentum = momentum


def settle_statistics(model: keras.Model, data: Dataset, config: TrainConfig) -> None:
    """After the last epoch: the statistics of the final weights, where the recipe says so."""
    if config.precise_statistics:
        measure_statistics(model, as_trained_on(data, config))


def as_trained_on(data: Dataset, config: TrainConfig) -> np.ndarray:
    """Samples for `measure_statistics` as training sees them: shuffled and augmented, of an epoch that comes after the
    last. A network is trained for the statistics of shifted images; those of whole ones cost it one to two points.
    """
    batches = epoch_batches(data.x_train, data.y_train, config, config.epochs)
    return np.concatenate([samples for samples, _ in islice(batches, -(-STATISTICS_IMAGES // config.batch))])
