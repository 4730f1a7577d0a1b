"""The graph refuses what has no meaning, and comes back from disk as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import mobile, residual

from flow.errors import FlowError
from flow.ir import (
    Add,
    Depthwise,
    Graph,
    Input,
    Matvec,
    Output,
    Requantize,
    TensorType,
    Threshold,
    WeightCode,
    Window,
    load,
    save,
    signed_width,
)

VECTOR = TensorType((4,), 4, False)
WIDE = TensorType((2,), 12, True)


def _graph(*nodes):
    return Graph("g", (Input("x", (), VECTOR), *nodes))


def _matvec(weights, bits=4, code=WeightCode.TWOS, output=WIDE):
    return Matvec("m", ("x",), output, np.array(weights), np.zeros(len(weights), int), bits, code)


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 0, 1), (-1, 0, 1), (-1, 1, 2), (-8, 7, 4), (-9, 0, 5), (0, 8, 5), (0, 7, 4)]
)
def test_signed_width(low, high, bits):
    assert signed_width(low, high) == bits


@pytest.mark.parametrize(
    ("weights", "bits", "code", "message"),
    [
        ([[8, 0, 0, 0]], 4, WeightCode.TWOS, "outside -8..7"),
        ([[1, 0, 0, 0]], 1, WeightCode.ODD, "even weight"),
        ([[3, 1, 1, 1]], 1, WeightCode.ODD, "outside -1..1"),
        ([[0.5, 0, 0, 0]], 4, WeightCode.TWOS, "not integers"),
        ([[0, 0, 0, 0]], 17, WeightCode.TWOS, "expected 1..16"),
    ],
)
def test_weights_off_their_code_are_refused(weights, bits, code, message):
    with pytest.raises(ValueError, match=message):
        _matvec(weights, bits, code, TensorType((1,), 12, True))


def test_an_accumulator_that_can_overflow_is_refused():
    node = _matvec([[7, 7, 7, 7], [-8, 7, 7, 7]], output=TensorType((2,), 9, True))
    with pytest.raises(ValueError, match="accumulator needs 10 bits"):
        _graph(node, Output("y", ("m",), node.output))


def test_partial_sums_count_for_the_accumulator():
    # the total of +7 and -8 never reaches what +7 alone does on the way
    node = _matvec([[7, -8, 0, 0], [0, 0, 0, 0]])
    assert node.bounds(VECTOR) == (-120, 105)


def test_a_depthwise_and_its_window_belong_together():
    with pytest.raises(ValueError, match="d: a Depthwise reads a Window"):
        node = Depthwise("d", ("x",), WIDE, np.ones((2, 2), int), np.zeros(2, int), 4)
        _graph(node, Output("y", ("d",), node.output))
    graph = mobile(multiplier=2)
    with pytest.raises(ValueError, match="d1: multiplier 5 does not divide MH 24"):
        Graph("g", tuple(replace(n, multiplier=5) if n.name == "d1" else n for n in graph.nodes))
    with pytest.raises(ValueError, match="d1: input has 108 elements, MW 9 taps of 24 channels are 216"):
        Graph("g", tuple(replace(n, multiplier=1) if n.name == "d1" else n for n in graph.nodes))
    image = Input("x", (), TensorType((2, 2, 1), 4, False))
    window = Window("w", ("x",), TensorType((2, 2, 1), 4, False), (1, 1))
    with pytest.raises(ValueError, match="w: a Window is read by a Matvec or a Depthwise"):
        Graph("g", (image, window, Output("y", ("w",), window.output)))


def test_only_a_fork_is_read_twice():
    add = Add("a", ("x", "x"), TensorType((4,), 6, True))
    with pytest.raises(ValueError, match="x: read 2 times"):
        _graph(add, Output("y", ("a",), add.output))


def test_operands_of_an_add_share_a_grid():
    graph = residual()
    nodes = []
    for node in graph.nodes:
        if node.name == "s1_res":
            node = replace(node, output=replace(node.output, fraction_bits=3))
        nodes.append(node)
    with pytest.raises(ValueError, match="different grids"):
        Graph("g", tuple(nodes))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Threshold("t", ("x",), VECTOR, np.zeros((4, 16), int), np.zeros(4, bool)), "do not fit 4 bits"),
        (Requantize("t", ("x",), VECTOR, np.full(4, 1 << 60), np.zeros(4, int), 2), "exceeds 63 bits"),
        (Window("t", ("x",), VECTOR, (1, 1)), None),
    ],
)
def test_types_follow_from_their_inputs(node, message):
    with pytest.raises(ValueError, match=message):
        _graph(node, Output("y", ("t",), node.output))


@pytest.mark.parametrize("name", ["residual", "mobile"])
def test_a_graph_comes_back_from_disk(tmp_path, name):
    graph = {"residual": residual(bits=(1, 2, 3, 8)), "mobile": mobile(multiplier=2)}[name]
    save(graph, tmp_path / "g.npz")
    back = load(tmp_path / "g.npz")
    assert [(n.kind, n.name, n.inputs, n.output) for n in back.nodes] == [
        (n.kind, n.name, n.inputs, n.output) for n in graph.nodes
    ]
    for ours, theirs in zip(graph.nodes, back.nodes):
        for name, array in ours.arrays().items():
            np.testing.assert_array_equal(theirs.arrays()[name], array)


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b"", lambda b: b"hello", lambda b: b[:500]])
def test_a_broken_file_is_named(tmp_path, damage):
    path = tmp_path / "g.npz"
    save(residual(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FlowError, match=r"g\.npz is not a graph"):
        load(path)
