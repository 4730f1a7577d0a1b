"""The batches of an epoch with what a teacher answers to them, computed once for all trainings with the same batches.

The samples of an epoch follow from data, seed, batch and augmentation alone, so that the arms of a study, and the
widths of a sweep, hear the same answers. They are a quarter of a training's arithmetic, and 2 MB an epoch of CIFAR-10.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from flow import paths
from flow.cache import digest
from flow.datasets import Dataset
from flow.files import write_whole
from flow.keras_env import keras, tf
from flow.training.batches import epoch_batches
from flow.training.config import TrainConfig

#: the fields of a recipe that decide what `epoch_batches` gives
SAMPLES = ("batch", "augment", "flip", "shift", "seed")
#: in the place of answers where there is no teacher
SILENCE = np.zeros((), np.float32)
_CHECKSUM_BYTES = 32

_log = logging.getLogger(__name__)


class Distillation:
    """Batches of training samples, their labels, and the answers of a teacher, which are kept in the cache.

    Args:
        data: whose training samples are taken.
        config: the recipe.
        teacher: takes what `numbers` gives; None for no teacher.
        numbers: the real numbers that raw samples stand for.

    Attributes:
        share: of the teacher in the loss; 0 without one.
        steps: batches of an epoch.
    """

    def __init__(
        self, data: Dataset, config: TrainConfig, teacher: keras.Model | None, numbers: Callable[[tf.Tensor], tf.Tensor]
    ) -> None:
        self._data, self._config = data, config
        self.steps = len(data.x_train) // min(config.batch, len(data.x_train))
        self.share = config.distill if teacher is not None else 0.0
        if self.share:
            self._forward = tf.function(lambda x: tf.cast(teacher(numbers(x), training=False), tf.float32))
            self._folder = paths.cache() / "distillation" / _key(teacher, data.x_train, config)[:24]

    def batches(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yields raw samples, labels and answers, float32 [samples, outputs], of an epoch, counted from 0."""
        plain = epoch_batches(self._data.x_train, self._data.y_train, self._config, epoch)
        if not self.share:
            yield from ((samples, labels, SILENCE) for samples, labels in plain)
            return
        path = self._folder / f"epoch-{epoch}.bin"
        known, heard = _read(path), []
        for step, (samples, labels) in enumerate(plain):
            if known is None:
                heard.append(self._forward(tf.constant(samples)).numpy())
            yield samples, labels, heard[-1] if known is None else known[step]
        if heard:
            _write(path, np.stack(heard))


def _key(teacher: keras.Model, samples: np.ndarray, config: TrainConfig) -> str:
    """A hash of all that the answers depend on."""
    recipe = json.dumps(config.model_dump(mode="json", include=set(SAMPLES)), sort_keys=True)
    weights = [np.ascontiguousarray(value).tobytes() for value in teacher.get_weights()]
    raw = str(samples.dtype), str(samples.shape), np.ascontiguousarray(samples).tobytes()
    return digest([recipe, teacher.to_json(), *weights, *raw, tf.__version__])


def _write(path: Path, answers: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, answers, allow_pickle=False)
    content = buffer.getvalue()
    write_whole(path, hashlib.sha256(content).digest() + content)


def _read(path: Path) -> np.ndarray | None:
    """Answers that were kept, [steps, samples, outputs]; None if there are none, or if they are damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content[_CHECKSUM_BYTES:]).digest() != content[:_CHECKSUM_BYTES]:
        _log.warning("%s is damaged: not used, computed again", path)
        return None
    return np.load(io.BytesIO(content[_CHECKSUM_BYTES:]), allow_pickle=False)
