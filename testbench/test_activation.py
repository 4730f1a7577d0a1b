"""threshold and requantize: one result for every element, constants by channel."""

from __future__ import annotations

import os

import cocotb
import numpy as np
from activation import accumulators, constants
from component import PARAMETERS, Bench, Case, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
COMPONENT = os.environ["COMPONENT"]
FRAMES = 12


def bench(dut) -> Bench:
    values = constants(COMPONENT, P)
    x = accumulators(rng(), P, values, FRAMES)
    if COMPONENT == "threshold":
        codes = functions.threshold(x, values["thresholds"], values["flip"], P["OFFSET"])
    else:
        low = -(1 << P["OUT_WIDTH"] - 1) if P["OUT_SIGNED"] else 0
        high = low + (1 << P["OUT_WIDTH"]) - 1
        codes = functions.requantize(
            x, values["multiplier"], values["bias"], P["SHIFT"], low, high, bool(P.get("TIES_TO_EVEN", 0))
        )
        assert np.unique(codes).size > 1, "a case in which everything saturates shows nothing"
    ins, outs = x.reshape(-1, P["LANES"]), codes.reshape(-1, P["LANES"])
    return Bench(dut, Case({"s_axis": beats(ins, P["IN_WIDTH"])}, {"m_axis": beats(outs, P["OUT_WIDTH"])}, FRAMES))


@cocotb.test()
async def full_rate(dut):
    if COMPONENT == "threshold":
        latency = 1 + P["NUM_THRESHOLDS"].bit_length() if P["STYLE"] == 1 else 4
    else:
        latency = 5 if min(P["IN_WIDTH"] + 1 - P["IN_SIGNED"], P["MULT_WIDTH"]) > 18 else 4
    await steady(bench(dut), interval=P["CHANNELS"] // P["LANES"], latency=latency)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
