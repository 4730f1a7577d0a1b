"""N2UQ: quantizers and their gradients, and how they are trained."""

from __future__ import annotations

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.bits import BitsSpec
from flow.boards import find_board
from flow.datasets import load as load_dataset
from flow.errors import FlowError
from flow.keras_env import keras, tf
from flow.quantizers import FLOOR, gste
from flow.quantizers.n2uq import N2UQActivation, N2UQWeights
from flow.quantizers.start import best_step, start_activations
from flow.training.config import TrainConfig
from flow.training.fast import relu_quantizer
from flow.training.optimizers import Optimizers
from flow.training.own import train_own
from keras_models import MODELS

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


# -- training ----------------------------------------------------------------------------------------------------------


def test_the_start_is_the_uniform_quantizer_with_the_least_error():
    values = np.random.default_rng(0).normal(0, 1, 4000)
    step = best_step(values, 2)

    def error(size: float) -> float:
        positive = np.maximum(values, 0)
        return float(np.mean((np.minimum(np.rint(positive / size), 3) * size - positive) ** 2))

    assert error(step) <= 1.01 * min(error(size) for size in np.linspace(0.1, 2, 400))
    trained = networks.n2uq()
    steps = start_activations(trained, networks.random_images(16).astype(np.float32) / 256)
    layer = trained.get_layer("s1_relu1")
    np.testing.assert_allclose(layer.intervals * layer.output_scale, steps["s1_relu1"], rtol=1e-5)
    assert trained.get_layer("s1_out").output_scale.trainable is False


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
