"""Every module alone: clean under Verilator's -Wall, elaborated by Yosys' reader, strict about its parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
import rtl
from test_rtl_components import TABLE

from flow.errors import CheckFailed
from flow.tools import process, verilator, yosys

#: limits that the benches do not need
EXTREMES: dict[str, list[dict[str, int]]] = {
    "stream_register": [{"WIDTH": 1}, {"WIDTH": 4096}, {"WIDTH": 8, "SPARE": 0}],
    "stream_fifo": [{"WIDTH": 1, "DEPTH": 2}, {"WIDTH": 576, "DEPTH": 1000}, {"DEPTH": 17, "STYLE": 2}],
    "width_converter": [
        {"WIDTH": 1, "IN_LANES": 1, "OUT_LANES": 1},
        {"IN_LANES": 64, "OUT_LANES": 1},
        {"IN_LANES": 1, "OUT_LANES": 64},
    ],
    "stream_fork": [{"WIDTH": 1, "OUTPUTS": 1}, {"OUTPUTS": 8}],
    "add": [{"LANES": 1, "A_WIDTH": 1, "B_WIDTH": 1, "OUT_WIDTH": 3}],
    "concat": [
        dict.fromkeys(["A_CHANNELS", "B_CHANNELS", "LANES", "A_WIDTH", "B_WIDTH", "OUT_WIDTH"], 1),
        {"A_CHANNELS": 512, "B_CHANNELS": 3, "LANES": 1, "OUT_WIDTH": 32},
    ],
    "window": [
        dict.fromkeys(["IN_WIDTH", "CHANNELS", "HEIGHT", "WIDTH", "KERNEL_H", "KERNEL_W", "STRIDE_H", "STRIDE_W"], 1)
        | dict.fromkeys(["PAD_TOP", "PAD_LEFT", "PAD_BOTTOM", "PAD_RIGHT"], 0),
        {"IN_WIDTH": 8, "CHANNELS": 64, "HEIGHT": 224, "WIDTH": 224},
        {"CHANNELS": 512, "LANES": 1, "HEIGHT": 1, "WIDTH": 7, "KERNEL_H": 1, "PAD_TOP": 0, "PAD_BOTTOM": 0},
    ],
    "matvec": [
        {"MW": 1, "MH": 1, "PE": 1, "SIMD": 1, "IN_WIDTH": 1, "WEIGHT_WIDTH": 1, "WEIGHT_ODD": 1, "ACC_WIDTH": 3},
        {"MW": 128, "SIMD": 128, "PE": 1, "IN_WIDTH": 8, "IN_SIGNED": 1, "WEIGHT_WIDTH": 16, "ACC_WIDTH": 40},
    ],
    "serial_matvec": [
        {
            "MW": 1,
            "MH": 1,
            "PE": 1,
            "SIMD": 1,
            "IN_WIDTH": 1,
            "WEIGHT_WIDTH": 3,
            "COUNT": 2,
            "WIDTHS": 0x32,
            "VECTORS": 1,
            "ACC_WIDTH": 4,
        },
        {"MW": 288, "SIMD": 144, "PE": 1, "IN_WIDTH": 8, "IN_SIGNED": 1, "VECTORS": 1024, "ACC_WIDTH": 21},
        {
            "MW": 1,
            "MH": 1,
            "PE": 1,
            "SIMD": 1,
            "IN_WIDTH": 1,
            "WEIGHT_WIDTH": 3,
            "COUNT": 2,
            "WIDTHS": 0x32,
            "WEIGHT_ODD": 1,
            "VECTORS": 1,
            "ACC_WIDTH": 5,
        },
        {"MW": 288, "SIMD": 144, "PE": 1, "IN_WIDTH": 8, "WEIGHT_ODD": 1, "VECTORS": 1024, "ACC_WIDTH": 22},
    ],
    "depthwise": [
        dict.fromkeys(["CHANNELS", "MULTIPLIER", "TAPS", "PE", "SIMD", "IN_WIDTH", "WEIGHT_WIDTH", "WEIGHT_ODD"], 1)
        | {"ACC_WIDTH": 3},
        {"CHANNELS": 512, "PE": 2, "TAPS": 49, "SIMD": 49, "IN_WIDTH": 8, "WEIGHT_WIDTH": 8, "ACC_WIDTH": 24},
    ],
    "serial_row": [{}, {"SIMD": 1, "IN_WIDTH": 1, "ACC_WIDTH": 4}, {"SIMD": 150, "WEIGHT_ODD": 1, "ACC_WIDTH": 24}],
    "serial_steps": [{}, {"SF": 1, "VECTORS": 1, "WEIGHT_WIDTH": 2}, {"SF": 3, "NF": 5, "WEIGHT_WIDTH": 8}],
    "serial_total": [{}, {"SIMD": 1, "IN_WIDTH": 1, "OUT_WIDTH": 2}, {"SIMD": 150, "IN_WIDTH": 8, "IN_SIGNED": 1}],
    "pair_sums": [{}, {"SIMD": 1, "IN_WIDTH": 1, "WEIGHT_WIDTH": 1, "WEIGHT_ODD": 1}, {"SIMD": 127, "IN_SIGNED": 1}],
    "plane_sum": [{}, {"SIMD": 1, "IN_WIDTH": 1}, {"SIMD": 150, "IN_SIGNED": 1}],
    "dot_product": [
        {},
        {"SIMD": 1, "IN_WIDTH": 1, "WEIGHT_WIDTH": 1},
        {"SIMD": 128, "WEIGHT_WIDTH": 8, "IN_SIGNED": 1},
    ],
    "negated_sum": [{"TERMS": 1, "OUT_WIDTH": 7}, {"TERMS": 5, "IN_SIGNED": 1, "OUT_WIDTH": 10}],
    "negated_tree": [{"TERMS": 1, "OUT_WIDTH": 7}, {"TERMS": 6}, {"TERMS": 25, "IN_SIGNED": 1, "OUT_WIDTH": 12}],
    "rom": [{}, {"WIDTH": 1, "DEPTH": 1, "STYLE": 1}, {"WIDTH": 1152, "DEPTH": 64, "STYLE": 2}],
    "shift_add": [
        dict.fromkeys(["A_WIDTH", "B_WIDTH", "OUT_WIDTH"], 1),
        {"A_SIGNED": 1, "B_WIDTH": 9, "B_SHIFT": 3, "SUBTRACT": 1, "OUT_WIDTH": 14},
        {"A_SHIFT": 4, "B_SIGNED": 1, "OUT_WIDTH": 9},
    ],
    "delay": [{"WIDTH": 1}, {"WIDTH": 300, "CYCLES": 9}],
    "pipeline_control": [{"STAGES": 1}, {"STAGES": 12}],
    "threshold": [{"CHANNELS": 1, "LANES": 1, "IN_WIDTH": 1, "NUM_THRESHOLDS": 1, "OUT_WIDTH": 1}],
    "threshold_search": [{}, {"LANES": 1, "GROUPS": 1, "BITS": 1}],
    "threshold_parallel": [{}, {"LANES": 1, "GROUPS": 1, "BITS": 1}],
    "requantize": [
        {"CHANNELS": 1, "LANES": 1, "IN_WIDTH": 1, "MULT_WIDTH": 1, "BIAS_WIDTH": 1, "SHIFT": 0, "OUT_WIDTH": 1},
        {"SHIFT": 40},
    ],
    "requantize_table": [
        dict.fromkeys(["CHANNELS", "LANES", "PIXELS", "IN_WIDTH", "MULT_WIDTH", "BIAS_WIDTH", "OUT_WIDTH", "SELECT"], 1)
        | {"SHIFT": 0, "COUNT": 2},
        {"CHANNELS": 48, "LANES": 16, "COUNT": 4, "SHIFT": 40, "OUT_SIGNED": 1},
    ],
    "affine": [{}, {"SHIFT": 0, "OUT_WIDTH": 1, "OUT_SIGNED": 1}, {"IN_WIDTH": 20, "MULT_WIDTH": 20, "IN_SIGNED": 0}],
    "pool": [{}, {"OP": 1, "OUT_WIDTH": 6}],
    "max_pool": [
        dict.fromkeys(["LANES", "CHANNELS", "HEIGHT", "WIDTH", "KERNEL_H", "KERNEL_W", "IN_WIDTH", "OUT_WIDTH"], 1)
    ],
    "sum_pool": [{"HEIGHT": 32, "WIDTH": 32, "KERNEL_H": 32, "KERNEL_W": 32, "OUT_WIDTH": 14}],
    "argmax": [{"CHANNELS": 2, "IN_WIDTH": 1, "OUT_WIDTH": 1}, {"CHANNELS": 1000, "LANES": 8, "OUT_WIDTH": 10}],
    "axis_input": [{"LANES": 1, "WIDTH": 1, "BEATS_PER_FRAME": 1}, {"WIDTH": 33}],
    "axis_output": [{"LANES": 1, "WIDTH": 1, "BEATS_PER_FRAME": 1}, {"WIDTH": 33, "SIGNED": 0}],
    "axi_lite_registers": [
        {"BUILD": 2**31, "RESET_CYCLES": 1},
        {"IN_BEATS": 2**31 - 1, "RESET_CYCLES": 2**31 - 1},
        {"LAYERS": 48, "COUNT": 4, "WIDTHS": 0x8432},
        {"LAYERS": 1, "COUNT": 2, "WIDTHS": 0x42},
    ],
    "frame_configuration": [dict.fromkeys(["FIELDS", "BEATS_PER_FRAME"], 1), {"FIELDS": 48, "COUNT": 4}],
}
ILLEGAL: list[tuple[str, dict[str, int], str]] = [
    ("stream_fifo", {"DEPTH": 1}, "DEPTH"),
    ("width_converter", {"IN_LANES": 4, "OUT_LANES": 6}, "must divide the other"),
    ("add", {"OUT_WIDTH": 8}, "OUT_WIDTH"),
    ("concat", {"LANES": 3}, "LANES (3) must divide A_CHANNELS (16)"),
    ("concat", {"A_SIGNED": 1}, "OUT_WIDTH (4) must be at least 5"),
    ("window", {"PAD_TOP": 2}, "PAD_TOP"),
    ("window", {"LANES": 3}, "LANES (3) must divide CHANNELS (16)"),
    ("depthwise", {"MULTIPLIER": 3}, "MULTIPLIER (3) must divide PE (4)"),
    ("depthwise", {"PE": 3}, "PE (3) must divide CHANNELS * MULTIPLIER (64)"),
    ("depthwise", {"SIMD": 2}, "SIMD (2) must divide TAPS (9)"),
    ("shift_add", {"A_SHIFT": 1, "B_SHIFT": 2}, "A_SHIFT (1) or B_SHIFT (2) must be 0"),
    ("matvec", {"VECTORS": 3}, "VECTORS (3) must divide PE (16)"),
    ("matvec", {"SIMD": 10}, "SIMD (10) must divide MW (144)"),
    ("matvec", {"PE": 3}, "PE (3) must divide MH (16)"),
    ("matvec", {"WEIGHT_WIDTH": 17}, "WEIGHT_WIDTH"),
    ("matvec", {"WEIGHT_WIDTH": 1}, "WEIGHT_ODD"),
    ("serial_steps", {"WEIGHT_WIDTH": 9}, "WEIGHT_WIDTH (9) 2 to 8"),
    ("serial_matvec", {"SIMD": 10}, "SIMD (10) must divide MW (144)"),
    ("serial_matvec", {"PE": 3}, "PE (3) must divide MH (16)"),
    ("serial_matvec", {"WIDTHS": 0x532}, "the last WEIGHT_WIDTH (4)"),
    ("serial_matvec", {"WIDTHS": 0x431}, "2 at least"),
    ("threshold", {"LANES": 3}, "LANES (3) must divide CHANNELS (16)"),
    ("requantize", {"LANES": 3}, "LANES (3) must divide CHANNELS (16)"),
    ("requantize_table", {"LANES": 3}, "LANES (3) must divide CHANNELS (16)"),
    ("requantize_table", {"SELECT": 4}, "SELECT (4) 1 to 3"),
    ("max_pool", {"KERNEL_H": 9}, "KERNEL_H"),
    ("sum_pool", {"OUT_WIDTH": 5}, "OUT_WIDTH"),
    ("argmax", {"LANES": 3}, "LANES (3) must divide CHANNELS (10)"),
    ("argmax", {"CHANNELS": 17}, "OUT_WIDTH (4) must hold CHANNELS (17"),
    ("axis_input", {"BEATS_PER_FRAME": 0}, "BEATS_PER_FRAME"),
    ("frame_configuration", {"COUNT": 5}, "COUNT (5) must be 2 to 4"),
    ("axi_lite_registers", {"LAYERS": 49}, "LAYERS (49) must be at most 48"),
    ("axi_lite_registers", {"RESET_CYCLES": 0}, "RESET_CYCLES"),
]


def parameter_sets(module: str) -> list[dict[str, int]]:
    """Defaults, those of the benches, and extremes."""
    benches = [row for (component, _), rows in TABLE.items() if component == module for row in rows]
    return [{}, *benches, *EXTREMES[module]]


def lint(
    module: str, parameters: dict[str, int], log: Path, options: tuple[str, ...] = ("-Wall", "-Wno-fatal")
) -> process.Finished:
    """Verilator on one module and what it instantiates, with all warnings."""
    command = [
        verilator.program(), "--lint-only", *options, "--top-module", module, "-y", rtl.ROOT / "verilog",
        *rtl.assignments(parameters), rtl.ROOT / "verilog" / "lint.vlt", rtl.ROOT / "verilog" / f"{module}.sv",
    ]  # fmt: skip
    return process.run(command, log, rtl.ROOT, 60, verilator.environment())


def elaboration(module: str, rows: list[dict[str, int]]) -> str:
    """A Yosys script that elaborates a module with each parameter set."""
    lines = [f"read_verilog -sv -defer {' '.join(map(str, rtl.sources(module)))}", "design -save sources"]
    for row in rows:
        values = " ".join(f"-chparam {name} 32'd{value % 2**32}" for name, value in row.items())
        # without its file, a threshold's tree is undriven
        check = "check" if module.startswith("threshold") else "check -assert"
        lines += ["design -load sources", f"hierarchy -check -top {module} {values}", "proc", check]
    return "\n".join(lines)


@pytest.mark.parametrize("module", [path.stem for path in rtl.VERILOG])
def test_lint(module: str, tmp_path: Path) -> None:
    for parameters in parameter_sets(module):
        done = lint(module, parameters, tmp_path / "lint.log")
        text = done.log.read_text()
        assert done.status == 0 and "%Warning" not in text and "%Error" not in text, f"{module} {parameters}\n{text}"


@pytest.mark.parametrize("module", [path.stem for path in rtl.VERILOG])
def test_yosys_elaborates(module: str, tmp_path: Path) -> None:
    yosys.run_script(elaboration(module, parameter_sets(module)), tmp_path, tmp_path / "yosys.log", module, 300)


@pytest.mark.parametrize("module, parameters, message", ILLEGAL, ids=[f"{m}-{next(iter(p))}" for m, p, _ in ILLEGAL])
def test_illegal_parameters(module: str, parameters: dict[str, int], message: str, tmp_path: Path) -> None:
    done = lint(module, parameters, tmp_path / "lint.log", ("-Wno-lint",))
    assert done.status != 0 and message in done.log.read_text(), done.log.read_text()
    with pytest.raises(CheckFailed):
        yosys.run_script(elaboration(module, [parameters]), tmp_path, tmp_path / "yosys.log", module, 300)


def test_house_rules() -> None:
    """A header in every file, the module named as the file, 250 lines at most, no vendor's cell."""
    for path in rtl.VERILOG:
        text = path.read_text()
        lines = text.splitlines()
        assert lines[0].startswith(f"// {path.stem}: "), f"{path.name}: the first line names the module"
        assert len(lines) <= 250 and f"\nmodule {path.stem} #(" in text, path.name
        for word in ("Formula:", "Rate:", "Latency:", "Reset:"):
            assert f"// {word}" in text, f"{path.name}: no '{word}' in the header"
        assert not any(cell in text for cell in ("RAMB", "CARRY4", "DSP48", "LUT6", "`define")), path.name
