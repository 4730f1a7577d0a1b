"""Networks whose layers change width while they run: layers, selection, training."""

from __future__ import annotations

from dataclasses import replace

import networks
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
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
from flow.mixer.start import copy_pairs, normalized_float
from flow.mixer.step import mixed_step
from flow.quantizers.nested import NESTINGS, nested_codes
from flow.quantizers.runtime import (
    CUSTOM_OBJECTS,
    FixedActivation,
    RuntimeModel,
    TransitionalBatchNormalization,
    WidthActivation,
    learned_step,
)
from flow.training.checkpoints import find_checkpoint, load_checkpoint
from flow.training.config import TrainConfig
from flow.training.loop import predict
from flow.training.objectives import OBJECTIVES
from flow.training.optimizers import Optimizers
from flow.training.progress import Silent
from flow.training.run import train_float
from flow.training.selected import SelectedAdam
from keras_models import MODELS
from keras_models.runtime import plan_runtime

RESNET8 = MODELS["resnet8"]
SHORT = MixerConfig(epochs=3, stages=(1, 1, 1), batch=64, optimizer="adam", learning_rate=1e-3, shift=0, flip=False,
                    distill=0.5, temperature=2.0)  # fmt: skip


def images(count: int, seed: int = 3) -> np.ndarray:
    return networks.random_images(count, seed=seed)


def reals(count: int) -> np.ndarray:
    return images(count).astype(np.float32) / 256


def optimizer_of(model: RuntimeModel) -> Optimizers:
    return Optimizers(model, SHORT, lambda recipe: SelectedAdam(recipe.learning_rate, jit_compile=False))


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_resnet8_has_eight_fields_and_its_predecessors_follow_the_edges():
    plan = plan_runtime(RESNET8, (4, 2, 3))
    assert plan.widths == (2, 3, 4)
    assert plan.layers == (
        "s1_conv1", "s1_conv2", "s2_conv1", "s2_conv2", "s2_skip", "s3_conv1", "s3_conv2", "s3_skip"
    )  # fmt: skip
    assert {name: plan.predecessor(name) for name in plan.layers} == {
        "s1_conv1": "conv1", "s1_conv2": "s1_conv1", "s2_conv1": "s1_conv2", "s2_conv2": "s2_conv1",
        "s2_skip": "s1_conv2", "s3_conv1": "s2_conv2", "s3_conv2": "s3_conv1", "s3_skip": "s2_conv2",
    }  # fmt: skip
    assert plan.table("s2_relu1") == ("s1_conv2", "s2_conv1", "s2_conv2")
    assert plan.table("s2_skip_res") == ("s1_conv2", "s2_skip"), "behind it is an add: no reader's width"
    assert plan.table("s1_out_s2_skip") == ("s2_skip",) and plan.table("s1_out_s2_conv1") == ("s2_conv1",)
    assert plan.table("s3_out") == () and plan.reader("s3_out") is None, "the last layer stays as it is"
    fixed = {a.name: a.default_bits for a in plan.spec.activation_layers() if plan.reader(a.name) is None}
    assert set(fixed.values()) == {8}


@pytest.mark.parametrize("name", ["jets", "autoencoder", "lenet", "tiny"])
def test_every_open_layer_of_other_models_has_a_quantizer_and_a_normalization(name: str):
    plan = plan_runtime(MODELS[name], (2, 4))
    readers = [plan.reader(a.name) for a in plan.spec.activation_layers() if plan.reader(a.name)]
    assert tuple(sorted(readers)) == tuple(sorted(plan.layers))
    assert all(layer.batchnorm for layer in plan.spec.weight_layers() if layer.name in plan.layers)
    MODELS[name].build_runtime((2, 4)).set_bits(2)


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"s1_conv1": 2, "s1_conv2": 2, "s1_skp": 2}, "unknown runtime layer .* 's1_skp': did you mean 's1_skip'"),
        ({"s1_conv1": 2, "s1_conv2": 2}, "layer s1_skip of tiny_runtime is missing"),
        ({"s1_conv1": 2, "s1_conv2": 2, "s1_skip": 8}, "s1_skip: 8 bits; its widths are 2, 3, 4"),
        ([2, 3], "2 widths for the 3 layers s1_conv1, s1_conv2, s1_skip"),
        (5, "s1_conv1: 5 bits; its widths are 2, 3, 4"),
    ],
)
def test_a_wrong_configuration_is_refused_and_changes_nothing(bits, message: str):
    model = TINY.build_runtime(WIDTHS)
    model.set_bits([2, 4, 3])
    with pytest.raises(FlowError, match=message):
        model.set_bits(bits)
    assert model.bits == {"s1_conv1": 2, "s1_conv2": 4, "s1_skip": 3}


@pytest.mark.parametrize(
    ("widths", "message"), [((4,), "two or more"), ((2, 2), "two or more"), ((1, 4), "2 to 8"), ((4, 9), "2 to 8")]
)
def test_wrong_widths_are_refused(widths, message: str):
    with pytest.raises(FlowError, match=message):
        plan_runtime(TINY, widths)


def test_a_depthwise_model_is_refused():
    with pytest.raises(FlowError, match="b1_dw is a depthwise convolution"):
        plan_runtime(MODELS["dscnn"], WIDTHS)


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesting", NESTINGS)
def test_the_layer_uses_the_codes_of_its_width(nesting: str):
    model = random_network(nesting=nesting)
    layer = model.get_layer("s1_conv2")
    top = layer.top_codes
    assert top.min() == -8 and top.max() == 7
    for position, bits in enumerate(WIDTHS):
        selection = np.full(3, position)
        used = layer._weights(tf.constant(selection)).numpy() / 2.0**layer.exponent
        middle = 0.5 if nesting == "centre" else 0.0
        np.testing.assert_array_equal(used, (layer.codes(bits) + middle) * 2 ** (4 - bits))
        assert layer.codes(bits).min() == -(2 ** (bits - 1)) and layer.codes(bits).max() == 2 ** (bits - 1) - 1
        if nesting != "round":
            np.testing.assert_array_equal(layer.codes(bits), top >> (4 - bits), "top bit planes")


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 99))
def test_every_width_is_the_top_bits_of_the_widest(top: int, drop: int, seed: int):
    bits = max(top - drop, 1)
    codes = np.random.default_rng(seed).integers(-(2 ** (top - 1)), 2 ** (top - 1), 50)
    for code, nested in zip(codes, nested_codes(codes, top, bits), strict=True):
        assert format(code % 2**top, f"0{top}b")[:bits] == format(nested % 2**bits, f"0{bits}b")
    rounded = nested_codes(codes, top, bits, nesting="round")
    want = np.minimum(np.floor(codes / 2 ** (top - bits) + 0.5), 2 ** (bits - 1) - 1)
    np.testing.assert_array_equal(rounded, want if bits < top else codes)


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_learned_step_has_the_gradients_of_its_paper(bits: int):
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(0.5, 0.7, (6, 512)).astype(np.float32), rng.normal(0, 1, (6, 512)).astype(np.float32)
    step, top = 0.23, 2**bits - 1
    tensors = [tf.constant(x), tf.constant(step), tf.constant(float(top))]
    with tf.GradientTape() as tape:
        tape.watch(tensors[:2])
        values = learned_step(*tensors)
    have = tape.gradient(values, tensors[:2], upstream)
    scaled = x / step
    np.testing.assert_allclose(values, np.clip(np.rint(scaled), 0, top) * step, rtol=1e-6)
    inside = (scaled > 0) & (scaled <= top)
    np.testing.assert_array_equal(have[0], upstream * inside)
    slope = np.where(inside, np.rint(scaled) - scaled, np.where(scaled > top, top, 0))
    assert float(have[1]) == pytest.approx(float(np.sum(upstream * slope)), rel=1e-3)


def test_there_is_a_set_for_every_pair_of_widths():
    model = RESNET8.build_runtime(WIDTHS)
    sets = {layer.name: layer.sets for layer in model.of_kind(TransitionalBatchNormalization)}
    assert sets["conv1_bn"] == 1 and sets["s1_bn1"] == 3, "the first has no pair"
    others = set(sets) - {"conv1_bn", "s1_bn1"}
    assert {sets[name] for name in others} == {9} and {"s2_skip_bn", "s3_skip_bn"} < others


def test_a_network_reloads_from_its_file(tmp_path):
    model = random_network()
    model.set_bits([2, 4, 3])
    for name in ("net.h5", "net.keras"):
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name, CUSTOM_OBJECTS)
        assert isinstance(again, RuntimeModel) and again.bits == model.bits
        np.testing.assert_array_equal(again(reals(4)), model(reals(4)))
        again.set_bits(4)
        assert (again(reals(4)) != model(reals(4))).numpy().any()


def static_network(model: RuntimeModel, bits: dict[str, int]) -> keras.Model:
    """The same network without run-time widths: plain Keras layers with the values of one configuration."""
    tensors, positions = {}, PLAN.indices(bits)
    first, second, skip = positions
    pairs = {"conv1_bn": 0, "s1_bn1": first, "s1_bn2": first * 3 + second, "s1_skip_bn": skip}
    for node in PLAN.spec.nodes:
        inputs = [tensors[name] for name in node.inputs]
        layer = model.get_layer(node.name) if node.kind != "input" else None
        if node.kind == "input":
            tensors[node.name] = keras.layers.Input(node.shape)
        elif node.kind == "weights":
            width = bits.get(node.name, layer.widths[-1])
            kernel = np.ldexp(layer.codes(width).astype(np.float32), layer.exponent + layer.widths[-1] - width)
            rest = [] if layer.bias is None else [layer.bias.numpy()]
            if node.layer.kind == "dense":
                plain = keras.layers.Dense(node.layer.out_channels, use_bias=bool(rest))
            else:
                plain = keras.layers.Conv2D(
                    node.layer.out_channels, node.layer.kernel, node.layer.stride, "same", use_bias=bool(rest)
                )
            tensors[node.name] = plain(inputs[0])
            plain.set_weights([kernel, *rest])
        elif node.kind == "batchnorm":
            plain = keras.layers.BatchNormalization()
            tensors[node.name] = plain(inputs[0])
            plain.set_weights([variable.numpy()[pairs[node.name]] for variable in layer.weights])
        elif isinstance(layer, WidthActivation):
            width = bits[PLAN.reader(node.name)]
            step = layer.steps.numpy()[WIDTHS.index(width)]

            def quantize(x, step=step, top=2.0**width - 1):
                return tf.clip_by_value(tf.round(x / step), 0, top) * step

            tensors[node.name] = keras.layers.Lambda(quantize)(inputs[0])
        elif isinstance(layer, FixedActivation):
            tensors[node.name] = FixedActivation(layer.bits, layer.exponent, layer.signed)(inputs[0])
        else:
            tensors[node.name] = type(layer).from_config(layer.get_config())(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(tensors["input"], tensors[PLAN.spec.nodes[-1].name])


@pytest.mark.parametrize("chosen", [(2, 2, 2), (4, 4, 4), (2, 4, 3), (3, 2, 4)])
def test_a_fixed_configuration_is_a_static_network(chosen):
    model = random_network()
    bits = dict(zip(PLAN.layers, chosen, strict=True))
    model.set_bits(bits)
    want = static_network(model, bits)(reals(50)).numpy()
    assert np.ptp(want, axis=0).min() > 0
    np.testing.assert_allclose(model(reals(50)), want, rtol=1e-5, atol=1e-5)


def test_another_configuration_is_not_traced_again():
    model, traced = random_network(), []

    @tf.function
    def forward(x):
        traced.append(1)
        return model(x, training=False)

    results = []
    for chosen in ((2, 2, 2), (4, 3, 2), (4, 4, 4)):
        model.set_bits(chosen)
        results.append(forward(reals(2)).numpy())
    assert len(traced) == 1 and (results[0] != results[1]).any() and (results[1] != results[2]).any()


# -- a step ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [False, True])
def test_a_step_changes_the_selected_sets_alone(frozen: bool):
    model = random_network()
    optimizer = optimizer_of(model)
    step = mixed_step(model, optimizer, SHORT, OBJECTIVES["classification"], TINY.build_float(), frozen)
    labels = tf.constant(np.arange(16) % 10)
    rows = np.array([[0, 2, 1], [2, 2, 1]], np.int32)
    step(images(16), labels, tf.constant(np.full((2, 3), 1, np.int32)))  # leaves moments that must not move others
    before = {variable.name: variable.numpy() for variable in model.weights}
    step(images(16), labels, tf.constant(rows))
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
    step = mixed_step(model, optimizer, SHORT, OBJECTIVES["classification"], None, True)
    found = []
    for passes in (1, 2):
        step(images(8), tf.constant(np.arange(8)), tf.constant(np.ones((passes, 3), np.int32)))
        found.append(next(v.numpy() for v in optimizer.variables if "m/s1_conv2/kernel" in v.name))
    assert np.abs(found[0]).max() > 0
    # m1 = 0.1 g, m2 = 0.9 m1 + 0.1 * 2 g
    np.testing.assert_allclose(found[1], 2.9 * found[0], rtol=1e-3, atol=1e-7)


# -- stages ------------------------------------------------------------------------------------------------------------


def test_stages_visit_what_they_should():
    config = MixerConfig(epochs=10, stages=(2, 3, 5), optimizer="adam", learning_rate=1e-3, frozen_epochs=4)
    schedule = Schedule(config, 3, 8)
    np.testing.assert_array_equal(schedule.rows(1, 0, 10), np.full((1, 8), 2))
    np.testing.assert_array_equal(schedule.rows(2, 0, 10), np.repeat(np.arange(3)[:, None], 8, axis=1))
    np.testing.assert_array_equal(schedule.rows(5, 0, 10), schedule.rows(2, 0, 10), "begins network-wide")
    assert config.first_frozen_epoch == 9
    probabilities = [schedule.probability(epoch) for epoch in (5, 7, 9, 10)]
    assert probabilities == [0, 0.25, 0.5, 0.5]
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
     ({"arithmetic": "mixed_bfloat16"}, "float32")],
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
    recipe = MixerConfig(**SHORT.model_dump() | {"epochs": 7, "stages": (1, 3, 3), "frozen_epochs": 1, "batch": 32,
                                               "learning_rate": 6e-3})  # fmt: skip
    return train_mixer(TINY, WIDTHS, data, start.model, recipe)


def test_a_bias_becomes_a_normalization_that_does_the_same(data, start):
    model = normalized_float(PLAN, start.model, data.x_train)
    np.testing.assert_allclose(predict(model, data.x_test), predict(start.model, data.x_test), atol=1e-3)
    assert np.abs(model.get_layer("s1_skip_bn").beta.numpy()).max() > 0


def test_all_widths_learn(trained, start):
    scores = [trained.scores[f"accuracy at {bits} bits"] for bits in WIDTHS]
    assert scores[0] > 0.6 and scores[2] > 0.85 and trained.accuracy == scores[2]
    assert [record["stage"] for record in trained.history] == [1, 2, 2, 2, 3, 3, 3]
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
    """Stopped in stage I and again in stage II, with the state of each stage's start in what was saved."""
    few = replace(data, x_train=data.x_train[:320], y_train=data.y_train[:320])
    whole = train_mixer(TINY, WIDTHS, few, start.model, SHORT)
    for stop in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train_mixer(TINY, WIDTHS, few, start.model, SHORT, Recorder(stop_after=stop), tmp_path)
    last = Recorder()
    cut = train_mixer(TINY, WIDTHS, few, start.model, SHORT, last, tmp_path)
    assert last.epochs == [3] and any("goes on after epoch 2" in text for text in last.messages)
    assert [record["epoch"] for record in cut.history] == [1, 2, 3]
    for left, right in zip(whole.model.get_weights(), cut.model.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-3)


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
    assert not list(tmp_path.glob("*.state"))
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
    ],
)
def test_mistakes_on_the_command_line(tmp_path, arguments, message: str):
    result = call("--out", str(tmp_path), *arguments)
    assert isinstance(result.exception, FlowError) and message in str(result.exception)
