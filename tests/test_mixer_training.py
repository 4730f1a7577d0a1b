"""Training of networks whose layers change width while they run: a step, stages, resuming, the command."""

from __future__ import annotations

from dataclasses import replace

import networks
import numpy as np
import pytest
import typer
from mixers import PLAN, TINY, WIDTHS, random_network
from typer.testing import CliRunner

from flow.cli.train import train
from flow.datasets import load
from flow.errors import FlowError
from flow.keras_env import keras, tf
from flow.mixer.config import MixerConfig, default_mixer_config, split_epochs
from flow.mixer.fit import Forward
from flow.mixer.run import train_mixer
from flow.mixer.stages import Schedule
from flow.mixer.start import copy_pairs, nested_factors, normalized_float
from flow.mixer.step import mixed_step
from flow.quantizers.nested import nested_codes, top_codes
from flow.quantizers.runtime import (
    RuntimeModel,
    TransitionalBatchNormalization,
)
from flow.training.calibrate import fill_factors
from flow.training.checkpoints import find_checkpoint, load_checkpoint
from flow.training.config import TrainConfig
from flow.training.distillation import SILENCE
from flow.training.loop import predict
from flow.training.objectives import OBJECTIVES
from flow.training.optimizers import Optimizers
from flow.training.progress import Silent
from flow.training.run import train_float
from flow.training.selected import SelectedAdam

SHORT = MixerConfig(epochs=3, stages=(1, 1, 1), batch=64, optimizer="adam", learning_rate=1e-3, shift=0, flip=False,
                    distill=0.5, temperature=2.0)  # fmt: skip


def images(count: int) -> np.ndarray:
    return networks.random_images(count)


def optimizer_of(model: RuntimeModel) -> Optimizers:
    return Optimizers(model, SHORT, lambda recipe: SelectedAdam(recipe.learning_rate, jit_compile=False))


# -- a step ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [False, True])
def test_a_step_changes_the_selected_sets_alone(frozen: bool):
    model = random_network()
    optimizer = optimizer_of(model)
    step = mixed_step(model, optimizer, SHORT, OBJECTIVES["classification"], 0.5, frozen)
    labels = tf.constant(np.arange(16) % 10)
    taught = tf.constant(np.random.default_rng(1).normal(0, 1, (16, 10)), tf.float32)
    rows = np.array([[0, 2, 1], [2, 2, 1]], np.int32)
    # leaves moments that must not move others
    step(images(16), labels, taught, tf.constant(np.full((2, 3), 1, np.int32)))
    before = {variable.name: variable.numpy() for variable in model.weights}
    step(images(16), labels, taught, tf.constant(rows))
    visited = {"conv1_bn": {0}, "s1_bn1": {0, 2}, "s1_bn2": {2, 8}, "s1_skip_bn": {1}}
    for layer in model.of_kind(TransitionalBatchNormalization):
        for variable in layer.weights:
            moved = np.flatnonzero((variable.numpy() != before[variable.name]).any(axis=1))
            kept = frozen and not variable.trainable
            assert set(moved) == (set() if kept else visited[layer.name]), variable.name
    for name, positions in {"s1_in_s1_conv1": {0, 2}, "s1_relu1": {2}, "s1_in_s1_skip": {1}}.items():
        steps = model.get_layer(name).steps
        assert set(np.flatnonzero(steps.numpy() != before[steps.name])) == positions
    for layer in ("conv1", "s1_conv1", "s1_conv2", "s1_skip", "dense"):
        kernel = model.get_layer(layer).kernel
        assert (kernel.numpy() != before[kernel.name]).any()


def test_selected_rows_move_as_adam_moves_them():
    rows = [[0], [0, 1], [1, 1], [0]]
    rng = np.random.default_rng(0)
    table, alone = tf.Variable(np.zeros((3, 4), np.float32)), [tf.Variable(np.zeros(4, np.float32)) for _ in range(3)]
    ours = SelectedAdam(0.01, jit_compile=False)
    plain = [keras.optimizers.Adam(0.01, jit_compile=False) for _ in alone]
    for chosen in rows:
        values = rng.normal(0, 1, (len(chosen), 4)).astype(np.float32)
        ours.apply_gradients([(tf.IndexedSlices(tf.constant(values), tf.constant(chosen), (3, 4)), table)])
        for row in set(chosen):
            gradient = values[np.array(chosen) == row].sum(axis=0)
            plain[row].apply_gradients([(tf.constant(gradient), alone[row])])
    np.testing.assert_allclose(table, np.stack([v.numpy() for v in alone]), rtol=1e-4)
    assert not table.numpy()[2].any()


def test_the_sum_of_passes_is_one_gradient():
    """Two equal passes are twice one pass in Adam's moments."""
    model = random_network()
    optimizer = optimizer_of(model)
    optimizer.set_learning_rate(0.0)  # nothing moves between the two
    step = mixed_step(model, optimizer, SHORT, OBJECTIVES["classification"], 0.0, True)
    found = []
    for passes in (1, 2):
        step(images(8), tf.constant(np.arange(8)), tf.constant(SILENCE), tf.constant(np.ones((passes, 3), np.int32)))
        found.append(next(v.numpy() for v in optimizer.variables if "m/s1_conv2/kernel" in v.name))
    assert np.abs(found[0]).max() > 0
    # m1 = 0.1 g, m2 = 0.9 m1 + 0.1 * 2 g
    np.testing.assert_allclose(found[1], 2.9 * found[0], rtol=1e-3, atol=1e-7)


# -- stages ------------------------------------------------------------------------------------------------------------


def test_stages_visit_what_they_should():
    config = MixerConfig(epochs=10, stages=(2, 3, 5), optimizer="adam", learning_rate=1e-3, frozen_epochs=4,
                         ramp=1.0)  # fmt: skip
    schedule = Schedule(config, 3, 8)
    np.testing.assert_array_equal(schedule.rows(1, 0, 10), np.full((1, 8), 2))
    np.testing.assert_array_equal(schedule.rows(2, 0, 10), np.repeat(np.arange(3)[:, None], 8, axis=1))
    np.testing.assert_array_equal(schedule.rows(5, 0, 10), schedule.rows(2, 0, 10), "begins network-wide")
    assert config.first_frozen_epoch == 9
    probabilities = [schedule.probability(epoch) for epoch in (5, 7, 9, 10)]
    assert probabilities == [0, 0.25, 0.5, 0.5]
    steeper = Schedule(config.model_copy(update={"ramp": 0.5}), 3, 8)
    assert [steeper.probability(epoch) for epoch in (5, 6, 7, 10)] == [0, 0.25, 0.5, 0.5]
    replaced = np.mean([schedule.rows(9, step, 100) != schedule.rows(2, 0, 1) for step in range(100)])
    assert replaced == pytest.approx(0.5 * 2 / 3, abs=0.03)
    np.testing.assert_array_equal(schedule.rows(8, 3, 10), schedule.rows(8, 3, 10))
    assert (schedule.rows(8, 3, 10) != schedule.rows(8, 4, 10)).any()


def test_each_stage_has_its_own_rates():
    config = MixerConfig(epochs=9, stages=(3, 3, 3), optimizer="adam", learning_rate=1e-3)
    assert config.rate(0) == config.rate(3) == 2 * config.rate(6) == 1e-3
    assert config.rate(2.999) < 1e-6 > config.rate(8.999)
    assert split_epochs(80) == (16, 32, 32) and split_epochs(3) == (1, 1, 1)
    assert default_mixer_config("digits", (8, 8, 3)).optimizer == "adam"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"stages": (1, 1, 2)}, "whose sum is 3"), ({"optimizer": "sgd"}, "adam only"),
     ({"arithmetic": "mixed_bfloat16"}, "float32"), ({"mixing": 0}, "greater than 0"),
     ({"stage_rates": (1, 0, 1)}, "above 0")],
)  # fmt: skip
def test_wrong_recipes_are_refused(change, message: str):
    with pytest.raises(ValueError, match=message):
        MixerConfig(**SHORT.model_dump() | change)


def test_pairs_start_from_the_set_of_their_own_width():
    model = random_network()
    layer = model.get_layer("s1_bn2")
    before = layer.gamma.numpy()
    copy_pairs(model)
    for p in range(3):
        for c in range(3):
            np.testing.assert_array_equal(layer.gamma.numpy()[p * 3 + c], before[c * 3 + c])


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return load("digits", image_shape=TINY.input_shape)


@pytest.fixture(scope="module")
def start(data):
    return train_float(TINY, data, TrainConfig(epochs=6, batch=32, learning_rate=0.05, flip=False, shift=0))


class Recorder(Silent):
    def __init__(self, stop_after: int | None = None) -> None:
        self.messages, self.epochs, self.stop_after = [], [], stop_after

    def on_message(self, text: str) -> None:
        self.messages.append(text)

    def on_epoch(self, record) -> None:
        self.epochs.append(record.epoch)
        if record.epoch == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def trained(data, start):
    recipe = MixerConfig(**SHORT.model_dump() | {"epochs": 9, "stages": (1, 3, 5), "frozen_epochs": 1, "batch": 32,
                                               "learning_rate": 6e-3})  # fmt: skip
    return train_mixer(TINY, WIDTHS, data, start.model, recipe)


def test_a_bias_becomes_a_normalization_that_does_the_same(data, start):
    model = normalized_float(PLAN, start.model, data.x_train)
    np.testing.assert_allclose(predict(model, data.x_test), predict(start.model, data.x_test), atol=1e-3)
    assert np.abs(model.get_layer("s1_skip_bn").beta.numpy()).max() > 0


def test_all_widths_learn(trained, start):
    scores = [trained.scores[f"accuracy at {bits} bits"] for bits in WIDTHS]
    assert scores[0] > 0.6 and scores[2] > 0.85 and trained.accuracy == scores[2]
    assert [record["stage"] for record in trained.history] == [1, *3 * [2], *5 * [3]]
    assert [np.isnan(record["test_accuracy_mixed"]) for record in trained.history] == 4 * [True] + 5 * [False]
    assert np.isnan(trained.history[0]["test_accuracy_w2"]) and trained.history[-1]["test_accuracy_w2"] == scores[0]


def test_mixed_configurations_are_as_good_as_network_wide_ones(trained, data):
    forward = Forward(trained.model)
    rng = np.random.default_rng(0)
    found = [np.mean(forward(data.x_test, rng.integers(0, 3, 3)).argmax(axis=1) == data.y_test) for _ in range(8)]
    assert np.mean(found) > trained.scores["accuracy at 2 bits"] - 0.1


def test_the_checkpoint_comes_back(trained, data, tmp_path):
    path = trained.save("flow train --runtime-bits 2,3,4", tmp_path)
    assert path.name == "tiny-digits-mixer-w234.h5"
    assert find_checkpoint("tiny", "digits", None, tmp_path, runtime=WIDTHS) == path
    assert find_checkpoint("tiny", "digits", None, tmp_path) is None, "it is no float network"
    model, meta = load_checkpoint(path)
    assert (meta.runtime, meta.config, meta.label) == (WIDTHS, trained.config, "mixer-w234")
    assert "accuracy at 2 bits" in meta.score_text
    rows = [[0, 1, 2], [2, 2, 2]]
    for row in rows:
        want = Forward(trained.model)(data.x_test, row)
        np.testing.assert_array_equal(Forward(model)(data.x_test, row), want)


def test_a_stopped_run_goes_on_to_the_same_result(data, start, tmp_path):
    """Stopped after stage I, after stage II and in stage III, before its statistics are kept."""
    few = replace(data, x_train=data.x_train[:320], y_train=data.y_train[:320])
    recipe = MixerConfig(**SHORT.model_dump() | {"epochs": 5, "stages": (1, 1, 3), "frozen_epochs": 1})
    whole = train_mixer(TINY, WIDTHS, few, start.model, recipe)
    for stop in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            train_mixer(TINY, WIDTHS, few, start.model, recipe, Recorder(stop_after=stop), tmp_path)
    last = Recorder()
    cut = train_mixer(TINY, WIDTHS, few, start.model, recipe, last, tmp_path)
    assert last.epochs == [4, 5] and any("goes on after epoch 3" in text for text in last.messages)
    assert [record["epoch"] for record in cut.history] == [1, 2, 3, 4, 5]
    for left, right in zip(whole.model.get_weights(), cut.model.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5, err_msg="equal but for the order of threads")


def test_another_last_stage_goes_on_from_the_one_before(data, start, tmp_path):
    few = replace(data, x_train=data.x_train[:128], y_train=data.y_train[:128])
    train_mixer(TINY, WIDTHS, few, start.model, SHORT, state_dir=tmp_path).state_path.unlink()
    record = Recorder()
    train_mixer(TINY, WIDTHS, few, start.model, SHORT.model_copy(update={"mixing": 0.3}), record, tmp_path)
    assert record.epochs == [3]


def test_recipes_that_begin_alike():
    def same(change: dict) -> list[bool]:
        return [SHORT.until(stage) == MixerConfig(**SHORT.model_dump() | change).until(stage) for stage in (1, 2)]

    assert same({"mixing": 0.3, "ramp": 0.2, "frozen_epochs": 2, "stages": (1, 1, 3), "epochs": 5}) == [True, True]
    assert same({"stages": (1, 2, 1), "epochs": 4}) == same({"stage_rates": (1.0, 0.5, 0.5)}) == [True, False]
    assert same({"learning_rate": 2e-3}) == same({"nesting": "centre"}) == [False, False]


# -- where it starts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesting", ["floor", "centre"])
def test_filters_fill_all_widths(nesting: str):
    """Of Gaussian filters, 2 bits are nearer than with the top width's filling; 4 bits are a little farther."""
    rows = np.random.default_rng(0).normal(0, 0.1, (288, 16))
    errors = {}
    for name, factors in (("all", nested_factors(rows, WIDTHS, nesting)), ("top", fill_factors(rows, 4))):
        stored = top_codes(rows * factors, 4, -3, nesting)
        for bits in (2, 4):
            values = nested_codes(stored, 4, bits, nesting) + (0.5 if nesting == "centre" else 0.0)
            scale = (values * rows).sum(axis=0) / (values**2).sum(axis=0)
            errors[name, bits] = float(((scale * values - rows) ** 2).sum() / (rows**2).sum())
    assert errors["all", 2] < 0.9 * errors["top", 2] and errors["all", 4] < 2 * errors["top", 4] < 0.05


# -- the command -------------------------------------------------------------------------------------------------------


def call(*arguments: str):
    app = typer.Typer()
    app.command()(train)
    return CliRunner().invoke(app, ["--model", "tiny", "--dataset", "digits", *arguments])


def test_the_command_trains_a_network(tmp_path, start):
    start.save("flow train --float", tmp_path)
    result = call("--runtime-bits", "4,2", "--set", "stages=[1,1,1]", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "stage III, mixed widths: 1 epochs" in result.output
    _, meta = load_checkpoint(tmp_path / "tiny-digits-mixer-w24.h5")
    assert meta.config.stages == (1, 1, 1) and meta.config.epochs == 3
    assert "--runtime-bits 2,4" in meta.command and "--set 'stages=[1,1,1]'" in meta.command
    assert [path.name[:8] for path in sorted(tmp_path.glob("*.state"))] == ["stage-1-", "stage-2-"]
    other = call("--bits", "3", "--start", str(tmp_path / "tiny-digits-mixer-w24.h5"), "--out", str(tmp_path))
    assert isinstance(other.exception, FlowError) and "a float one is needed" in str(other.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runtime-bits", "2,x"), "widths with commas between"),
        (("--runtime-bits", "2,3", "--float"), "takes the place of --float"),
        (("--runtime-bits", "2,3", "--bits", "3"), "takes the place of --bits"),
        (("--runtime-bits", "2,3", "--quantizer", "n2uq"), "takes the place of --quantizer"),
        (("--runtime-bits", "2,3", "--epochs", "2"), "--epochs 2: run-time widths are trained in 3 stages"),
        (("--runtime-bits", "2,3", "--epochs", "5", "--set", "stages=[1,1,1]"), "whose sum is 5"),
        (("--runtime-bits", "2,3", "--set", "stages=[1,1]"), "stages=[1,1]: 3 numbers are expected, not 2"),
        (("--runtime-bits", "2,3", "--set", "stages=[1,x,1]"), "--set stages=x: Input should be a valid integer"),
        (("--runtime-bits", "2,3", "--set", "stages=[1,2"), "--set stages=[1,2: '[1,2' is no value"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, arguments, message: str):
    result = call("--out", str(tmp_path), *arguments)
    assert isinstance(result.exception, FlowError) and message in str(result.exception)
