"""N2UQ in a network: its file, its twin, every engine, the price of its weights, bad input."""

from __future__ import annotations

import re
from dataclasses import replace

import networks
import numpy as np
import pytest

from flow import golden, hls
from flow.bits import BitsSpec
from flow.boards import find_board
from flow.errors import FlowError
from flow.fold import compare_trained_deployed, fold_network, pending
from flow.fold.grids import ThresholdGrid
from flow.fold.steps import Affine, Chain, Leak, turning_channels
from flow.folding import Amount, solve
from flow.ir import Threshold, WeightCode, Weighted
from flow.keras_env import keras, qkeras
from flow.network import load_model_file
from flow.quantizers import FLOOR, SYSTEMS
from flow.quantizers.n2uq import CUSTOM_OBJECTS, N2UQActivation, N2UQWeights
from flow.rtl import write
from flow.simulate.compare import compare
from flow.simulate.fast import Simulator
from flow.synth import network as network_synthesis
from flow.synth import price
from flow.training.fast import build_trainable
from flow.twin import load, save, twin_outputs
from keras_models.ranges import Ranges

TINY = networks.TINY
BOARD = find_board("pynq-z2")


def test_a_network_reloads_from_its_file(tmp_path):
    trained = networks.n2uq()
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
    slow = networks.n2uq(quantizer, 3)
    fast = build_trainable(TINY, widths, Ranges.default(TINY, widths), quantizer)
    for layer in slow.layers:
        if layer.weights:
            fast.get_layer(layer.name).set_weights(layer.get_weights())
    images = networks.random_images(32).astype(np.float32) / 256
    assert np.mean(np.abs(fast(images) - slow(images)) > 1e-4) < 0.02


@pytest.mark.parametrize("quantizer", [name for name in SYSTEMS if name != "uniform"])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_twin_does_what_was_trained(quantizer: str, bits: int, tmp_path):
    trained = networks.n2uq(quantizer, bits)
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
    twin = fold_network(networks.n2uq(bits=bits))
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
    graph = hls.convert(fold_network(networks.n2uq(bits=2)))
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
    trained = networks.n2uq()
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
