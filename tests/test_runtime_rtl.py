"""Networks with runtime layers in hardware: every frame its own widths, fewer cycles for fewer bits, no gap between."""

from __future__ import annotations

import numpy as np
import pytest
import rtl
from runtime_graphs import RuntimeBuilder, configurations, mixer

from flow import golden, ir, paths
from flow.folding import Amount, estimate, file, solve
from flow.folding.schedule import latency_cycles
from flow.folding.solve import for_cycles
from flow.rtl import runtime, write
from flow.rtl.ip import ip_block, ports
from flow.simulate.bench import run_tests, simulator
from flow.simulate.fast import Simulator

GRAPH = mixer()
FOLDING = for_cycles(GRAPH, 600)


def images(count: int, seed: int = 0, graph: ir.Graph = GRAPH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *graph.input.output.shape))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixer")
    return Simulator(GRAPH, FOLDING, write(GRAPH, FOLDING, folder), rtl.CACHE, workers=1)


def test_a_thousand_frames_each_with_widths_of_its_own(built):
    x, chosen = images(1000), configurations(GRAPH, 1000, 1)
    found = built.run(x, configuration=chosen)
    np.testing.assert_array_equal(found.outputs, golden.run(GRAPH, x, configuration=chosen))


def test_two_thousand_frames_under_random_stalls(built):
    x, chosen = images(2000), configurations(GRAPH, 2000, 2)
    found = built.run(x, configuration=chosen, stalls=5)
    np.testing.assert_array_equal(found.outputs, golden.run(GRAPH, x, configuration=chosen))
    freely = built.run(x[:50], configuration=chosen[:50])
    stalled = built.run(x[:50], configuration=chosen[:50], stalls=5)
    assert stalled.cycles > 1.03 * freely.cycles, "they do stall"


def test_fewer_bits_take_fewer_cycles(built):
    measured = {}
    for width, folding in zip(GRAPH.runtime.widths, FOLDING.uniform(GRAPH), strict=True):
        found = built.run(images(12), configuration=dict.fromkeys(GRAPH.runtime.layers, width))
        measured[width] = found.interval_cycles
        assert folding.interval(GRAPH) <= measured[width] <= 1.05 * folding.interval(GRAPH)
    assert measured[2] < measured[3] < measured[4] and measured[2] <= 0.6 * measured[4]


def test_a_mixed_configuration_takes_the_cycles_of_its_slowest_layer(built):
    for seed in range(4):
        chosen = configurations(GRAPH, 1, seed)[0]
        expected = FOLDING.at(dict(zip(GRAPH.runtime.layers, chosen.tolist()))).interval(GRAPH)
        found = built.run(images(12), configuration=chosen)
        assert expected <= found.interval_cycles <= 1.1 * expected


def test_frames_of_other_widths_follow_without_a_gap(built):
    """Half of the frames at the narrowest, half at the widest, in turn: as long as one of each, within a tenth."""
    layers, widths = len(GRAPH.runtime.layers), GRAPH.runtime.widths
    chosen = np.array([[widths[-1 if i % 2 else 0]] * layers for i in range(60)])
    x = images(60)
    found = built.run(x, configuration=chosen)
    np.testing.assert_array_equal(found.outputs, golden.run(GRAPH, x, configuration=chosen))
    narrow, _, wide = (folding.interval(GRAPH) for folding in FOLDING.uniform(GRAPH))
    assert found.cycles - found.first_frame_cycles <= 1.1 * 59 / 2 * (narrow + wide)


def test_the_solver_keeps_pace_at_every_width():
    for cycles in (300, 1000, 5000):
        folding = for_cycles(GRAPH, cycles)
        folding.check(GRAPH)
        narrow, _, wide = (one.interval(GRAPH) for one in folding.uniform(GRAPH))
        assert wide <= cycles and narrow <= cycles / 2
    assert solve(GRAPH, Amount(1e9, 1e9, 1e9, 1e9)).interval(GRAPH) < 300
    luts = [estimate(GRAPH, for_cycles(GRAPH, cycles)).lut for cycles in (300, 1000, 5000)]
    assert luts == sorted(luts, reverse=True)


def test_the_folding_file_comes_back(tmp_path):
    file.save(GRAPH, FOLDING, tmp_path / "f.yaml")
    assert file.load(GRAPH, tmp_path / "f.yaml") == FOLDING


def ip_bench(graph: ir.Graph, tmp_path) -> int:
    """The IP block of a hand-off under cocotb; returns how many tests have passed."""
    folding = for_cycles(graph, 260)
    design = write(graph, folding, tmp_path)
    name = f"{graph.name}_ip"
    (tmp_path / f"{name}.v").write_text(ip_block(graph, folding, 77))
    ir.save(graph, tmp_path / "graph.npz")
    library = [paths.verilog() / "axi_lite_registers.sv"]
    program = simulator([*design.sources, *library, tmp_path / f"{name}.v"], name, tmp_path, rtl.CACHE)
    x, (source, _) = images(8, 5, graph), ports(graph, folding)
    frames = source.words(x).reshape(len(x), -1)
    patience = 20 * (folding.interval(graph) + sum(latency_cycles(n, folding) for n in graph.nodes)) + 5_000
    np.save(tmp_path / "images.npy", x)
    variables = {
        "PATIENCE": str(patience), "GRAPH": str(tmp_path / "graph.npz"), "IMAGES": str(tmp_path / "images.npy")
    }  # fmt: skip
    return run_tests(program, name, "test_runtime", frames, frames[:0], tmp_path, tmp_path, 1, variables)


def test_a_host_changes_widths_while_frames_pass(tmp_path):
    assert ip_bench(mixer("small", size=4, filters=(2, 4), seed=2), tmp_path) == 2


def chain() -> ir.Graph:
    """Vectors only: a frame is a beat, and every layer holds a frame of its own."""
    b = RuntimeBuilder("chain", ir.TensorType((8,), 6, False), 3, (2, 3, 5, 8))
    last = b.table("in", "image", ("first",), 20, "first")
    last = b.table("mid", b.serial("first", last, 12), ("first", "second"), 3000, "second")
    last = b.table("after", b.serial("second", last, 6), ("first", "second"), 6000)
    return b.finish(b.matvec("last", last, 4, 4))


@pytest.mark.parametrize("graph", [mixer("two", 4, (2, 4), 4, (2, 4), odd=True), chain()], ids=["two", "chain"])
def test_full_queues_stop_nothing_but_the_next_frame(graph, tmp_path, monkeypatch):
    """The least queues there can be: slower, perhaps, but every frame comes out, with the widths it came in with."""
    monkeypatch.setattr(runtime, "QUEUE_DEPTH", 2)
    folding = for_cycles(graph, 200)
    simulator = Simulator(graph, folding, write(graph, folding, tmp_path), rtl.CACHE, workers=1)
    limit = graph.input.output.maximum
    x = np.random.default_rng(6).integers(0, limit, (300, *graph.input.output.shape), endpoint=True)
    chosen = configurations(graph, 300, 7)
    expected = golden.run(graph, x, configuration=chosen)
    assert len(np.unique(expected, axis=0)) > 60
    np.testing.assert_array_equal(simulator.run(x, configuration=chosen).outputs, expected)
