"""concat: operands of one beat or several, of every sign; streams that come apart."""

from __future__ import annotations

import cocotb
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
PIXELS = 30
BEATS = (P["A_CHANNELS"] + P["B_CHANNELS"]) // P["LANES"]


def bench(dut) -> Bench:
    generator = rng()
    a, b = (integers(generator, (PIXELS, P[f"{x}_CHANNELS"]), P[f"{x}_WIDTH"], bool(P[f"{x}_SIGNED"])) for x in "AB")
    inputs = {
        "s_a_axis": beats(a.reshape(-1, P["LANES"]), P["A_WIDTH"]),
        "s_b_axis": beats(b.reshape(-1, P["LANES"]), P["B_WIDTH"]),
    }
    joined = functions.concat(a, b).reshape(-1, P["LANES"])
    return Bench(dut, Case(inputs, {"m_axis": beats(joined, P["OUT_WIDTH"])}, PIXELS))


@cocotb.test()
async def full_rate(dut):
    await steady(bench(dut), interval=BEATS, latency=1)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
