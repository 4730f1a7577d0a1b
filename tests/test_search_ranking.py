"""Whole widths of a searched network are compared by its loss, after a moment of training where rounding costs much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from flow.bits import BitsSpec
from flow.datasets import load
from flow.keras_env import keras
from flow.search import ranking
from flow.search.network import Widths, build_relaxed
from flow.search.ranking import Ranking
from flow.training.calibrate import copy_weights, prepare
from flow.training.config import TrainConfig
from flow.training.loop import fit
from flow.training.progress import Silent
from flow.training.statistics import as_trained_on, measure_statistics
from keras_models import MODELS

TINY = MODELS["tiny"]
DIGITS = load("digits", image_shape=TINY.input_shape)
RECIPE = TrainConfig(epochs=4, batch=32, learning_rate=0.05, flip=False)


class Told(Silent):
    """Keeps messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_message(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Searched:
    """A small network as a search leaves it, all layers at a width."""

    model: object
    widths: Widths
    ranking: Ranking
    told: Told
    weights: dict[str, list[np.ndarray]]


def searched(width: float) -> Searched:
    keras.utils.set_random_seed(0)
    fixed, start, told = BitsSpec.uniform(TINY, 4), TINY.build_float(), Told()
    prepared, ranges = prepare(TINY, fixed, start, DIGITS.x_train)
    widths = Widths({w.name: width for w in TINY.weight_layers()}, {})
    exponents = {w.name: np.full(8, -4) for w in TINY.weight_layers() if not w.batchnorm}
    model = build_relaxed(TINY, fixed, ranges, widths, {}, exponents)
    copy_weights(prepared, model)
    fit(model, DIGITS, RECIPE, Silent())
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    return Searched(model, widths, Ranking(model, widths, TINY.task, DIGITS, RECIPE, start, told), told, weights)


def weights_at(bits: int) -> BitsSpec:
    found = BitsSpec.uniform(TINY, 4)
    return found.model_copy(update={"weights": dict.fromkeys(found.weights, bits)})


def losses(lines: list[str]) -> list[float]:
    return [float(line.split(": ")[1]) for line in lines if line.startswith("    weights")]


@pytest.fixture(scope="module")
def network() -> Searched:
    return searched(2.5)


def test_losses_that_rounding_has_not_ruined_are_taken_as_they_are(network, monkeypatch):
    monkeypatch.setattr(ranking, "TELLING", float("inf"))
    monkeypatch.setattr(ranking, "fit", lambda *args, **options: pytest.fail("nothing is to be trained"))
    network.told.lines.clear()
    tried = [weights_at(1), weights_at(8), weights_at(2)]
    best, found = network.ranking.best(tried), losses(network.told.lines)
    assert best is tried[int(np.argmin(found))] and len(set(found)) == 3


def test_where_rounding_ruins_them_each_is_trained_for_a_moment(network, monkeypatch):
    """From the same weights, which are left as they were; so the loss of a width does not depend on what was tried."""
    monkeypatch.setattr(ranking, "TELLING", 0.0)
    network.told.lines.clear()
    tried = [weights_at(1), weights_at(2), weights_at(1)]
    best, found = network.ranking.best(tried), losses(network.told.lines)
    untrained, trained = found[:3], found[3:]
    assert all(after < before for before, after in zip(untrained, trained, strict=True))
    assert best is tried[int(np.argmin(trained))]
    assert "that tells nothing, the learned widths have " in network.told.lines[4]
    assert untrained[0] == untrained[2] and trained[0] == pytest.approx(trained[2], abs=2e-4)


def test_the_network_has_the_weights_of_the_search_and_the_statistics_of_the_widths(network):
    network.ranking.best([weights_at(1), weights_at(3)])
    float_network = network.ranking.network_at(weights_at(3), TINY.build_float())
    for layer in TINY.weight_layers():
        np.testing.assert_array_equal(
            float_network.get_layer(layer.name).get_weights()[0], network.weights[layer.name][0]
        )
    normalization = next(w.batchnorm for w in TINY.weight_layers() if w.batchnorm)
    at_three = float_network.get_layer(normalization).get_weights()[2]
    network.widths.assign(weights_at(3))
    measure_statistics(network.model, as_trained_on(DIGITS, RECIPE))
    np.testing.assert_array_equal(at_three, network.model.get_layer(normalization).get_weights()[2])
    assert set(network.widths.values()["weights"].values()) == {3.0}
