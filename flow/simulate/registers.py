"""The IP block of a network with runtime layers under cocotb, with a host that writes widths while frames pass."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from flow import ir, paths
from flow.folding import Folding
from flow.folding.schedule import latency_cycles
from flow.rtl import Design
from flow.rtl.ip import REGISTERS, ip_block, name_of, ports
from flow.simulate.bench import Bench, run_tests, simulator

MODULE = "test_runtime"
#: frames under stalls, with widths of their own, take so many times as long as without
STALL_FACTOR = 20
#: of the BUILD register, which a hand-off fills in
NO_BUILD = 0


def run_registers_bench(
    graph: ir.Graph, folding: Folding, design: Design, images: np.ndarray, frames: int, cache: Path, folder: Path,
    seed: int = 0,
) -> Bench:  # fmt: skip
    """Runs testbench/test_runtime.py on the network with its AXI4-Lite registers, as a hand-off has them.

    Args:
        images: integers (B, *input shape), which are sent in turn; golden is asked for what each must give.
        frames: that each part of the bench sends.
        cache: where built simulators are kept.
        folder: receives bench.log and results.xml.

    Raises:
        CheckFailed: a test failed, none ran, or the design does not build.
    """
    start = time.monotonic()
    top = name_of(graph.name)
    with tempfile.TemporaryDirectory() as temporary:
        block, given, network = (Path(temporary) / name for name in (f"{top}.v", "images.npy", "graph.npz"))
        block.write_text(ip_block(graph, folding, NO_BUILD))
        np.save(given, images)
        ir.save(graph, network)
        sources = [*design.sources, paths.verilog() / f"{REGISTERS}.sv", block]
        program = simulator(list(dict.fromkeys(sources)), top, design.folder, cache)
        sent = ports(graph, folding)[0].words(images).reshape(len(images), -1)
        latency = sum(latency_cycles(node, folding) for node in graph.nodes)
        variables = {
            "PATIENCE": str(STALL_FACTOR * (folding.interval(graph) + latency) + 20_000),
            "GRAPH": str(network), "IMAGES": str(given), "FRAMES": str(frames),
        }  # fmt: skip
        tests = run_tests(program, top, MODULE, sent, sent[:0], design.folder, folder, seed, variables)
    return Bench(tests, time.monotonic() - start)
