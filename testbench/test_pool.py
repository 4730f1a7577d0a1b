"""max_pool and sum_pool: windows that divide the image or not, global pooling."""

from __future__ import annotations

import os

import cocotb
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
COMPONENT = os.environ["COMPONENT"]
FRAMES = 3


def bench(dut) -> Bench:
    shape = (FRAMES, P["HEIGHT"], P["WIDTH"], P["CHANNELS"])
    image = integers(rng(), shape, P["IN_WIDTH"], bool(P["IN_SIGNED"]))
    pooled = getattr(functions, COMPONENT)(image, (P["KERNEL_H"], P["KERNEL_W"]))
    ins, outs = image.reshape(-1, P["LANES"]), pooled.reshape(-1, P["LANES"])
    return Bench(dut, Case({"s_axis": beats(ins, P["IN_WIDTH"])}, {"m_axis": beats(outs, P["OUT_WIDTH"])}, FRAMES))


@cocotb.test()
async def full_rate(dut):
    groups = P["CHANNELS"] // P["LANES"]
    first = ((P["KERNEL_H"] - 1) * P["WIDTH"] + P["KERNEL_W"] - 1) * groups + 1
    await steady(bench(dut), interval=P["HEIGHT"] * P["WIDTH"] * groups, latency=first)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
