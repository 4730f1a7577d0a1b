"""Trained network to deployed twin: steps, rescales, what is refused, files."""

from __future__ import annotations

import re

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.errors import FlowError
from flow.fold import compare_trained_deployed, fold_network
from flow.fold.grids import Grid
from flow.fold.rescale import find_rescale
from flow.fold.steps import Affine, Chain, Clamp, find_steps
from flow.golden import functions as golden
from flow.keras_env import keras, qkeras
from flow.twin import load, save, twin_outputs

UNSIGNED = {bits: Grid(bits, bits - 2, False, 0, (1 << bits) - 1) for bits in range(1, 9)}
SIGNED = {bits: Grid(bits, bits - 2, True, -(1 << (bits - 1)), (1 << (bits - 1)) - 1) for bits in range(2, 9)}


def random_chain(seed: int, channels: int, reach: int, fraction_bits: int = 9) -> tuple[Chain, np.ndarray, np.ndarray]:
    """A batch normalization over random reachable integers; slopes of both signs and one of 0."""
    rng = np.random.default_rng(seed)
    low, high = -rng.integers(1, reach, channels), rng.integers(1, reach, channels)
    spread = reach / 3 * 2.0**-fraction_bits
    scale = rng.normal(0, 1, channels) / spread
    scale[0] = 0
    chain = Chain(fraction_bits).then(Affine(rng.normal(0, spread, channels), scale, rng.normal(0, 1, channels)))
    return chain, low, high


def trained_codes(chain: Chain, grid: Grid, integers: np.ndarray) -> np.ndarray:
    """What the trained function gives, directly: (N,) integers to (N, C) codes."""
    channels = len(chain.operations[0].center)
    return grid.codes(chain(np.repeat(integers[:, None], channels, axis=1)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([*UNSIGNED.values(), *SIGNED.values()]), st.sampled_from([3, 40, 5000]))
def test_thresholds_equal_the_trained_function_on_every_integer(seed: int, grid: Grid, reach: int):
    chain, low, high = random_chain(seed, 5, reach)
    steps = find_steps(chain, grid, low, high)
    integers = np.arange(low.min(), high.max() + 1)
    want = trained_codes(chain, grid, integers)
    have = golden.threshold(np.repeat(integers[:, None], 5, axis=1), steps.thresholds, steps.flip, grid.low)
    inside = (integers[:, None] >= low) & (integers[:, None] <= high)
    np.testing.assert_array_equal(have[inside], want[inside])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([UNSIGNED[6], UNSIGNED[8], SIGNED[7], SIGNED[8]]),
    st.sampled_from([9, 700, 60_000]),
)
def test_rescale_counts_exactly_the_integers_that_differ(seed: int, grid: Grid, reach: int):
    chain, low, high = random_chain(seed, 4, reach)
    rescale = find_rescale(chain, find_steps(chain, grid, low, high))
    integers = np.arange(low.min(), high.max() + 1)
    want = trained_codes(chain, grid, integers)
    have = rescale.codes(np.repeat(integers[:, None], 4, axis=1), grid.low, grid.high)
    inside = (integers[:, None] >= low) & (integers[:, None] <= high)
    assert np.abs(have - want)[inside].sum() == rescale.differing
    assert np.abs(rescale.multiplier).max() < 1 << 24


@pytest.mark.parametrize("grid", [UNSIGNED[8], SIGNED[6], SIGNED[8]])
@pytest.mark.parametrize("fraction_bits", [0, 3, 6, 14])
def test_power_of_two_rescale_rounds_half_to_even(grid: Grid, fraction_bits: int):
    offset = np.array([0.0, 0.125, -3.0, 0.5])
    chain = Chain(fraction_bits).then(Affine(np.zeros(4), np.ones(4), offset)).then(Clamp())
    chain = chain if grid.low == 0 else Chain(fraction_bits, chain.operations[:1])
    low, high = np.full(4, -3000), np.full(4, 3000)
    rescale = find_rescale(chain, find_steps(chain, grid, low, high))
    assert rescale.differing == 0
    assert set(np.abs(rescale.multiplier)) <= {1 << k for k in range(10)}
    integers = np.arange(-3000, 3001)
    have = rescale.codes(np.repeat(integers[:, None], 4, axis=1), grid.low, grid.high)
    np.testing.assert_array_equal(have, trained_codes(chain, grid, integers))


def test_the_first_of_equal_logits_wins():
    source = keras.layers.Input((3,), name="in")
    codes = qkeras.QActivation("quantized_bits(4,3,alpha=1)", name="codes")(source)
    dense = qkeras.QDense(4, kernel_quantizer=networks.weights(4, 0), use_bias=False, name="last")
    model = keras.Model(source, dense(codes))
    dense.set_weights([np.array([[1.0, 2, 2, 0], [0, 1, 1, 1], [-3, 0, 0, 0]])])
    twin = fold_network(model, argmax=True)
    assert twin.gives_labels and twin.output_fraction_bits == 0
    inputs = np.array([[1, 0, 0], [0, 0, 0], [-1, 0, 0], [-1, 3, 1], [0, 0, -2]])
    assert twin_outputs(twin, inputs)[:, 0].tolist() == [1, 0, 3, 3, 0]
    assert compare_trained_deployed(model, twin, inputs).labels == 0


def test_a_label_needs_a_vector_of_logits():
    with pytest.raises(FlowError, match=r"--output argmax: last gives logits of shape \(1,\)"):
        fold_network(keras.Sequential([
            keras.layers.Input((3,)), qkeras.QActivation("quantized_bits(4,3,alpha=1)", name="codes"),
            qkeras.QDense(1, kernel_quantizer=networks.weights(4), use_bias=False, name="last"),
        ]), argmax=True)  # fmt: skip


def test_concatenation_along_another_axis_and_of_what_is_not_quantized_is_refused():
    source = keras.layers.Input((4, 4, 2), name="in")
    a, b = (qkeras.QActivation("quantized_bits(4,1,alpha=1)", name=f"{name}_codes")(source) for name in "ab")
    rows = keras.layers.Concatenate(axis=1, name="rows")([a, b])
    with pytest.raises(FlowError, match="rows: concatenates axis 1"):
        fold_network(keras.Model(source, networks.conv(2, name="c")(rows)))
    scaled = keras.layers.BatchNormalization(name="bn")(networks.conv(2, name="c2")(a))
    with pytest.raises(FlowError, match="raw reads bn, which no quantizer follows"):
        fold_network(keras.Model(source, keras.layers.Concatenate(name="raw")([scaled, b])))


def test_ties_take_the_even_code():
    # a / 2 for a = 1, 3, 5, 7 is halfway between two codes
    steps = find_steps(Chain(1), Grid(3, 0, False, 0, 7), np.zeros(1, int), np.full(1, 15))
    codes = golden.threshold(np.arange(16)[:, None], steps.thresholds, steps.flip, 0)[:, 0]
    np.testing.assert_array_equal(codes, [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, 7, 7])


@pytest.mark.parametrize("bits", [1, 4, 8, networks.mixed_bits()], ids=["1", "4", "8", "mixed"])
def test_twin_does_what_was_trained(bits):
    trained = networks.tiny(bits)
    twin = fold_network(trained)
    images = networks.random_images(100)
    difference = compare_trained_deployed(trained, twin, images)
    # TensorFlow's float32 batch normalization may round a value onto a tie; one such code changes those behind it
    assert difference.activations <= 1e-3 * difference.total
    assert difference.labels <= 1
    assert difference.total == 100 * (2 * 8 * 8 * 4 + 4 * 4 * 4 * 8)
    assert len(np.unique(twin_outputs(twin, images).argmax(axis=1))) > 2


def test_kinds_of_activation_follow_their_width():
    twin = fold_network(networks.tiny(networks.mixed_bits()))
    kinds = {a.name: (a.kind, a.bits) for a in twin.activations}
    assert kinds == {
        "conv1_relu": ("requantize", 7), "s1_in": ("threshold", 5), "s1_relu1": ("threshold", 1),
        "s1_res": ("requantize", 6), "s1_skip_res": ("requantize", 8), "s1_out": ("threshold", 3),
    }  # fmt: skip
    assert all(a.differing == 0 for a in twin.activations)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in twin.model.layers)


def test_every_kind_of_layer_is_folded():
    trained = networks.every_layer()
    twin = fold_network(trained)
    images = networks.random_images(60, (12, 12, 2))
    difference = compare_trained_deployed(trained, twin, images)
    assert difference.activations <= 1e-3 * difference.total and difference.labels <= 1
    assert [layer.name for layer in twin.model.layers] == [
        "image", "pad", "first", "first_act", "pool_max", "point", "point_out", "binary", "binary_out", "third",
        "third_out", "flat", "hidden", "hidden_out", "last",
    ]  # fmt: skip


def test_a_clip_inside_the_range_of_the_codes_takes_thresholds():
    twin = fold_network(networks.every_layer())
    (found,) = [a for a in twin.activations if a.name == "point_out"]
    assert (found.kind, found.bits, found.differing) == ("threshold", 6, 0)


def test_sums_beyond_24_bits_are_float64_and_exact():
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((600,), name="pixels"),
            qkeras.QDense(4, kernel_quantizer=networks.weights(8), use_bias=False, name="wide"),
            layers.BatchNormalization(name="wide_bn"),
            networks.relu(8, 1, name="wide_out"),
            qkeras.QDense(2, kernel_quantizer=networks.weights(2), use_bias=False, name="last"),
        ]
    )
    networks.randomize(model)
    model.get_layer("wide").kernel.assign(np.abs(model.get_layer("wide").kernel.numpy()) + 1)
    twin = fold_network(model)
    assert twin.model.get_layer("wide").dtype == "float64" and twin.model.get_layer("last").dtype == "float32"
    kernel = twin.model.get_layer("wide").get_weights()[0]
    assert np.abs(kernel * 128).sum(axis=0).max() * 255 > 1 << 24
    images = networks.random_images(50, (600,))
    sums = images.astype(np.int64) @ (kernel * 128).astype(np.int64)
    wide = keras.Model(twin.model.input, twin.model.get_layer("wide").output)
    np.testing.assert_array_equal(wide(images / np.float32(256)).numpy() * 2.0**15, sums)


# -- refusals ----------------------------------------------------------------------------------------------------------


def chain_of(*layers) -> keras.Model:
    return keras.Sequential([keras.layers.Input((8, 8, 4), name="pixels"), *layers])


def test_all_unsupported_layers_are_named_at_once():
    model = chain_of(
        keras.layers.UpSampling2D(name="up"),
        networks.conv(2, name="conv"),
        keras.layers.LayerNormalization(name="norm"),
    )
    with pytest.raises(FlowError, match=re.escape("up (UpSampling2D), norm (LayerNormalization)")):
        fold_network(model)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [networks.conv(2, name="a"), networks.conv(2, name="b")], None),
        (lambda: [networks.conv(2, name="a"), keras.layers.BatchNormalization(name="bn")], "bn, which no quantizer"),
        (lambda: [qkeras.QConv2D(2, 3, name="a", use_bias=False)], "a (QConv2D): has no kernel quantizer"),
        (lambda: [qkeras.QConv2D(2, 3, kernel_quantizer=qkeras.quantized_bits(4, 0, alpha="auto"), name="a")],
         "a: its weights have a scale for each channel (alpha), and nothing behind it"),
        (lambda: [qkeras.QConv2D(2, 3, kernel_quantizer=qkeras.quantized_po2(6, 1), name="a",
                                kernel_initializer=keras.initializers.Constant(2.0 ** -np.arange(72) / 2))],
         "a: its weights are powers of two from 2^-32 to 2^-1, which are integers of 33 bits"),
        (lambda: [networks.conv(2, name="a"), qkeras.QActivation(qkeras.quantized_po2(4), name="b")],
         "b: quantizer quantized_po2 is not supported"),
        (lambda: [qkeras.QActivation(qkeras.bernoulli(), name="a")], "a: bernoulli draws at random"),
        (lambda: [networks.conv(2, name="a", dilation_rate=2)], "a: only convolutions without dilation"),
        (lambda: [networks.conv(2, name="c"), networks.relu(9, name="a")], "a: activations have 1 to 8 bits"),
        (lambda: [keras.layers.AveragePooling2D((8, 4), (4, 4), name="a")], "a: pooling needs"),
        (lambda: [keras.layers.MaxPooling2D(3, padding="same", name="a")], "a: pool_size"),
        (lambda: [keras.layers.Dense(3, name="a"), keras.layers.Lambda(lambda x: x, name="b")],
         "a (Dense): has no kernel quantizer; use QDense(..., kernel_quantizer=quantized_bits(bits, 0, alpha=1)); "
         "b (Lambda) is code"),
        (lambda: [keras.layers.Activation("tanh", name="a")], "a: activation tanh"),
        (lambda: [networks.conv(2, name="a", use_bias=True, bias_initializer=keras.initializers.Constant(0.1))],
         "a: its bias is finer"),
        (lambda: [keras.layers.Flatten(name="f"), qkeras.QDense(3, kernel_quantizer=networks.weights(4), name="a",
                                                                 bias_initializer=keras.initializers.Constant(0.1))],
         "a: its bias is finer"),
    ],
)  # fmt: skip
def test_what_has_no_exact_form_is_refused(layers, message):
    if message is None:
        fold_network(chain_of(*layers()))
        return
    with pytest.raises(FlowError, match=re.escape(message)):
        fold_network(chain_of(*layers()))


def test_operands_of_an_add_are_brought_to_one_grid():
    source = keras.layers.Input((4, 4, 2), name="pixels")
    first = networks.conv(3, name="first")(source)
    a, b = networks.relu(4, 1, name="coarse")(first), networks.relu(4, 0, name="fine")(first)
    last = networks.relu(6, 2, name="last")(keras.layers.Add(name="sum")([a, b, a]))
    trained = networks.randomize(keras.Model(source, last))
    twin = fold_network(trained)
    assert {layer.name for layer in twin.model.layers if "sum" in layer.name} == {
        "sum_in0",
        "sum_in2",
        "sum_part1",
        "sum",
    }
    difference = compare_trained_deployed(trained, twin, networks.random_images(50, (4, 4, 2)))
    assert difference.activations == 0


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_twin_survives_its_file(tmp_path):
    twin = fold_network(networks.tiny(networks.mixed_bits()))
    save(twin, tmp_path / "twin.npz")
    again = load(tmp_path / "twin.npz")
    images = networks.random_images(20)
    np.testing.assert_array_equal(twin_outputs(again, images), twin_outputs(twin, images))
    assert again.activations == twin.activations


@pytest.mark.parametrize("how", ["missing", "cut", "changed"])
def test_a_broken_file_is_refused(tmp_path, how):
    path = tmp_path / "twin.npz"
    if how != "missing":
        save(fold_network(networks.tiny()), path)
        content = path.read_bytes()
        if how == "cut":
            path.write_bytes(content[: len(content) // 2])
        else:
            with np.load(path) as archive:
                arrays = dict(archive)
            arrays["s1_relu1.0"] = arrays["s1_relu1.0"] + 1
            np.savez(path, **arrays)
    with pytest.raises(FlowError, match="not a twin"):
        load(path)
