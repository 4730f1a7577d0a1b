"""Graphs of adders: equal to their matrices, equal to golden as RTL, taken only where they are smaller."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from graphs import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import CACHE

from flow import adders, golden
from flow.adders import pipeline
from flow.errors import FlowError
from flow.folding import Amount, Arithmetic, estimate, file, solve
from flow.folding.solve import for_cycles
from flow.ir import Graph, TensorType, WeightCode
from flow.rtl import write
from flow.simulate.fast import Simulator
from flow.synth import network


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_graph_is_the_matrix(outputs, inputs, bits, seed):
    """Zeros, lone inputs and negated outputs among them; types are as narrow as the extremes that vectors reach."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (outputs, inputs)) * rng.integers(0, 2, (outputs, 1))
    graph = adders.solve(weights)
    source = TensorType((inputs,), 3, bool(seed % 2))
    vectors = rng.integers(source.minimum, source.maximum + 1, (50, inputs))
    np.testing.assert_array_equal(graph.apply(vectors), vectors @ weights.T)
    for kind, row in zip(graph.types(source), graph.values(np.eye(inputs, dtype=np.int64))):
        low = int(np.where(row > 0, row * source.minimum, row * source.maximum).sum())
        high = int(np.where(row > 0, row * source.maximum, row * source.minimum).sum())
        assert kind.minimum <= low and high <= kind.maximum
        half = 1 << (kind.width_bits - 1 - kind.signed) if kind.width_bits > kind.signed else 0
        assert low < -half or high >= half or kind.width_bits == 1, "a bit fewer would do"
    assert pipeline.stages(graph) * pipeline.LEVELS >= max(graph.levels)


def chain(odd: bool = False, signed: bool = False) -> Graph:
    """A convolution and two dense layers, with biases, flipped channels and an output of 8-bit weights."""
    b = Builder("unrolled", TensorType((4, 4, 2), 5, signed), 3)
    x = b.threshold("t1", b.conv("conv", "image", 6, 3, 2, 1 if odd else 4), 3, 30)
    x = b.threshold("t2", b.matvec("hidden", x, 12, 1 if odd else 3, bias=True), 2, 20)
    return b.finish(b.matvec("last", x, 5, 8, bias=True))


@pytest.mark.parametrize(("odd", "signed"), [(False, False), (True, True)])
def test_rtl_equals_golden(odd, signed, tmp_path):
    graph = chain(odd, signed)
    assert (graph.by_name["hidden"].weight_code is WeightCode.ODD) == odd
    folding = for_cycles(graph, 33, adders=True)
    unrolled = {name: fold for name, fold in folding.folds.items() if name in ("conv", "hidden", "last")}
    for name in unrolled:
        node = graph.by_name[name]
        folding = folding.with_fold(name, lanes=node.mh, simd=node.mw, arithmetic=Arithmetic.ADDERS)
    folding = folding.with_fold("t1", lanes=6).with_fold("t2", lanes=12)
    kind = graph.input.output
    images = np.random.default_rng(0).integers(kind.minimum, kind.maximum + 1, (200, *kind.shape))
    found = Simulator(graph, folding, write(graph, folding, tmp_path / "rtl"), CACHE).run(images)
    np.testing.assert_array_equal(found.outputs, golden.run(graph, images))
    assert found.interval_cycles <= folding.interval(graph) + 2


def dense() -> Graph:
    """A small tagger of 8-bit features."""
    b = Builder("tagger", TensorType((16,), 8, True), 1)
    x = b.threshold("t1", b.matvec("first", "image", 12, 4), 4, 200)
    return b.finish(b.matvec("second", x, 6, 4))


def test_they_are_taken_where_they_are_smaller(tmp_path):
    """A vector a cycle: three quarters of the LUTs at most, measured; not where layers are folded or nobody asked."""
    graph, lots = dense(), Amount(1e9, 1e9, 1e9, 1e9)
    taken = solve(graph, lots, 1, adders=True)
    assert {fold.arithmetic for name, fold in taken.folds.items() if name != "t1"} == {Arithmetic.ADDERS}
    for other in (solve(graph, lots, 16, adders=True), solve(graph, lots, 1)):
        assert {fold.arithmetic for fold in other.folds.values()} == {Arithmetic.PLANES}
    planes = solve(graph, lots, 1)
    small, large = (
        network.measure(write(graph, folding, tmp_path / name), {}, tmp_path / "cache").layers
        for name, folding in (("adders", taken), ("planes", planes))
    )
    for name in ("first", "second"):
        assert small[name].luts_used < 0.75 * large[name].luts_used
        assert small[name].luts_used == pytest.approx(_estimate(graph, taken, name), rel=0.25)


def _estimate(graph: Graph, folding, name: str) -> float:
    from flow.folding import cost

    return cost.network(graph, folding, {})[name].lut


def test_a_folding_file_says_so(tmp_path):
    graph = dense()
    folding = for_cycles(graph, 1, adders=True)
    file.save(graph, folding, tmp_path / "f.yaml")
    assert "first:           {pe: 12, simd: 16, arithmetic: adders}" in (tmp_path / "f.yaml").read_text()
    assert file.load(graph, tmp_path / "f.yaml") == folding
    assert estimate(graph, folding).lut < estimate(graph, for_cycles(graph, 1)).lut


def test_bad_input(monkeypatch, tmp_path):
    graph = dense()
    folding = for_cycles(graph, 1, adders=True)
    with pytest.raises(FlowError, match="'first': arithmetic adders takes the whole matrix at once: pe 12, simd 16"):
        folding.with_fold("first", lanes=6).check(graph)
    monkeypatch.setattr(sys.modules[adders.available.__module__], "find_spec", lambda name: None)
    with pytest.raises(FlowError, match="layer 'first': arithmetic adders needs the package da4ml: pip install"):
        folding.check(graph)
    with pytest.raises(FlowError, match="needs the package da4ml"):
        adders.solve(np.eye(2, dtype=int))
