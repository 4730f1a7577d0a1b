"""Runtime layers in the IR and in the golden model: what is refused, what comes back from disk, what a width means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import residual
from hypothesis import given
from hypothesis import strategies as st
from runtime_graphs import configurations, mixer

from flow import golden
from flow.errors import FlowError
from flow.golden import functions as f
from flow.ir import Graph, RuntimeWidths, SerialMatvec, TensorType, load, save

WIDTHS = RuntimeWidths((2, 3, 4), ("a", "b"))
SEEDS = st.integers(0, 10_000)


def _changed(name: str, **changes) -> Graph:
    graph = mixer()
    return Graph("g", tuple(replace(n, **changes) if n.name == name else n for n in graph.nodes), graph.runtime)


def test_a_configuration_is_given_by_name_for_all_frames_or_for_each():
    expected = [[0, 2], [0, 2], [0, 2]]
    for given_so in ({"b": 4, "a": 2}, [2, 4], [[2, 4]] * 3):
        assert WIDTHS.fields(given_so, 3).tolist() == expected
    assert WIDTHS.words(np.array([[0, 2], [1, 0]])) == [8, 1]
    assert WIDTHS.tables(("b", "a"), np.array([[0, 2], [1, 0]])).tolist() == [6, 1]
    assert (WIDTHS.field_bits, WIDTHS.word_bits) == (2, 4)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"a": 2}, "runtime layer 'b' is missing"),
        ({"a": 2, "b": 2, "bb": 3}, "unknown runtime layer 'bb': did you mean 'b'"),
        ([2, 5], "layer 'b': 5 bits, may be 2, 3, 4"),
        ([1, 4], "layer 'a': 1 bits"),
        ([2, 3, 4], "3 widths for the 2 layers a, b"),
        ([[2, 3]] * 3, "widths of 3 frames are given, expected 2"),
    ],
)
def test_a_wrong_configuration_is_explained(configuration, message):
    with pytest.raises(FlowError, match=message):
        WIDTHS.fields(configuration, 2)


def test_a_configuration_is_for_graphs_that_have_something_to_choose():
    images = np.zeros((1, 8, 8, 3), int)
    with pytest.raises(FlowError, match="mixer has 5 runtime layers, and no configuration came"):
        golden.run(mixer(), images)
    with pytest.raises(FlowError, match="tiny has no runtime layers, and a configuration came"):
        golden.run(residual(), images, configuration=[2])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("s1_conv1", {"widths": (2, 3)}, r"weight_bits is 4, widths \(2, 3\)"),
        ("s1_conv1", {"widths": (4, 2)}, "ascending"),
        ("s1_conv1", {"widths": (1, 4)}, "widths are 2 to 8 bits"),
        ("s1_conv1", {"widths": (2, 4)}, r"widths \(2, 4\), the graph has \(2, 3, 4\)"),
        ("s1_conv1", {"bias": np.ones(4, int)}, "a bias has another grid"),
        ("s1_conv1", {"select": "conv"}, "the SerialMatvecs are of"),
        ("s1_relu1", {"select": ("s1_conv1", "conv")}, "selects conv, which is no runtime layer"),
        ("s1_relu1", {"select": ("s1_conv1", "s1_conv1")}, "different layers"),
        ("s1_relu1", {"maximum": np.full(9, 6)}, "power of two less one"),
        ("s1_relu1", {"maximum": np.full(9, 31)}, "does not fit"),
        ("s1_relu1", {"shift": 63}, "expected 0..62"),
        ("s1_relu1", {"multiplier": np.ones((3, 4), int)}, r"multiplier has shape \(3, 4\), expected \(9, 4\)"),
    ],
)
def test_what_has_no_meaning_is_refused(name, changes, message):
    with pytest.raises(ValueError, match=message):
        _changed(name, **changes)


def test_runtime_nodes_need_a_graph_that_knows():
    with pytest.raises(ValueError, match="s1_conv1: the graph has no runtime widths"):
        Graph("g", mixer().nodes)
    with pytest.raises(ValueError, match="runtime layers are"):
        Graph("g", residual().nodes, WIDTHS)


def test_a_graph_comes_back_from_disk(tmp_path):
    graph = mixer()
    save(graph, tmp_path / "g.npz")
    back = load(tmp_path / "g.npz")
    assert back.runtime == graph.runtime
    x, chosen = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)), configurations(graph, 6, 0)
    for name, values in golden.layers(graph, x, chosen).items():
        np.testing.assert_array_equal(golden.layers(back, x, chosen)[name], values)


@given(SEEDS)
def test_a_width_takes_the_top_bits_of_the_weights(seed):
    rng = np.random.default_rng(seed)
    weights, x, bits = rng.integers(-8, 8, (3, 5)), rng.integers(0, 16, (4, 2, 5)), rng.choice([2, 3, 4], 4)
    y = f.serial_matvec(x, weights, 4, bits)
    for frame, width in enumerate(bits):
        top = [[int(f"{w & 15:04b}"[:width], 2) - (w < 0) * 2**width for w in row] for row in weights.tolist()]
        np.testing.assert_array_equal(y[frame], x[frame] @ np.array(top).T)


@given(SEEDS)
def test_odd_codes_are_the_same_top_bits_and_mean_odd_numbers(seed):
    """At each width the sums are 2 * (those of the codes) + the sum of the inputs, whatever the codes."""
    rng = np.random.default_rng(seed)
    weights, x, bits = rng.integers(-8, 8, (3, 5)), rng.integers(0, 16, (4, 2, 5)), rng.choice([2, 3, 4], 4)
    codes = f.serial_matvec(x, weights, 4, bits)
    np.testing.assert_array_equal(
        f.serial_matvec(x, weights, 4, bits, odd=True), 2 * codes + x.sum(axis=-1, keepdims=True)
    )


def test_accumulators_of_odd_codes_hold_every_sum_and_no_bit_more():
    """The codes 3 and -4 of 3 bits are the weights 7 and -7."""
    source = TensorType((2,), 3, False)
    node = SerialMatvec(
        "m", ("x",), TensorType((2,), 8, True), [[3, 3], [-4, 0]], [0, 0], 3, widths=(2, 3), select="m", odd=True
    )
    assert node.bounds(source) == (-49, 98)
    assert [node.at(width).tolist() for width in (2, 3)] == [[[3, 3], [-3, 1]], [[7, 7], [-7, 1]]]
    with pytest.raises(ValueError, match="accumulator needs 8 bits, has 7"):
        replace(node, output=TensorType((2,), 7, True)).check(source)


def test_a_graph_of_odd_codes_comes_back_from_disk(tmp_path):
    save(mixer(odd=True), tmp_path / "g.npz")
    assert all(node.odd for node in load(tmp_path / "g.npz").nodes if isinstance(node, SerialMatvec))


@given(SEEDS)
def test_each_frame_takes_the_constants_of_its_table(seed):
    rng = np.random.default_rng(seed)
    multiplier, bias = rng.integers(-9, 9, (6, 3)), rng.integers(-50, 50, (6, 3))
    high, table = np.array([3, 7, 15, 3, 7, 15]), rng.integers(0, 6, 5)
    x = rng.integers(-99, 99, (5, 2, 2, 3))
    y = f.requantize_table(x, multiplier, bias, 4, np.zeros(6, int), high, table)
    for frame, t in enumerate(table):
        np.testing.assert_array_equal(y[frame], f.requantize(x[frame], multiplier[t], bias[t], 4, 0, high[t]))


def test_frames_of_a_batch_do_not_depend_on_each_other():
    graph = mixer()
    x, chosen = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3)), configurations(graph, 40, 1)
    together = golden.run(graph, x, configuration=chosen)
    for i in range(0, 40, 7):
        alone = golden.run(graph, x[i : i + 1], configuration=dict(zip(graph.runtime.layers, chosen[i].tolist())))
        np.testing.assert_array_equal(alone, together[i : i + 1])
    assert len(np.unique(golden.run(graph, x[[0] * 40], configuration=chosen), axis=0)) > 35


def test_every_value_fits_its_type():
    graph = mixer()
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3))
    values = golden.layers(graph, x, configurations(graph, 20, 2))
    for node in graph.nodes:
        assert node.output.minimum <= values[node.name].min() and values[node.name].max() <= node.output.maximum
