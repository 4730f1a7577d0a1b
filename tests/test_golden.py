"""Golden's functions against loops that follow their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import residual
from hypothesis import given
from hypothesis import strategies as st

from flow.errors import FlowError
from flow.golden import functions as f
from flow.golden import layers, run

SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2))
def test_window_takes_the_pixels_under_the_kernel(seed, kernel, stride, before, after):
    rng = np.random.default_rng(seed)
    before, after = min(before, kernel - 1), min(after, kernel - 1)
    x = rng.integers(-9, 9, (2, 5, 6, 3))
    y = f.window(x, (kernel, kernel), (stride, stride), (before, after, after, before))
    for out_y in range(y.shape[1]):
        for out_x in range(y.shape[2]):
            for ky in range(kernel):
                for kx in range(kernel):
                    row, column = out_y * stride - before + ky, out_x * stride - after + kx
                    inside = 0 <= row < 5 and 0 <= column < 6
                    expected = x[:, row, column] if inside else np.zeros((2, 3))
                    at = (ky * kernel + kx) * 3
                    np.testing.assert_array_equal(y[:, out_y, out_x, at : at + 3], expected)


@given(SEEDS, st.booleans())
def test_threshold_counts_what_is_reached(seed, sort):
    rng = np.random.default_rng(seed)
    x, thresholds, flip = rng.integers(-20, 20, (50, 4)), rng.integers(-20, 20, (4, 7)), rng.random(4) < 0.5
    if sort:
        thresholds.sort(axis=1)
    y = f.threshold(x, thresholds, flip, -3)
    for c in range(4):
        reached = x[:, c, None] <= thresholds[c] if flip[c] else x[:, c, None] >= thresholds[c]
        np.testing.assert_array_equal(y[:, c], reached.sum(axis=1) - 3)


@given(st.integers(1, 10), st.integers(-(1 << 20), 1 << 20))
def test_ties_to_even_is_rounding_half_to_even(shift, x):
    y = f.requantize(np.array([[x]]), np.array([1]), np.array([1 << (shift - 1)]), shift, -(1 << 30), 1 << 30, True)
    assert y[0, 0] == round(x / 2**shift)  # Python rounds half to even, and this quotient is exact


def test_requantize_rounds_down_and_saturates():
    x = np.array([[-9], [-8], [-1], [0], [7], [8], [100]])
    y = f.requantize(x, np.array([1]), np.array([0]), 3, -2, 5)
    assert y[:, 0].tolist() == [-2, -1, -1, 0, 0, 1, 5]


@given(SEEDS)
def test_matvec_is_exact_beyond_float64(seed):
    rng = np.random.default_rng(seed)
    small, large = rng.integers(-100, 100, (3, 5)), rng.integers(1 << 50, 1 << 51, (3, 5))
    weights, bias = rng.integers(-8, 8, (4, 5)), rng.integers(-100, 100, 4)
    for x in (small, large):
        exact = [[sum(int(a) * int(w) for a, w in zip(row, weights[n])) + int(bias[n]) for n in range(4)] for row in x]
        assert f.matvec(x, weights, bias).tolist() == exact


@given(SEEDS, st.integers(1, 3))
def test_depthwise_sums_the_taps_of_one_channel(seed, multiplier):
    rng = np.random.default_rng(seed)
    x, weights = rng.integers(-9, 9, (3, 4, 5)), rng.integers(-8, 8, (5 * multiplier, 4))
    bias = rng.integers(-99, 99, 5 * multiplier)
    y = f.depthwise(x.reshape(3, -1), weights, bias, multiplier)
    for n in range(5 * multiplier):
        np.testing.assert_array_equal(y[:, n], x[:, :, n // multiplier] @ weights[n] + bias[n])


def test_pools_take_whole_windows_only():
    x = np.arange(2 * 5 * 4).reshape(2, 5, 4, 1)
    assert f.max_pool(x, (2, 2))[0, :, :, 0].tolist() == [[5, 7], [13, 15]]
    assert f.sum_pool(x, (2, 2))[0, :, :, 0].tolist() == [[10, 18], [42, 50]]


def test_run_is_layers_in_batches():
    graph = residual()
    x = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 3))
    seen = []
    np.testing.assert_array_equal(run(graph, x, seen.append), layers(graph, x)["logits"])
    assert seen == [32, 64, 70]


@pytest.mark.parametrize("bad", [np.zeros((1, 8, 9, 3), int), np.full((1, 8, 8, 3), 256), np.full((1, 8, 8, 3), -1)])
def test_images_that_the_hardware_cannot_take_are_refused(bad):
    with pytest.raises(FlowError, match="golden model"):
        run(residual(), bad)


def test_every_value_fits_its_type():
    graph = residual(bits=(1, 2, 3, 8))
    values = layers(graph, np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)))
    for node in graph.nodes:
        assert node.output.minimum <= values[node.name].min() and values[node.name].max() <= node.output.maximum
