"""axis_input and axis_output: bytes on one side, elements on the other, TLAST."""

from __future__ import annotations

import os

import cocotb
from cocotb.triggers import RisingEdge
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

P = PARAMETERS
COMPONENT = os.environ["COMPONENT"]
FRAMES = 3
SLOT = 8 * ((P["WIDTH"] + 7) // 8)


def bench(dut, frames: int = FRAMES) -> Bench:
    signed = bool(P.get("SIGNED", 0))
    elements = integers(rng(), (frames * P["BEATS_PER_FRAME"], P["LANES"]), P["WIDTH"], signed)
    wide, narrow = beats(elements, SLOT), beats(elements, P["WIDTH"])
    lasts = [index % P["BEATS_PER_FRAME"] == P["BEATS_PER_FRAME"] - 1 for index in range(len(elements))]
    if COMPONENT == "axis_input":
        return Bench(dut, Case({"s_axis": wide}, {"m_axis": narrow}, frames, {"s_axis": lasts}))
    return Bench(dut, Case({"s_axis": narrow}, {"m_axis": wide}, frames, {"m_axis": lasts}))


@cocotb.test()
async def full_rate(dut):
    await steady(bench(dut), interval=P["BEATS_PER_FRAME"], latency=1)
    if COMPONENT == "axis_input":
        assert not int(dut.frame_error.value)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))


@cocotb.test(skip=COMPONENT != "axis_input")
async def frame_error(dut):
    """A TLAST that is early, or missing, sets frame_error until reset; no beat is lost by it."""
    for spoil in (0, P["BEATS_PER_FRAME"] - 1):
        one = bench(dut)
        one.case.lasts["s_axis"][spoil] ^= True
        await one.start()
        assert not int(dut.frame_error.value)
        one.run(0.2, 0.2)
        await one.finish(one.patience())
        assert int(dut.frame_error.value), f"TLAST was wrong on beat {spoil}"
        await one.reset()
        await RisingEdge(dut.clk)
        assert not int(dut.frame_error.value)
