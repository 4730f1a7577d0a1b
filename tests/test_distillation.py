"""A teacher's answers: those to the very batch, computed once, and never from a damaged file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flow.datasets import load
from flow.keras_env import keras
from flow.training.batches import epoch_batches
from flow.training.config import TrainConfig
from flow.training.distillation import SILENCE, Distillation
from flow.training.loop import as_numbers, predict
from keras_models import MODELS

TINY = MODELS["tiny"]
RECIPE = TrainConfig(epochs=2, batch=32, learning_rate=0.02, shift=1, flip=False, distill=0.5)


@pytest.fixture(scope="module")
def data():
    found = load("digits", image_shape=TINY.input_shape)
    return replace(found, x_train=found.x_train[:100], y_train=found.y_train[:100])


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(3)
    return TINY.build_float()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FLOW_CACHE", str(tmp_path))


def heard(distillation: Distillation, epoch: int) -> np.ndarray:
    return np.stack([answers for _, _, answers in distillation.batches(epoch)])


def test_the_answers_are_those_to_the_batch(data, teacher):
    distillation = Distillation(data, RECIPE, teacher, as_numbers)
    assert (distillation.share, distillation.steps) == (0.5, 3)
    for epoch in (0, 1):
        plain = list(epoch_batches(data.x_train, data.y_train, RECIPE, epoch))
        for _ in range(2):  # computed, and found
            for (images, labels), (same, also, answers) in zip(plain, distillation.batches(epoch), strict=True):
                np.testing.assert_array_equal(same, images)
                np.testing.assert_array_equal(also, labels)
                np.testing.assert_allclose(answers, predict(teacher, images), rtol=0, atol=1e-6)


def test_answers_are_computed_once_for_equal_samples(data, teacher, monkeypatch):
    first = heard(Distillation(data, RECIPE, teacher, as_numbers), 0)
    other_rate = RECIPE.model_copy(update={"learning_rate": 0.5, "epochs": 9})
    again = Distillation(data, other_rate, teacher, as_numbers)
    monkeypatch.setattr(again, "_forward", None)  # not to be called
    np.testing.assert_array_equal(heard(again, 0), first)
    for other in (
        Distillation(data, RECIPE.model_copy(update={"seed": 1}), teacher, as_numbers),
        Distillation(data, RECIPE.model_copy(update={"shift": 2}), teacher, as_numbers),
        Distillation(replace(data, x_train=data.x_train[::-1]), RECIPE, teacher, as_numbers),
        Distillation(data, RECIPE, TINY.build_float(), as_numbers),
    ):
        monkeypatch.setattr(other, "_forward", None)
        with pytest.raises(TypeError, match="not callable"):
            heard(other, 0)


def test_an_epoch_that_was_not_finished_leaves_nothing(data, teacher, tmp_path):
    batches = Distillation(data, RECIPE, teacher, as_numbers).batches(0)
    next(batches)
    batches.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_file_is_named_and_computed_again(data, teacher, tmp_path, caplog):
    first = heard(Distillation(data, RECIPE, teacher, as_numbers), 0)
    (path,) = tmp_path.rglob("epoch-0.bin")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(heard(Distillation(data, RECIPE, teacher, as_numbers), 0), first)
    assert "epoch-0.bin is damaged: not used, computed again" in caplog.text
    assert path.read_bytes() != content


def test_without_a_teacher_there_is_silence(data):
    distillation = Distillation(data, RECIPE, None, as_numbers)
    assert distillation.share == 0
    assert all(answers is SILENCE for _, _, answers in distillation.batches(0))
