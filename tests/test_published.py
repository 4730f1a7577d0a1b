"""Networks as others publish them, through every engine: trained, twin, golden, C simulation, RTL."""

from __future__ import annotations

from functools import cache

import networks
import numpy as np
import published
import pytest

from flow import golden, hls
from flow.boards import find_board
from flow.fold import compare_trained_deployed, fold_network
from flow.fold.network import input_shape
from flow.folding import Amount, solve
from flow.ir import Graph
from flow.network.samples import real_grid
from flow.rtl import write
from flow.simulate.compare import compare
from flow.simulate.fast import Simulator
from flow.twin import Twin, load, save, twin_outputs

BOARD = find_board("pynq-z2")
SAMPLES = 60


@cache
def converted(name: str) -> tuple[Twin, Graph, np.ndarray]:
    """A twin, its graph and random input codes."""
    trained = published.NETWORKS[name]()
    shape = input_shape(trained)
    twin = fold_network(trained, real_grid(shape) if name == "jets" else None)
    return twin, hls.convert(twin, name), twin.input.random(SAMPLES, seed=4)


@pytest.mark.parametrize("name", published.NETWORKS)
def test_twin_does_what_was_trained(name):
    twin, _, codes = converted(name)
    difference = compare_trained_deployed(published.NETWORKS[name](), twin, codes)
    # float32 rounds sums of TensorFlow's that lie on a step; one such code changes those behind it
    assert difference.activations <= 2e-3 * difference.total
    assert difference.labels <= 2


@pytest.mark.parametrize("name", published.NETWORKS)
def test_golden_equals_twin(name, tmp_path):
    twin, graph, codes = converted(name)
    outputs = golden.run(graph, codes)
    np.testing.assert_array_equal(outputs, twin_outputs(twin, codes))
    assert len(np.unique(outputs)) > (20 if outputs.size > 200 else 5)
    save(twin, tmp_path / "twin.npz")
    np.testing.assert_array_equal(twin_outputs(load(tmp_path / "twin.npz"), codes), outputs)


@pytest.mark.parametrize("name", published.NETWORKS)
def test_c_simulation_equals_golden(name, tmp_path):
    twin, graph, codes = converted(name)
    expected = golden.run(graph, codes)
    project = hls.vitis_project(twin, tmp_path / "vitis", BOARD, codes[:2], expected[:2])
    np.testing.assert_array_equal(hls.csim(project, codes), expected)


@pytest.mark.parametrize("name", published.NETWORKS)
def test_rtl_equals_golden(name, tmp_path):
    _, graph, codes = converted(name)
    folding = solve(graph, Amount(BOARD.lut, BOARD.ff, BOARD.dsp, BOARD.bram36), 5000)
    design = write(graph, folding, tmp_path / "verilog")
    simulator = Simulator(graph, folding, design, networks.CACHE)
    difference = compare("output", golden.run(graph, codes), simulator.run(codes).outputs)
    assert not difference.count, f"{difference}; {simulator.explain(codes[:2])}"
