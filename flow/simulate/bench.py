"""The slow path: the network under cocotb, from Python, with random stalls and a reset in mid-frame; FST waves."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow import paths
from flow.cache import content, digest
from flow.errors import CheckFailed
from flow.files import write_whole
from flow.folding import Folding
from flow.folding.schedule import latency_cycles
from flow.ir import Configuration, Graph
from flow.rtl import Design
from flow.rtl.beats import to_bus
from flow.simulate.verilate import COMMON, NO_INLINE, verilate
from flow.tools import process, verilator

MODULE = "test_network"
#: frames under stalls take a few times as long as without
STALL_FACTOR = 6
TEST_TIMEOUT_S = 3600
#: registers start at random values, so that a missing reset shows
FLAGS = ("--vpi", "--x-initial", "unique", "--x-assign", "unique", "--timescale", "1ns/1ps")
CFLAGS = "-O2"
#: what the writer of FST waves is linked with; testbench/fst/ stands in for both
_FST_LIBRARIES = ("lz4", "z")
_EMPTY_ARCHIVE = b"!<arch>\n"


@dataclass(frozen=True)
class Bench:
    """A passed bench: how many tests ran, wall-clock seconds with the build, the wave file if one was asked for."""

    tests: int
    seconds: float
    waves: Path | None = None


def run_bench(
    graph: Graph,
    folding: Folding,
    design: Design,
    images: np.ndarray,
    expected: np.ndarray,
    cache: Path,
    folder: Path,
    seed: int = 0,
    waves: bool = False,
    configuration: Configuration | None = None,
) -> Bench:
    """Runs testbench/test_network.py on `<name>_top`.

    Args:
        images, expected: integers (B, *shape); golden's outputs for the images.
        cache: where built simulators are kept.
        folder: receives bench.log, results.xml and, with `waves`, waves.fst.
        configuration: for a graph with runtime layers, the widths of all frames.

    Raises:
        CheckFailed: a test failed, none ran, or the design does not build.
    """
    start = time.monotonic()
    top = f"{design.name}_top"
    program = simulator(design.sources, top, design.folder, cache, waves)
    source, sink = graph.input.output, graph.output.output
    frames = to_bus(images, source, folding.output_lanes(graph, graph.input)).reshape(len(images), -1)
    results = to_bus(expected, sink, folding.input_lanes(graph, graph.output)).reshape(len(images), -1)
    patience = STALL_FACTOR * (folding.interval(graph) + sum(latency_cycles(n, folding) for n in graph.nodes)) + 20_000
    variables = {"PATIENCE": str(patience)}
    fields = graph.fields(configuration, 1)
    if fields is not None:
        variables["CONFIGURATION"] = str(graph.runtime.words(fields)[0])
    tests = run_tests(program, top, MODULE, frames, results, design.folder, folder, seed, variables, waves)
    return Bench(tests, time.monotonic() - start, _keep_waves(design, folder) if waves else None)


def run_tests(
    program: Path,
    top: str,
    module: str,
    frames: np.ndarray,
    results: np.ndarray,
    cwd: Path,
    folder: Path,
    seed: int,
    variables: Mapping[str, str],
    waves: bool = False,
) -> int:
    """Runs the bench `module` on a simulator and returns the number of its tests, which have all passed.

    Args:
        frames, results: uint8 (frame, bytes as they stand on the bus).
        cwd: folder with the memory files.
        folder: receives bench.log and results.xml.
        variables: environment of the bench.

    Raises:
        CheckFailed: a test failed, or none ran.
    """
    report = folder / "results.xml"
    report.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        vectors = Path(temporary) / "vectors.npz"
        np.savez(vectors, frames=frames, results=results)
        environment = _environment(top, module) | {
            "VECTORS": str(vectors), "SEED": str(seed), "COCOTB_RESULTS_FILE": str(report), **variables,
        }  # fmt: skip
        command = [program, "+verilator+rand+reset+2", f"+verilator+seed+{seed + 1}", *(["--trace"] if waves else [])]
        done = process.run(command, folder / "bench.log", cwd, TEST_TIMEOUT_S, environment)
    tests, failed = _count(report)
    if failed or done.status or not tests:
        why = f"failed: {', '.join(failed)}" if failed else f"ended with status {done.status} after {tests} tests"
        raise CheckFailed(f"the cocotb bench {why} (log: {done.log}):\n{done.last_lines(30)}")
    return tests


def _keep_waves(design: Design, folder: Path) -> Path:
    written = design.folder / "dump.fst"
    kept = folder / "waves.fst"
    os.replace(written, kept)
    return kept


def simulator(sources: Sequence[Path], top: str, cwd: Path, cache: Path, waves: bool = False) -> Path:
    """The simulator of `top` for cocotb; only its ports are visible, which keeps the rest fast."""
    import cocotb_tools.config as cocotb_config

    libraries = cocotb_config.libs_dir
    stand_ins = paths.testbench() / "fst"
    flags = [*FLAGS, *(["--trace-fst"] if waves else [])]
    files = [*sources, *(sorted(stand_ins.glob("*.h")) if waves else [])]
    key = digest([*content(files), NO_INLINE, *COMMON, *flags, CFLAGS, verilator.version(), str(libraries)])
    folder = cache / "cocotb" / key[:24]
    if waves:
        flags += ["-CFLAGS", f"-I{stand_ins}", "-LDFLAGS", f"-L{folder}"]
    arguments = [
        "--top-module", top, *flags, "-CFLAGS", CFLAGS,
        "-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator",
        cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp", *sources,
    ]  # fmt: skip
    visible = f'public_flat_rw -module "{top}" -var "*"\n'

    def prepare() -> None:
        for library in _FST_LIBRARIES:
            write_whole(folder / f"lib{library}.a", _EMPTY_ARCHIVE)

    return verilate(folder, visible, prepare, arguments, cwd)


def _environment(top: str, module: str) -> dict[str, str]:
    """What cocotb's library inside the simulator reads."""
    import cocotb_tools.config as cocotb_config
    import find_libpython

    return {
        "COCOTB_TEST_MODULES": module,
        "COCOTB_TOPLEVEL": top,
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{find_libpython.find_libpython()};{cocotb_config.pygpi_entry_point()}",
        "PYTHONPATH": os.pathsep.join([str(paths.testbench()), *filter(None, sys.path)]),
    }


def _count(report: Path) -> tuple[int, list[str]]:
    """Tests that ran, and the names of those that failed."""
    if not report.exists():
        return 0, []
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    ran = [case for case in cases if case.find("skipped") is None]
    failed = [c.get("name", "?") for c in ran if c.find("failure") is not None or c.find("error") is not None]
    return len(ran), failed
