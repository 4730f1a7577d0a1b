"""add: every combination of signs; streams that come apart."""

from __future__ import annotations

import cocotb
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
BEATS = 100


def bench(dut) -> Bench:
    generator = rng()
    a, b = (integers(generator, (BEATS, P["LANES"]), P[f"{x}_WIDTH"], bool(P[f"{x}_SIGNED"])) for x in "AB")
    inputs = {"s_a_axis": beats(a, P["A_WIDTH"]), "s_b_axis": beats(b, P["B_WIDTH"])}
    return Bench(dut, Case(inputs, {"m_axis": beats(functions.add(a, b), P["OUT_WIDTH"])}, BEATS))


@cocotb.test()
async def full_rate(dut):
    await steady(bench(dut), interval=1, latency=1)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
