"""matvec: against x @ weights.T + bias, with the weight memory as a model in Python."""

from __future__ import annotations

import cocotb
import numpy as np
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from memories import Memories
from streams import beats

from flow.golden import functions
from flow.rtl import memory

P = PARAMETERS
FOLD = (P["MW"] // P["SIMD"]) * (P["MH"] // P["PE"])
VECTORS = 5 + 120 // FOLD


def bench(dut) -> Bench:
    generator = rng()
    bits, odd = P["WEIGHT_WIDTH"], bool(P["WEIGHT_ODD"])
    codes = integers(generator, (P["MH"], P["MW"]), bits, not odd)
    weights = 2 * codes - (2**bits - 1) if odd else codes
    vectors = integers(generator, (VECTORS, P["MW"]), P["IN_WIDTH"], bool(P["IN_SIGNED"]))
    largest = int(np.abs(weights).sum(axis=1).max()) << P["IN_WIDTH"]
    room = max(1, (1 << P["ACC_WIDTH"] - 1) - 1 - largest)
    bias = generator.integers(-room, room, P["MH"], endpoint=True)
    results = functions.matvec(vectors, weights, bias).reshape(-1, P["PE"])
    memories = Memories(
        memory.pack_weights(weights, P["PE"], P["SIMD"], bits, odd), memory.pack_bias(bias, P["PE"], P["ACC_WIDTH"])
    )
    case = Case({"s_axis": beats(vectors, P["IN_WIDTH"])}, {"m_axis": beats(results, P["ACC_WIDTH"])}, VECTORS)
    return Bench(dut, case, companion=memories.run)


@cocotb.test()
async def full_rate(dut):
    stages = 5 + (P["SIMD"] > 6) + (P["SIMD"] > 30) + (P["WEIGHT_WIDTH"] - 1) // 4 + P["WEIGHT_ODD"]
    await steady(bench(dut), interval=FOLD, latency=P["MW"] // P["SIMD"] - 1 + stages)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
