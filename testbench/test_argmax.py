"""argmax: numbers of either sign, many of them equal, in one beat or several."""

from __future__ import annotations

import cocotb
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
VECTORS = 60
BEATS = P["CHANNELS"] // P["LANES"]


def bench(dut) -> Bench:
    generator = rng()
    vectors = integers(generator, (VECTORS, P["CHANNELS"]), P["IN_WIDTH"], bool(P["IN_SIGNED"]))
    # every other vector has few different numbers, so that the largest comes more than once
    vectors[::2] >>= P["IN_WIDTH"] - 2
    winners = functions.argmax(vectors)
    inputs = {"s_axis": beats(vectors.reshape(-1, P["LANES"]), P["IN_WIDTH"])}
    return Bench(dut, Case(inputs, {"m_axis": beats(winners, P["OUT_WIDTH"])}, VECTORS))


@cocotb.test()
async def full_rate(dut):
    await steady(bench(dut), interval=BEATS, latency=BEATS - 1 + 2)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
