"""A network with run-time widths through hls4ml: trained network, integers, Keras twin and IR agree."""

from __future__ import annotations

from dataclasses import replace

import networks
import numpy as np
import pytest
from mixers import PLAN, WIDTHS, random_network

from flow import golden, hls
from flow.errors import FlowError
from flow.ir import RequantizeTable, RuntimeWidths, SerialMatvec, Window, signed_width
from flow.mixer.deploy import deploy
from flow.mixer.integers import export_integers
from flow.mixer.twin import run_twin
from flow.twin import load, save, twin_outputs
from keras_models import MODELS
from keras_models.runtime import plan_runtime


@pytest.fixture(scope="module")
def converted():
    """The trained network, its integers, twin and IR."""
    model = random_network()
    integers = export_integers(PLAN, model)
    twin = deploy(integers)
    return model, integers, twin, hls.convert(twin, "mixed")


def configurations(count: int, seed: int = 5) -> np.ndarray:
    """Bits of each runtime layer, int64 (count, layers)."""
    return np.random.default_rng(seed).choice(WIDTHS, (count, len(PLAN.layers)))


def test_golden_equals_the_trained_network(converted):
    model, integers, _, graph = converted
    images = networks.random_images(20)
    for bits in configurations(20):
        outputs = golden.run(graph, images, configuration=bits)
        np.testing.assert_array_equal(outputs, run_twin(integers, images, PLAN.indices(list(bits)))[0])
        model.set_bits(list(bits))
        logits = model(images / np.float32(256), training=False).numpy().astype(np.float64)
        np.testing.assert_array_equal(outputs, np.rint(np.ldexp(logits, integers.output_fraction_bits)))


def test_golden_equals_the_keras_twin_with_a_configuration_for_each_image(converted):
    _, _, twin, graph = converted
    images, bits = networks.random_images(150), configurations(150)
    outputs = twin_outputs(twin, images, configuration=bits)
    np.testing.assert_array_equal(golden.run(graph, images, configuration=bits), outputs)
    assert graph.output.output.fraction_bits == twin.output_fraction_bits
    other = golden.run(graph, images, configuration=bits[::-1])
    assert np.mean((other != outputs).any(axis=1)) > 0.9


def test_a_wrong_integer_shows(converted):
    _, _, twin, graph = converted
    images, bits = networks.random_images(30), configurations(30)
    outputs = twin_outputs(twin, images, configuration=bits)
    for name, change in (
        ("s1_conv2", lambda node: {"weights": np.roll(node.weights, 1, axis=1)}),
        ("s1_relu1", lambda node: {"select": node.select[::-1]}),
        ("s1_res", lambda node: {"bias": np.roll(node.bias, 1, axis=0)}),
    ):
        node = graph.by_name[name]
        nodes = tuple(replace(node, **change(node)) if n is node else n for n in graph.nodes)
        assert (golden.run(replace(graph, nodes=nodes), images, configuration=bits) != outputs).any(), name


def test_the_graph(converted):
    _, integers, _, graph = converted
    assert graph.runtime == RuntimeWidths(WIDTHS, PLAN.layers)
    assert [n.name for n in graph.nodes if isinstance(n, SerialMatvec)] == list(PLAN.layers)
    for node in graph.nodes:
        if isinstance(node, SerialMatvec):
            codes = integers.weights[node.name].codes
            np.testing.assert_array_equal(node.weights, codes.reshape(-1, codes.shape[-1]).T)
            assert node.output.width_bits == signed_width(*node.bounds(graph.sources(node)[0]))
        if isinstance(node, RequantizeTable):
            table = integers.tables[node.name]
            assert (node.select, node.shift) == (table.select, table.shift)
            np.testing.assert_array_equal(node.maximum, table.maxima)
    assert graph.by_name["s1_relu1"].output.width_bits == 4 and graph.by_name["s1_res"].output.signed
    windows = {n.name: (n.kernel, n.stride, n.padding) for n in graph.nodes if isinstance(n, Window)}
    assert windows["s1_conv1_window"] == ((3, 3), (2, 2), (0, 0, 1, 1))
    assert windows["s1_skip_window"] == ((1, 1), (2, 2), (0, 0, 0, 0))


def test_a_saved_twin_is_the_same(converted, tmp_path):
    _, _, twin, graph = converted
    save(twin, tmp_path / "twin.npz")
    loaded = load(tmp_path / "twin.npz")
    assert (loaded.runtime, loaded.input, loaded.activations) == (twin.runtime, twin.input, twin.activations)
    images, bits = networks.random_images(10), configurations(10)
    outputs = golden.run(graph, images, configuration=bits)
    np.testing.assert_array_equal(twin_outputs(loaded, images, configuration=bits), outputs)
    np.testing.assert_array_equal(golden.run(hls.convert(loaded), images, configuration=bits), outputs)


@pytest.mark.parametrize(
    ("name", "widths", "nesting"),
    [("jets", (2, 3), "floor"), ("lenet", (2, 3), "floor"), ("tiny", (2, 3, 4), "centre")],
)
def test_other_topologies_and_odd_weights(name: str, widths: tuple[int, ...], nesting: str):
    """Dense layers on vectors, real inputs, maxima, vectors made of images; codes q that mean 2 q + 1."""
    plan = plan_runtime(MODELS[name], widths)
    integers = export_integers(plan, random_network(plan=plan, nesting=nesting))
    twin = deploy(integers)
    graph = hls.convert(twin)
    assert all(graph.by_name[layer].odd == (nesting == "centre") for layer in plan.layers)
    codes = integers.input.random(20, seed=0)
    for positions in np.random.default_rng(1).integers(0, len(widths), (4, len(plan.layers))):
        want = run_twin(integers, codes, positions)[0]
        bits = plan.bits(positions)
        np.testing.assert_array_equal(golden.run(graph, codes, configuration=bits), want)
        np.testing.assert_array_equal(twin_outputs(twin, codes, configuration=bits), want)


def test_what_a_twin_is_not_told(converted):
    _, _, twin, graph = converted
    images = networks.random_images(2)
    with pytest.raises(FlowError, match=r"tiny_runtime_twin has 3 runtime layers, and no configuration came"):
        twin_outputs(twin, images)
    with pytest.raises(FlowError, match=r"layer 's1_conv2': 5 bits, may be 2, 3, 4"):
        twin_outputs(twin, images, configuration=[2, 5, 3])
    with pytest.raises(FlowError, match=r"mixed has 3 runtime layers, and no configuration came"):
        golden.run(graph, images)
