"""Every component against golden, under cocotb: parameter sets that differ in what the component can do."""

from __future__ import annotations

import sys

import pytest
import rtl

sys.path.insert(0, str(rtl.ROOT / "testbench"))

SEED = 1


def sets(names: str, *rows: tuple[int, ...]) -> list[dict[str, int]]:
    """Parameter sets as a table."""
    return [dict(zip(names.split(), row, strict=True)) for row in rows]


REGISTERS = sets("WIDTH SPARE", (1, 1), (37, 1), (5, 0))
FIFOS = sets("WIDTH DEPTH STYLE", (8, 2, 0), (1, 3, 1), (37, 16, 2), (16, 33, 1))
CONVERTERS = sets("WIDTH IN_LANES OUT_LANES", (4, 1, 6), (3, 6, 2), (5, 4, 4), (1, 2, 8), (9, 8, 1))
FORKS = sets("WIDTH OUTPUTS", (8, 2), (3, 3))
ADDS = sets(
    "LANES A_WIDTH A_SIGNED B_WIDTH B_SIGNED OUT_WIDTH",
    (4, 8, 0, 8, 0, 9),
    (1, 4, 1, 4, 1, 5),
    (3, 4, 0, 6, 1, 8),
    (2, 9, 1, 3, 0, 12),
)
CONCATS = sets(
    "A_CHANNELS B_CHANNELS LANES A_WIDTH A_SIGNED B_WIDTH B_SIGNED OUT_WIDTH",
    (6, 4, 2, 4, 0, 4, 0, 4),
    (3, 3, 3, 4, 1, 6, 0, 7),
    (1, 5, 1, 5, 0, 3, 1, 8),
    (4, 8, 4, 4, 1, 5, 1, 5),
)
POOLS = "LANES CHANNELS HEIGHT WIDTH KERNEL_H KERNEL_W IN_WIDTH IN_SIGNED OUT_WIDTH"
MAX_POOLS = sets(
    POOLS,
    (2, 4, 5, 7, 2, 2, 4, 1, 4),
    (3, 3, 4, 4, 2, 2, 5, 0, 6),
    (1, 2, 3, 3, 3, 3, 4, 1, 4),
    (4, 4, 3, 5, 1, 2, 3, 0, 3),
)
SUM_POOLS = sets(
    POOLS,
    (2, 4, 5, 7, 2, 3, 4, 1, 8),
    (4, 16, 8, 8, 8, 8, 4, 0, 10),
    (3, 3, 4, 4, 4, 4, 8, 1, 12),
    (1, 5, 3, 3, 1, 1, 4, 0, 4),
)
WINDOWS = sets(
    "IN_WIDTH CHANNELS LANES HEIGHT WIDTH KERNEL_H KERNEL_W STRIDE_H STRIDE_W PAD_TOP PAD_LEFT PAD_BOTTOM PAD_RIGHT",
    (4, 3, 3, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1),  # 'same'
    (4, 2, 2, 6, 6, 3, 3, 2, 2, 0, 0, 1, 1),  # 'same' with stride 2 on an even image
    (8, 1, 1, 5, 7, 3, 3, 2, 2, 1, 1, 1, 1),  # and on an odd one
    (1, 5, 5, 6, 5, 3, 3, 1, 1, 0, 0, 0, 0),  # 'valid'
    (3, 4, 4, 6, 6, 1, 1, 2, 2, 0, 0, 0, 0),  # the skip connection
    (4, 3, 3, 4, 3, 1, 1, 1, 1, 0, 0, 0, 0),
    (5, 1, 1, 8, 7, 5, 5, 1, 1, 2, 2, 2, 2),
    (2, 2, 2, 7, 9, 5, 3, 3, 2, 2, 0, 1, 1),
    (4, 1, 1, 3, 2, 5, 3, 1, 1, 2, 1, 2, 1),  # a kernel higher than the image
    (4, 2, 2, 1, 9, 1, 3, 1, 1, 0, 1, 0, 1),  # one row
    (4, 6, 2, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1),  # a pixel in three beats
    (3, 4, 1, 6, 5, 3, 2, 2, 2, 0, 0, 1, 1),
    (4, 4, 2, 3, 3, 2, 1, 1, 1, 1, 0, 0, 0),  # no columns to remember
    (2, 6, 3, 1, 9, 1, 3, 1, 2, 0, 1, 0, 1),
)
MATVECS = sets(
    "MW MH PE SIMD IN_WIDTH IN_SIGNED WEIGHT_WIDTH WEIGHT_ODD ACC_WIDTH",
    (36, 8, 4, 18, 4, 0, 4, 0, 16),
    (16, 4, 4, 16, 4, 0, 4, 1, 16),
    (27, 4, 2, 27, 8, 0, 8, 0, 24),  # the first layer
    (27, 4, 4, 9, 8, 0, 8, 0, 24),
    (8, 6, 1, 1, 10, 0, 8, 0, 24),  # the dense layer
    (12, 4, 2, 3, 3, 1, 1, 1, 14),
    (10, 2, 1, 5, 4, 1, 2, 0, 14),
    (40, 2, 2, 40, 2, 1, 3, 0, 16),
    (6, 3, 3, 2, 1, 0, 5, 1, 16),
    (14, 4, 2, 7, 5, 1, 6, 0, 20),
    (33, 2, 1, 33, 4, 0, 7, 1, 22),
    (72, 2, 1, 72, 4, 0, 1, 1, 16),
    (16, 2, 2, 8, 8, 1, 8, 1, 26),
    (12, 4, 2, 6, 6, 1, 9, 0, 24),  # wider than the project trains, as other people's files are
    (20, 3, 1, 10, 4, 0, 12, 0, 26),
    (14, 2, 2, 7, 3, 0, 13, 1, 26),
    (8, 2, 2, 4, 8, 1, 16, 0, 30),
)
SERIAL_MATVECS = sets(
    "MW MH PE SIMD IN_WIDTH IN_SIGNED WEIGHT_WIDTH COUNT WIDTHS WEIGHT_ODD VECTORS ACC_WIDTH",
    (36, 8, 4, 18, 4, 0, 4, 3, 0x432, 0, 6, 13),
    (36, 4, 4, 36, 4, 0, 4, 3, 0x432, 1, 4, 14),  # a vector takes as many cycles as its weights have bits
    (12, 6, 2, 4, 3, 1, 3, 2, 0x32, 0, 1, 10),
    (5, 3, 1, 1, 8, 0, 8, 3, 0x842, 0, 2, 20),
    (72, 2, 2, 72, 2, 1, 6, 4, 0x6542, 0, 3, 14),
    (36, 8, 4, 18, 4, 0, 4, 3, 0x432, 1, 6, 14),
    (10, 4, 2, 5, 3, 1, 3, 2, 0x32, 1, 2, 10),  # pairs that make no whole halves
    (6, 3, 1, 1, 8, 0, 8, 3, 0x842, 1, 2, 21),
    (80, 2, 1, 40, 4, 1, 4, 2, 0x42, 1, 3, 15),  # the rows' sums take longer than that of all
)
DEPTHWISES = sets(
    "CHANNELS MULTIPLIER TAPS PE SIMD IN_WIDTH IN_SIGNED WEIGHT_WIDTH WEIGHT_ODD ACC_WIDTH",
    (8, 1, 9, 2, 9, 4, 0, 4, 0, 14),
    (6, 1, 9, 6, 9, 4, 0, 4, 0, 14),  # all channels at once
    (5, 1, 9, 1, 3, 4, 1, 4, 0, 14),  # one channel, a row of the window at a time
    (4, 3, 4, 6, 2, 3, 1, 3, 0, 12),  # three filters a channel
    (3, 2, 25, 2, 25, 4, 0, 8, 0, 20),
    (4, 1, 9, 2, 1, 8, 0, 5, 1, 20),
    (6, 2, 3, 4, 3, 2, 0, 1, 1, 8),  # -1 and +1, along one row
    (2, 1, 1, 1, 1, 5, 0, 2, 0, 10),  # 1x1
)
THRESHOLDS = sets(
    "CHANNELS LANES IN_WIDTH IN_SIGNED NUM_THRESHOLDS OUT_WIDTH OFFSET STYLE",
    (8, 2, 10, 1, 15, 4, 0, 1),
    (4, 4, 10, 1, 15, 4, 0, 1),
    (6, 3, 7, 0, 7, 4, -8, 1),
    (3, 1, 9, 1, 1, 1, 0, 1),
    (4, 2, 8, 1, 5, 4, -3, 1),
    (2, 1, 12, 1, 255, 8, 0, 1),
    (8, 2, 10, 1, 15, 4, 0, 0),
    (3, 3, 6, 0, 2, 2, -1, 0),
    (4, 1, 8, 1, 31, 6, -16, 0),
)
REQUANTIZES = sets(
    "CHANNELS LANES IN_WIDTH IN_SIGNED MULT_WIDTH BIAS_WIDTH SHIFT OUT_WIDTH OUT_SIGNED TIES_TO_EVEN",
    (8, 2, 16, 1, 12, 24, 12, 8, 0, 0),
    (4, 4, 12, 1, 16, 30, 18, 8, 1, 0),
    (3, 1, 8, 0, 10, 18, 10, 6, 0, 0),
    (6, 2, 10, 1, 8, 14, 6, 6, 1, 1),
    (4, 1, 10, 1, 6, 12, 0, 8, 1, 0),
    (8, 2, 19, 1, 25, 38, 32, 8, 0, 0),
    (4, 1, 18, 0, 20, 36, 28, 8, 1, 0),
)
REQUANTIZE_TABLES = sets(
    "CHANNELS LANES PIXELS IN_WIDTH IN_SIGNED MULT_WIDTH BIAS_WIDTH SHIFT OUT_WIDTH OUT_SIGNED COUNT SELECT STYLE",
    (6, 2, 3, 12, 1, 12, 20, 10, 4, 0, 3, 3, 2),  # three channel groups
    (4, 4, 1, 10, 1, 9, 17, 8, 8, 1, 3, 2, 1),  # frames of one beat
    (3, 1, 2, 9, 0, 10, 16, 8, 3, 0, 2, 1, 0),
    (2, 1, 4, 19, 1, 24, 36, 30, 8, 0, 4, 2, 2),
)
INPUTS = sets("LANES WIDTH BEATS_PER_FRAME", (3, 8, 16), (2, 10, 7), (1, 1, 1))
OUTPUTS = sets("LANES WIDTH SIGNED BEATS_PER_FRAME", (1, 20, 1, 10), (3, 8, 0, 4), (2, 5, 0, 1))
ARGMAXES = sets(
    "CHANNELS LANES IN_WIDTH IN_SIGNED OUT_WIDTH", (10, 1, 12, 1, 4), (10, 5, 6, 1, 5), (3, 3, 4, 0, 2), (2, 1, 3, 1, 1)
)
REGISTERS_AXI = [
    *sets("BUILD IN_BEATS OUT_BEATS RESET_CYCLES", (0x89ABCDEF, 1024, 10, 16), (1, 1, 70_000, 1)),
    *sets("BUILD IN_BEATS OUT_BEATS RESET_CYCLES LAYERS COUNT WIDTHS", (7, 16, 10, 16, 8, 3, 0x432)),
]
FRAME_CONFIGURATIONS = sets("FIELDS COUNT BEATS_PER_FRAME", (5, 3, 6), (1, 2, 1), (3, 4, 3))

TABLE = {
    ("stream_register", "test_streams"): REGISTERS,
    ("stream_fifo", "test_streams"): FIFOS,
    ("width_converter", "test_streams"): CONVERTERS,
    ("stream_fork", "test_streams"): FORKS,
    ("add", "test_add"): ADDS,
    ("concat", "test_concat"): CONCATS,
    ("max_pool", "test_pool"): MAX_POOLS,
    ("sum_pool", "test_pool"): SUM_POOLS,
    ("window", "test_window"): WINDOWS,
    ("matvec", "test_matvec"): MATVECS,
    ("serial_matvec", "test_serial_matvec"): SERIAL_MATVECS,
    ("depthwise", "test_depthwise"): DEPTHWISES,
    ("threshold", "test_activation"): THRESHOLDS,
    ("requantize", "test_activation"): REQUANTIZES,
    ("requantize_table", "test_requantize_table"): REQUANTIZE_TABLES,
    ("argmax", "test_argmax"): ARGMAXES,
    ("axis_input", "test_axis"): INPUTS,
    ("axis_output", "test_axis"): OUTPUTS,
    ("frame_configuration", "test_frame_configuration"): FRAME_CONFIGURATIONS,
    ("axi_lite_registers", "test_axi_lite_registers"): REGISTERS_AXI,
}
CASES = [
    pytest.param(component, bench, parameters, id=f"{component}-{'-'.join(map(str, parameters.values()))}")
    for (component, bench), rows in TABLE.items()
    for parameters in rows
]


@pytest.mark.parametrize("component, bench, parameters", CASES)
def test_component(component: str, bench: str, parameters: dict[str, int]) -> None:
    files = {}
    if component in ("threshold", "requantize", "requantize_table"):
        from activation import memory_file

        parameters = {**parameters, "INIT_FILE": "constants.hex"}
        files["constants.hex"] = memory_file(component, parameters)
    rtl.run(component, parameters, bench, SEED, files)


def test_every_component_has_a_bench() -> None:
    inner = {
        "affine", "delay", "dot_product", "negated_sum", "negated_tree", "pair_sums", "pipeline_control",
        "plane_sum", "pool", "rom", "serial_row", "serial_steps", "serial_total", "shift_add", "threshold_parallel",
        "threshold_search",
    }  # fmt: skip
    assert {path.stem for path in rtl.VERILOG} - inner == {component for component, _ in TABLE}
