"""requantize_table: frames that choose their constants, at random, with the results of golden."""

from __future__ import annotations

import cocotb
import numpy as np
from activation import accumulators, table_constants
from component import PARAMETERS, Bench, Case, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
FRAMES, GROUPS = 24, P["CHANNELS"] // P["LANES"]


def bench(dut) -> Bench:
    values, generator = table_constants(P), rng()
    digits = generator.integers(0, P["COUNT"], (FRAMES, P["SELECT"]))
    digits[1], digits[2] = digits[0], P["COUNT"] - 1
    table = digits @ (P["COUNT"] ** np.arange(P["SELECT"])[::-1])
    x = accumulators(generator, P, {}, FRAMES * P["PIXELS"]).reshape(FRAMES, P["PIXELS"], -1)
    low = -1 - values["maximum"] if P["OUT_SIGNED"] else 0 * values["maximum"]
    constants = (values["multiplier"], values["bias"], P["SHIFT"], low, values["maximum"])
    codes = functions.requantize_table(x, *constants, table)
    inputs = {
        "s_axis": beats(x.reshape(-1, P["LANES"]), P["IN_WIDTH"]),
        "s_configuration": beats(digits, (P["COUNT"] - 1).bit_length()),
    }
    return Bench(dut, Case(inputs, {"m_axis": beats(codes.reshape(-1, P["LANES"]), P["OUT_WIDTH"])}, FRAMES))


@cocotb.test()
async def full_rate(dut):
    split = min(P["IN_WIDTH"] + 1 - P["IN_SIGNED"], P["MULT_WIDTH"]) > 18
    await steady(bench(dut), interval=P["PIXELS"] * GROUPS, latency=1 + 5 + split)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
