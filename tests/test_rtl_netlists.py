"""What synthesis makes of a component passes the component's bench: Yosys' netlist with Yosys' models of the cells."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import rtl
from test_rtl_components import SEED, TABLE

from flow.synth import xc7
from flow.tools import yosys

sys.path.insert(0, str(rtl.ROOT / "testbench"))

#: component and which of its parameter sets
CASES = [
    ("window", 1),
    ("matvec", 5),
    ("matvec", 6),
    ("threshold", 0),
    ("threshold", 6),
    ("requantize", 0),
    ("requantize", 3),
    ("requantize", 5),
    ("requantize", 6),
    ("serial_matvec", 6),
    ("requantize_table", 1),
    ("stream_fifo", 1),
    ("axi_lite_registers", 0),
]


@pytest.mark.parametrize("component, index", CASES)
def test_netlist(component: str, index: int, tmp_path: Path) -> None:
    bench, parameters = next((bench, dict(rows[index])) for (name, bench), rows in TABLE.items() if name == component)
    files = {}
    if component in ("threshold", "requantize", "requantize_table"):
        from activation import memory_file

        parameters["INIT_FILE"] = "constants.hex"
        files["constants.hex"] = memory_file(component, parameters)
        (tmp_path / "constants.hex").write_text(files["constants.hex"])
    values = " ".join(
        f"-chparam {name} {yosys.constant(value if isinstance(value, str) else value % 2**32)}"
        for name, value in parameters.items()
    )
    script = [
        f"read_verilog -sv -defer {' '.join(map(yosys.quote, rtl.sources(component)))}",
        f"hierarchy -check -top {component} {values}",
        *xc7.commands(component),
        "write_verilog -noattr netlist.v",
    ]
    yosys.run_script("\n".join(script), tmp_path, tmp_path / "yosys.log", component, 300)
    cells = Path(importlib.util.find_spec("pyosys").origin).parent / "share" / "xilinx" / "cells_sim.v"
    netlist = tmp_path / f"{component}.sv"
    netlist.write_text(f"`timescale 1ns/1ps\n{(tmp_path / 'netlist.v').read_text()}\n{cells.read_text()}")
    rtl.run(component, parameters, bench, SEED, files, netlist)
