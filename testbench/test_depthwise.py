"""depthwise: against golden on windows of channel groups, with the weight memory as a model in Python."""

from __future__ import annotations

import cocotb
import numpy as np
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from memories import Memories
from streams import beats

from flow.golden import functions
from flow.rtl import memory

P = PARAMETERS
OUTPUTS = P["CHANNELS"] * P["MULTIPLIER"]
LANES, GROUPS = P["PE"] // P["MULTIPLIER"], OUTPUTS // P["PE"]
#: cycles of a position
FOLD = P["TAPS"] // P["SIMD"] * GROUPS
POSITIONS = 5 + 120 // FOLD


def bench(dut) -> Bench:
    generator = rng()
    bits, odd = P["WEIGHT_WIDTH"], bool(P["WEIGHT_ODD"])
    codes = integers(generator, (OUTPUTS, P["TAPS"]), bits, not odd)
    weights = 2 * codes - (2**bits - 1) if odd else codes
    windows = integers(generator, (POSITIONS, P["TAPS"], P["CHANNELS"]), P["IN_WIDTH"], bool(P["IN_SIGNED"]))
    largest = int(np.abs(weights).sum(axis=1).max()) << P["IN_WIDTH"]
    room = max(1, (1 << P["ACC_WIDTH"] - 1) - 1 - largest)
    bias = generator.integers(-room, room, OUTPUTS, endpoint=True)
    results = functions.depthwise(windows.reshape(POSITIONS, -1), weights, bias, P["MULTIPLIER"])
    memories = Memories(
        memory.pack_weights(weights, P["PE"], P["SIMD"], bits, odd), memory.pack_bias(bias, P["PE"], P["ACC_WIDTH"])
    )
    groups = windows.reshape(POSITIONS, P["TAPS"], GROUPS, LANES).swapaxes(1, 2)
    sent, expected = groups.reshape(-1, P["TAPS"] * LANES), results.reshape(-1, P["PE"])
    case = Case({"s_axis": beats(sent, P["IN_WIDTH"])}, {"m_axis": beats(expected, P["ACC_WIDTH"])}, POSITIONS)
    return Bench(dut, case, companion=memories.run)


@cocotb.test()
async def full_rate(dut):
    stages = 5 + (P["SIMD"] > 6) + (P["SIMD"] > 30) + (P["WEIGHT_WIDTH"] > 4) + P["WEIGHT_ODD"]
    await steady(bench(dut), interval=FOLD, latency=P["TAPS"] // P["SIMD"] - 1 + stages)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
