"""stream_register, stream_fifo, width_converter, stream_fork: what comes in goes out."""

from __future__ import annotations

import os

import cocotb
from cocotb.triggers import RisingEdge
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

P = PARAMETERS
COMPONENT = os.environ["COMPONENT"]


def case() -> Case:
    generator = rng()
    if COMPONENT == "width_converter":
        lanes = max(P["IN_LANES"], P["OUT_LANES"])
        elements = integers(generator, (40, lanes), P["WIDTH"], False)
        ins, outs = (beats(elements.reshape(-1, P[key]), P["WIDTH"]) for key in ("IN_LANES", "OUT_LANES"))
        return Case({"s_axis": ins}, {"m_axis": outs}, frames=40)
    words = beats(integers(generator, (120, 1), min(P["WIDTH"], 62), False), P["WIDTH"])
    return Case({"s_axis": words}, {"m_axis": words}, frames=len(words))


def bench(dut) -> Bench:
    return Bench(dut, case(), forks=P.get("OUTPUTS", 0) if COMPONENT == "stream_fork" else 0)


@cocotb.test()
async def full_rate(dut):
    """One beat per cycle on the narrow side, and the latency of the header."""
    interval = (
        max(1, P["IN_LANES"] // P["OUT_LANES"], P["OUT_LANES"] // P["IN_LANES"])
        if COMPONENT == "width_converter"
        else 1
    )
    latency = {"stream_register": 1, "stream_fifo": 2, "stream_fork": 0}.get(COMPONENT)
    if COMPONENT == "width_converter":
        latency = P["OUT_LANES"] // P["IN_LANES"] if P["OUT_LANES"] > P["IN_LANES"] else 0
    await steady(bench(dut), interval, latency)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))


@cocotb.test()
async def capacity(dut):
    """How many beats go in when none goes out."""
    held = {"stream_register": 1 + P.get("SPARE", 1), "stream_fifo": P.get("DEPTH", 0) + 1, "stream_fork": 0}.get(
        COMPONENT
    )
    if COMPONENT == "width_converter":
        held = P["OUT_LANES"] // P["IN_LANES"] if P["OUT_LANES"] > P["IN_LANES"] else 0
    one = bench(dut)
    await one.start()
    one.run(0.0, 1.0)
    for _ in range(held + 20):
        await RisingEdge(dut.clk)
    assert one.sources["s_axis"].sent == held
