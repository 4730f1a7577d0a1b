"""Building a component with given parameters, and running its bench; simulators are kept by content."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cocotb_tools.config as cocotb_config
import find_libpython

from flow import paths
from flow.cache import content, digest
from flow.files import locked, write_whole
from flow.simulate import runtime_library
from flow.simulate.verilate import AS_ONE_FILE
from flow.tools import process, verilator

ROOT = Path(__file__).resolve().parent.parent
VERILOG = sorted((ROOT / "verilog").glob("*.sv"))
#: kept between runs, outside version control
CACHE = ROOT / "build" / "rtl"
BUILD_TIMEOUT_S, RUN_TIMEOUT_S = 600, 600


def assignments(parameters: dict[str, int | str]) -> list[str]:
    """`-G` options; strings are quoted as Verilog wants them."""
    return [f"-G{name}={json.dumps(value)}" for name, value in parameters.items()]


def sources(component: str) -> list[Path]:
    """The component's file and those of the modules inside it."""
    found, todo = set(), [component]
    while todo:
        path = ROOT / "verilog" / f"{todo.pop()}.sv"
        if path not in found and path.exists():
            found.add(path)
            todo += re.findall(r"^\s*(\w+) #\($", path.read_text(), re.MULTILINE)
    return sorted(found)


def build(component: str, parameters: dict[str, int | str], netlist: Path | None = None) -> Path:
    """The simulator of one component, or of a netlist with its name and ports: its program."""
    files = [netlist] if netlist else sources(component)
    options = [] if netlist else assignments(parameters)
    libraries = cocotb_config.libs_dir
    flags = [
        "--vpi",
        "--public-flat-rw",
        "-O1",
        "--x-initial",
        "unique",
        "--x-assign",
        "unique",
        "--timescale",
        "1ns/1ps",
    ]
    parts = [component, json.dumps(parameters), *flags, verilator.version(), str(libraries)]
    folder = CACHE / f"{component}-{digest([*content(files), *parts])[:20]}"
    with locked(folder.with_suffix(".lock")):
        return _build(component, files, flags, options, folder)


def _build(component: str, files: list[Path], flags: list[str], options: list[str], folder: Path) -> Path:
    libraries, program = cocotb_config.libs_dir, folder / "Vtop"
    if (folder / "complete").exists() and program.exists():
        return program
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [
        verilator.program(), "--cc", "--exe", "--prefix", "Vtop", "--top-module", component,
        "-Mdir", folder, *flags, "-Wno-fatal", "-Wno-lint", "-Werror-USERERROR", *options,
        "-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator",
        cocotb_config.share_dir / "lib" / "verilator" / "verilator.cpp", *files,
    ]  # fmt: skip
    done = process.run(command, folder / "verilate.log", ROOT, BUILD_TIMEOUT_S, verilator.environment())
    assert done.status == 0, f"{component} does not build:\n{done.last_lines(30)}"
    speed = (*_fast_to_compile(folder), *AS_ONE_FILE)
    library = runtime_library.lend(folder, CACHE, speed)
    command = ["make", "-f", "Vtop.mk", *speed, "Vtop"]
    done = process.run(command, folder / "build.log", folder, BUILD_TIMEOUT_S, verilator.environment())
    assert done.status == 0, f"{component} does not build:\n{done.last_lines(30)}"
    (folder / "complete").touch()
    runtime_library.keep(folder, library)
    return program


def _fast_to_compile(folder: Path) -> tuple[str, ...]:
    """What `make` is told: no optimizations, and Verilator's headers precompiled, which are most of a component's
    compiling. The header is made once, by the makefile in `folder`.
    """
    header = CACHE / f"headers-{digest([verilator.version(), str(verilator.root())])[:20]}" / "runtime.h"
    with locked(header.parent.with_suffix(".lock")):
        if not header.with_suffix(".h.fast.gch").exists():
            write_whole(header, '#include "verilated.h"\n#include "verilated_vpi.h"\n')
            command = ["make", "-f", folder / "Vtop.mk", "OPT_FAST=-O0", f"{header}.fast.gch"]
            done = process.run(command, header.with_suffix(".log"), folder, BUILD_TIMEOUT_S, verilator.environment())
            assert done.status == 0, f"no precompiled header:\n{done.last_lines(30)}"
    return f"OPT_FAST=-O0 -include {header}.fast", "OPT_SLOW=-O0"


def run(
    component: str,
    parameters: dict[str, int | str],
    bench: str,
    seed: int,
    files: dict[str, str] | None = None,
    netlist: Path | None = None,
) -> float:
    """Runs `testbench/<bench>.py` on the component, or on a netlist of it; all of its tests must run and pass.

    Args:
        files: texts of memory files, by name, in the folder that the simulator runs in.

    Returns:
        Seconds of the simulation.
    """
    program = build(component, parameters, netlist)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (files or {}).items():
            (folder / file).write_text(text)
        report = folder / "results.xml"
        environment = {
            "COMPONENT": component, "PARAMETERS": json.dumps(parameters), "SEED": str(seed),
            "COCOTB_TEST_MODULES": bench, "COCOTB_TOPLEVEL": component, "TOPLEVEL_LANG": "verilog",
            "COCOTB_RESULTS_FILE": str(report), "COCOTB_TRUST_INERTIAL_WRITES": "1", "PYGPI_PYTHON_BIN": sys.executable,
            "GPI_USERS": f"{find_libpython.find_libpython()};{cocotb_config.pygpi_entry_point()}",
            "PYTHONPATH": os.pathsep.join([str(paths.testbench()), str(ROOT), *filter(None, sys.path)]),
        }  # fmt: skip
        command = [program, "+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        start = time.monotonic()
        done = process.run(command, folder / "bench.log", folder, RUN_TIMEOUT_S, environment)
        seconds = time.monotonic() - start
        assert report.exists(), f"{component}: the bench did not run:\n{done.last_lines(40)}"
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
        ran = [case for case in cases if case.find("skipped") is None]
        failed = [c.get("name") for c in ran if c.find("failure") is not None or c.find("error") is not None]
        assert ran and not failed and done.status == 0, (
            f"{component} {parameters}, seed {seed}: {len(ran)} tests ran, failed: {failed}\n{done.last_lines(40)}"
        )
    return seconds
