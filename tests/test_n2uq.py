"""N2UQ: quantizers and their gradients, the start of training, bad input."""

from __future__ import annotations

import re
from dataclasses import replace

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow import golden, hls
from flow.bits import BitsSpec
from flow.boards import find_board
from flow.datasets import load as load_dataset
from flow.errors import FlowError
from flow.fold import compare_trained_deployed, fold_network, pending
from flow.fold.grids import ThresholdGrid
from flow.fold.steps import Affine, Chain, Leak, turning_channels
from flow.folding import Amount, solve
from flow.ir import Threshold, WeightCode, Weighted
from flow.keras_env import keras, qkeras, tf
from flow.network import load_model_file
from flow.quantizers import FLOOR, SYSTEMS, gste
from flow.quantizers.n2uq import CUSTOM_OBJECTS, N2UQActivation, N2UQWeights
from flow.quantizers.start import best_step, start_activations
from flow.rtl import write
from flow.simulate.compare import compare
from flow.simulate.fast import Simulator
from flow.synth import network as network_synthesis
from flow.synth import price
from flow.training.config import TrainConfig
from flow.training.fast import build_trainable, relu_quantizer
from flow.training.optimizers import Optimizers
from flow.training.own import train_own
from flow.twin import load, save, twin_outputs
from keras_models import MODELS
from keras_models.ranges import Ranges

TINY = networks.TINY
BOARD = find_board("pynq-z2")


def parameters(bits: int, seed: int = 0) -> tuple[float, np.ndarray, float, float]:
    """start, intervals, input scale, output scale."""
    rng = np.random.default_rng(seed)
    levels = 2**bits - 1
    return 0.07, rng.uniform(0.4, 1.6, levels) * 2 / levels, 1.2, 0.8


def as_tensors(values) -> list[tf.Tensor]:
    return [tf.constant(value, tf.float32) for value in values]


def expectation(x: np.ndarray, start, intervals, input_scale, output_scale) -> np.ndarray:
    """What stochastic rounding gives on average, float64."""
    edges = start + np.concatenate([[0.0], np.cumsum(intervals)])
    parts = [np.clip((x * input_scale - d) / a, 0, 1) for d, a in zip(edges, intervals)]
    return output_scale * 2 / len(intervals) * np.sum(parts, axis=0)


# -- activations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_forward_equals_a_direct_loop(bits: int):
    start, intervals, input_scale, output_scale = parameters(bits)
    values = np.random.default_rng(1).normal(0.5, 0.8, (3, 5, 4)).astype(np.float32)
    have = gste.quantize(values, *as_tensors((start, intervals, input_scale, output_scale))).numpy()
    for index, value in np.ndenumerate(values):
        code, left = 0, start
        for interval in intervals:
            code += value * input_scale >= left + interval / 2
            left += interval
        assert have[index] == pytest.approx(output_scale * 2 / len(intervals) * code, rel=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_gradients_equal_the_formulas(bits: int):
    start, intervals, input_scale, output_scale = parameters(bits)
    rng = np.random.default_rng(2)
    inputs, upstream = rng.normal(0.6, 0.8, (7, 64)).astype(np.float32), rng.normal(0, 1, (7, 64)).astype(np.float32)
    levels = len(intervals)
    unit = 2 / levels
    edges = start + np.concatenate([[0.0], np.cumsum(intervals)])
    want = [np.zeros(inputs.shape), 0.0, np.zeros(levels), 0.0, 0.0]
    for index, value in np.ndenumerate(inputs):
        x, g = value * input_scale, upstream[index] * output_scale
        code = sum(x >= edges[i] + intervals[i] / 2 for i in range(levels))
        want[4] += upstream[index] * unit * code
        if not edges[0] <= x < edges[-1]:
            continue
        k = int(np.searchsorted(edges, x, side="right")) - 1
        slope = unit / intervals[k]
        want[0][index] = g * slope * input_scale
        want[1] -= g * slope
        want[2][k] -= g * unit * (x - edges[k]) / intervals[k] ** 2
        want[2][:k] -= g * slope
        want[3] += g * slope * value
    given_tensors = as_tensors((inputs, start, intervals, input_scale, output_scale))
    with tf.GradientTape() as tape:
        tape.watch(given_tensors)
        values = gste.quantize(*given_tensors)
    have = tape.gradient(values, given_tensors, upstream)
    for left, right in zip(have, want, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("bits", [2, 4])
def test_gradients_equal_finite_differences_of_the_expectation(bits: int):
    values = parameters(bits)
    rng = np.random.default_rng(3)
    inputs, upstream = rng.normal(0.6, 0.8, (40, 32)), rng.normal(0, 1, (40, 32))
    tensors = as_tensors((inputs, *values))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        quantized = gste.quantize(*tensors)
    have = [np.asarray(g) for g in tape.gradient(quantized, tensors, upstream.astype(np.float32))][1:4]
    step = 1e-5
    for position in range(3):
        base = np.atleast_1d(np.asarray(values[position], float))
        for element in range(base.size):
            ends = []
            for sign in (1, -1):
                moved = base.copy()
                moved[element] += sign * step
                changed = list(values)
                changed[position] = moved if np.ndim(values[position]) else moved[0]
                ends.append(np.sum(upstream * expectation(inputs, *changed)))
            want = (ends[0] - ends[1]) / (2 * step)
            assert np.atleast_1d(have[position])[element] == pytest.approx(want, rel=2e-3, abs=2e-2)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_equal_intervals_are_the_plain_clipped_estimator(bits: int):
    exponent = -2
    layer = N2UQActivation(bits)
    values = tf.constant(np.random.default_rng(4).normal(0.4, 0.8, (9, 16)), tf.float32)
    layer(values)
    layer.set_step(2.0**exponent)
    uniform = relu_quantizer(bits, exponent)
    results = []
    for quantize in (layer, uniform):
        with tf.GradientTape() as tape:
            tape.watch(values)
            y = quantize(values)
        results.append((y.numpy(), tape.gradient(y, values).numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)


def test_an_interval_keeps_its_floor():
    tensors = as_tensors(([0.5, 0.5], 0.0, [-1.0, 1.0, 1.0], 1.0, 1.0))
    assert np.isfinite(gste.quantize(*tensors)).all()
    layer = N2UQActivation(2)
    layer(np.ones((1, 4), np.float32))
    optimizer = keras.optimizers.SGD(1.0, jit_compile=False)
    optimizer.apply_gradients([(tf.fill((3,), 9.0), layer.intervals)])
    np.testing.assert_allclose(layer.intervals, FLOOR)


# -- weights -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 999))
def test_weights_are_odd_integers_times_a_scale(bits: int, seed: int):
    weights = np.random.default_rng(seed).normal(0, 0.1, (3, 3, 4, 5)).astype(np.float32)
    quantizer = N2UQWeights(bits)
    codes = quantizer(weights).numpy() / quantizer.scale.numpy()
    top = 2**bits - 1
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    assert np.all(np.rint(codes) % 2 == 1) and np.abs(codes).max() <= top + 1e-3
    magnitude = top / 2 ** (bits - 1) * np.abs(weights).mean(axis=(0, 1, 2))
    inside = np.clip(weights / magnitude, -1, 1)
    np.testing.assert_allclose(np.rint(codes) / top, np.rint((inside + 1) * top / 2) * 2 / top - 1, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_gaussian_weights_use_every_level(bits: int):
    weights = np.random.default_rng(5).normal(0, 0.3, (1000, 40)).astype(np.float32)
    quantizer = N2UQWeights(bits)
    codes = np.rint(quantizer(weights).numpy() / quantizer.scale.numpy())
    _, counts = np.unique(codes, return_counts=True)
    share = counts / counts.sum()
    assert len(share) == 2**bits
    assert -np.sum(share * np.log2(share)) > 0.98 * bits


def test_the_weights_gradient_has_no_mask():
    weights = tf.constant(np.random.default_rng(6).normal(0, 1, (8, 3)), tf.float32)
    upstream = tf.constant(np.random.default_rng(7).normal(0, 1, (8, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        values = N2UQWeights(2)(weights)
    np.testing.assert_array_equal(tape.gradient(values, weights, upstream), upstream)


# -- in a network ------------------------------------------------------------------------------------------------------


def network(quantizer: str = "n2uq", bits: int = 2, seed: int = 0) -> keras.Model:
    """The residual test network with random weights and unequal thresholds."""
    widths = BitsSpec.uniform(TINY, bits)
    trained = TINY.build_quantized(widths, Ranges.default(TINY, widths), quantizer)
    networks.randomize(trained, seed)
    start_activations(trained, networks.random_images(16).astype(np.float32) / 256)
    rng = np.random.default_rng(seed)
    for layer in trained.layers:
        if isinstance(layer, N2UQActivation):
            layer.intervals.assign(layer.intervals * rng.uniform(0.3, 1.7, layer.levels))
            layer.start.assign(0.1)
    return trained


def test_a_network_reloads_from_its_file(tmp_path):
    trained = network()
    images = networks.random_images(8).astype(np.float32) / 256
    names = ("QConv2D", "QDense", "QActivation", "quantized_bits", "quantized_relu")
    known = {name: getattr(qkeras, name) for name in names} | CUSTOM_OBJECTS
    for name in ("net.h5", "net.keras"):
        trained.save(tmp_path / name)
        np.testing.assert_array_equal(load_model_file(tmp_path / name)(images), trained(images))
    # QKeras' own layers do not come back from .keras in Keras
    again = keras.models.load_model(tmp_path / "net.h5", known)
    np.testing.assert_array_equal(again(images), trained(images))


@pytest.mark.parametrize("quantizer", [name for name in SYSTEMS if name != "uniform"])
def test_the_trainable_network_computes_the_same(quantizer: str):
    widths = BitsSpec.uniform(TINY, 3)
    slow = network(quantizer, 3)
    fast = build_trainable(TINY, widths, Ranges.default(TINY, widths), quantizer)
    for layer in slow.layers:
        if layer.weights:
            fast.get_layer(layer.name).set_weights(layer.get_weights())
    images = networks.random_images(32).astype(np.float32) / 256
    assert np.mean(np.abs(fast(images) - slow(images)) > 1e-4) < 0.02


@pytest.mark.parametrize("quantizer", [name for name in SYSTEMS if name != "uniform"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_twin_does_what_was_trained(quantizer: str, bits: int, tmp_path):
    trained = network(quantizer, bits)
    twin = fold_network(trained)
    images = networks.random_images(100)
    difference = compare_trained_deployed(trained, twin, images)
    assert difference.activations <= 1e-3 * difference.total and difference.labels <= 1
    assert len(np.unique(twin_outputs(twin, images).argmax(axis=1))) > 1
    save(twin, tmp_path / "twin.npz")
    graph = hls.convert(load(tmp_path / "twin.npz"))
    np.testing.assert_array_equal(golden.run(graph, images), twin_outputs(twin, images))
    odd = quantizer != "n2uq-thresholds"
    for name in ("s1_conv1", "s1_conv2", "s1_skip"):
        node = graph.by_name[name]
        assert (node.weight_bits, node.weight_code) == (bits, WeightCode.ODD if odd or bits == 1 else WeightCode.TWOS)
    thresholds = graph.by_name["s1_relu1"].thresholds
    if quantizer != "n2uq-weights" and bits > 1:
        assert thresholds.shape[1] == 2**bits - 1
        assert np.unique(np.diff(thresholds, axis=1)).size > 3, "thresholds are unequally spaced"


@pytest.mark.parametrize("bits", [2, 4])
def test_every_engine_gives_the_same_integers(bits: int, tmp_path):
    """Keras twin, golden, C simulation and RTL; unequal thresholds, flipped channels, odd weight codes."""
    twin = fold_network(network(bits=bits))
    graph = hls.convert(twin)
    images = networks.random_images(40)
    outputs = golden.run(graph, images)
    np.testing.assert_array_equal(twin_outputs(twin, images), outputs)
    assert graph.by_name["s1_relu1"].flip.any() and not graph.by_name["s1_relu1"].flip.all()
    project = hls.vitis_project(twin, tmp_path / "vitis", BOARD, images[:2], outputs[:2])
    np.testing.assert_array_equal(hls.csim(project, images), outputs)
    folding = solve(graph, Amount(BOARD.lut, BOARD.ff, BOARD.dsp, BOARD.bram36), 5000)
    simulator = Simulator(graph, folding, write(graph, folding, tmp_path / "verilog"), networks.CACHE)
    difference = compare("output", outputs, simulator.run(images).outputs)
    assert not difference.count, f"{difference}; {simulator.explain(images[:2])}"


def test_the_price_of_odd_codes_is_measured_on_the_same_codes(tmp_path):
    """The uniform graph holds the same bits; its layers, under one folding, take fewer LUTs."""
    graph = hls.convert(fold_network(network(bits=2)))
    uniform = price.uniform_codes(graph)
    names = price.priced_layers(graph)
    layers = [name for name in names if isinstance(graph.by_name[name], Weighted)]
    assert sorted(layers) == ["s1_conv1", "s1_conv2", "s1_skip"]
    sums = {name: graph.readers(name)[0].name for name in layers}
    assert set(names) - set(layers) == {
        reader
        for name, reader in sums.items()
        if uniform.by_name[name].output.width_bits < graph.by_name[name].output.width_bits
    }
    for name in layers:
        odd, codes = graph.by_name[name], uniform.by_name[name]
        np.testing.assert_array_equal(odd.weights, 2 * codes.weights + 1)
        assert codes.weight_code is WeightCode.TWOS and codes.output.width_bits <= odd.output.width_bits
    folding = solve(graph, Amount(BOARD.lut, BOARD.ff, BOARD.dsp, BOARD.bram36), 5000)
    cheap = price.measure_uniform(graph, folding, {}, networks.CACHE)
    odd = network_synthesis.measure(write(graph, folding, tmp_path), {}, networks.CACHE).layers
    assert list(cheap) == names
    for name in layers:
        assert 0.7 * odd[name].luts_used < cheap[name].luts_used < odd[name].luts_used
    assert all(cheap[name].luts_used <= odd[name].luts_used for name in names)
    assert price.measure_uniform(uniform, folding, {}, networks.CACHE) == {}


@pytest.mark.parametrize("behind", ["pool", "fork", "flatten"])
def test_narrower_sums_reach_what_hands_them_on(behind: str):
    """Uniform codes have narrower accumulators: whatever copies their elements follows."""
    source = keras.layers.Input((8, 8, 4), name="pixels")
    x = qkeras.QConv2D(4, 3, kernel_quantizer=N2UQWeights(2), use_bias=False, name="conv")(source)
    if behind == "pool":
        x = N2UQActivation(2, 0, name="codes")(keras.layers.MaxPooling2D(2, name="pool")(x))
    elif behind == "fork":
        x = keras.layers.Add(name="sum")([N2UQActivation(2, 0, name=name)(x) for name in ("codes", "others")])
    else:
        x = N2UQActivation(2, 0, name="codes")(keras.layers.Flatten(name="flat")(x))
    model = keras.Model(source, x)
    networks.randomize(model)
    graph = hls.convert(fold_network(model))
    uniform = price.uniform_codes(graph)
    assert uniform.by_name["conv"].output.width_bits < graph.by_name["conv"].output.width_bits
    readers = [node.name for node in graph.nodes if isinstance(node, Threshold)]
    assert len(readers) == (2 if behind == "fork" else 1)
    assert price.priced_layers(graph) == ["conv", *readers]
    for name in readers:
        assert uniform.sources(uniform.by_name[name])[0].width_bits == uniform.by_name["conv"].output.width_bits


def test_the_start_is_the_uniform_quantizer_with_the_least_error():
    values = np.random.default_rng(0).normal(0, 1, 4000)
    step = best_step(values, 2)

    def error(size: float) -> float:
        positive = np.maximum(values, 0)
        return float(np.mean((np.minimum(np.rint(positive / size), 3) * size - positive) ** 2))

    assert error(step) <= 1.01 * min(error(size) for size in np.linspace(0.1, 2, 400))
    trained = network()
    steps = start_activations(trained, networks.random_images(16).astype(np.float32) / 256)
    layer = trained.get_layer("s1_relu1")
    np.testing.assert_allclose(layer.intervals * layer.output_scale, steps["s1_relu1"], rtol=1e-5)
    assert trained.get_layer("s1_out").output_scale.trainable is False


# -- bad input ---------------------------------------------------------------------------------------------------------


def chain(*layers) -> keras.Model:
    return keras.Sequential([keras.layers.Input((8, 8, 4), name="pixels"), *layers])


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("intervals", [0.5, FLOOR, 0.5], "s1_relu1: interval 2 of 3 is at its floor"),
        ("intervals", [0.5, np.nan, 0.5], "s1_relu1: its thresholds do not increase"),
        ("start", np.inf, "s1_relu1: its thresholds do not increase"),
        ("input_scale", -1.0, "s1_relu1: its input_scale is -1"),
    ],
)
def test_a_lost_activation_is_refused(part: str, value, message: str):
    trained = network()
    getattr(trained.get_layer("s1_relu1"), part).assign(value)
    with pytest.raises(FlowError, match=re.escape(message)):
        fold_network(trained)


def test_a_falling_rectifier_in_front_of_thresholds_is_refused():
    slopes = keras.initializers.Constant(np.array([0.2, -0.1, 0.0, 0.3], np.float32))
    layers = [networks.conv(4, name="conv"), keras.layers.PReLU(slopes, shared_axes=[1, 2], name="rectifier")]
    with pytest.raises(FlowError, match=r"rectifier: its slope below zero is -0.1 in channel 1"):
        fold_network(chain(*layers, N2UQActivation(2, name="codes")))
    with pytest.raises(FlowError, match="leak: its slope below zero"):
        fold_network(chain(networks.conv(4, name="conv"), keras.layers.LeakyReLU(-0.5, name="leak"), networks.relu(3)))


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_codes_that_rise_and_fall_again_have_no_thresholds(monkeypatch, slope: float):
    """A handler that let such a function through would give wrong codes: the fold looks at the function itself."""
    valley = Chain(0, (Affine(np.zeros(2), np.array([1.0, slope]), np.zeros(2)), Leak(np.array([0.5, -0.5]))))
    grid = ThresholdGrid(2, 0, False, 0, 3, thresholds=(2.5, 5.0, 9.0), scale=1.0)
    low, high = np.array([-40, -40]), np.array([40, 40])
    assert turning_channels(valley, grid, low, high).tolist() == [1]
    monkeypatch.setattr(pending, "_rectified", lambda name, value, slope, ceiling: replace(
        value, chain=value.chain.then(Leak(slope, ceiling))))  # fmt: skip
    trained = chain(
        networks.conv(4, name="conv"), keras.layers.LeakyReLU(-0.5, name="leak"), networks.relu(3, name="codes")
    )
    networks.randomize(trained)
    with pytest.raises(
        FlowError, match=r"codes: its thresholds do not increase after folding: in channel 0 \(4 of 4\)"
    ):
        fold_network(trained)


def test_a_rising_rectifier_is_folded():
    slopes = keras.initializers.Constant(np.array([0.2, 0.1, 0.0, 0.3], np.float32))
    layers = [networks.conv(4, name="conv"), keras.layers.PReLU(slopes, shared_axes=[1, 2], name="rectifier")]
    trained = chain(*layers, qkeras.QActivation(qkeras.quantized_bits(4, 1, alpha=1), name="codes"))
    networks.randomize(trained)
    difference = compare_trained_deployed(trained, fold_network(trained), networks.random_images(30, (8, 8, 4)))
    assert difference.activations == 0


def test_a_learned_step_needs_a_quantizer_behind_it():
    source = keras.layers.Input((4, 4, 2), name="pixels")
    first = networks.conv(3, name="first")(source)
    a, b = N2UQActivation(2, name="learned")(first), networks.relu(4, 1, name="fixed")(first)
    with pytest.raises(FlowError, match="sum reads learned, whose levels have a learned step"):
        fold_network(keras.Model(source, keras.layers.Add(name="sum")([a, b])))
    with pytest.raises(FlowError, match="last: reads levels with a learned step"):
        fold_network(keras.Model(source, networks.conv(2, name="last")(a)))
    fold_network(keras.Model(source, networks.conv(2, name="last")(N2UQActivation(2, -1, name="power")(first))))


def test_widths_that_a_quantizer_has_not():
    with pytest.raises(FlowError, match="s1_in: 6 bits; quantizer n2uq has learned thresholds of 1 to 5"):
        TINY.build_quantized(BitsSpec.uniform(TINY, 6), quantizer="n2uq")
    with pytest.raises(FlowError, match="did you mean 'n2uq'"):
        TINY.build_quantized(BitsSpec.uniform(TINY, 2), quantizer="n2ug")


def test_quantizer_parameters_learn_at_a_tenth_of_the_rate():
    """The first step of Adam is as long as the learning rate, whatever the gradient."""
    model = TINY.build_quantized(BitsSpec.uniform(TINY, 2), quantizer="n2uq")
    config = TrainConfig(epochs=1, optimizer="adam", learning_rate=1e-3)
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizers = Optimizers(model, config)
    optimizers.set_learning_rate(config.learning_rate)
    optimizers.apply([[tf.ones_like(v) for v in group] for _, group, _ in optimizers._groups])
    own = {id(v) for layer in model.layers for v in getattr(layer, "quantizer_variables", ())}
    assert len(own) == 4 * 3 - 1  # the step of what the last layer reads is a power of two
    for variable, old in zip(model.trainable_variables, before, strict=True):
        moved = 1e-4 if id(variable) in own else 1e-3  # median: QKeras clips some weights at 1
        assert np.median(old - variable.numpy()) == pytest.approx(moved, rel=0.02)


def test_the_teacher_has_its_share_of_the_loss():
    """A teacher that always says 3 is believed as far as `distill` goes: wholly at 1, not at all at 0."""
    data = load_dataset("digits", image_shape=TINY.input_shape)
    teacher = TINY.build_float()
    kernel, _ = teacher.get_layer("dense").get_weights()
    teacher.get_layer("dense").set_weights([0 * kernel, 20 * np.eye(10)[3]])
    said = {}
    for share in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        model = TINY.build_quantized(BitsSpec.uniform(TINY, 2), quantizer="n2uq")
        config = TrainConfig(
            epochs=2, batch=32, optimizer="adam", learning_rate=4e-3, shift=0, flip=False, distill=share
        )
        train_own(model, data, config, teacher)
        said[share] = float(np.mean(np.argmax(model.predict(data.x_test / 256, verbose=0), axis=1) == 3))
    assert said[1.0] > 0.9 and said[0.0] < 0.5


def test_a_network_of_ones_own_learns(tmp_path):
    data = load_dataset("digits", image_shape=TINY.input_shape)
    widths = BitsSpec.uniform(TINY, 2)
    model = TINY.build_quantized(widths, quantizer="n2uq")
    config = TrainConfig(epochs=3, batch=32, optimizer="adam", learning_rate=4e-3, shift=0, flip=False)
    history = train_own(model, data, config, state_path=tmp_path / "mine.state")
    assert history[-1]["loss"] < 0.97 * history[0]["loss"]
    moved = model.get_layer("s1_relu1")
    assert np.ptp(moved.intervals.numpy()) > 1e-3 and float(moved.start) != 0
    other = MODELS["resnet8"].build_float()
    with pytest.raises(FlowError, match="the teacher takes"):
        train_own(model, data, config, teacher=other)
