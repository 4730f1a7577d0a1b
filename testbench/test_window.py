"""window: strides, kernels, paddings on every side, pixels in one beat or several; never waits for the next frame."""

from __future__ import annotations

import cocotb
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled, steady
from streams import beats

from flow.golden import functions

P = PARAMETERS
FRAMES = 3
PAD = tuple(P[f"PAD_{side}"] for side in ("TOP", "LEFT", "BOTTOM", "RIGHT"))
GROUPS = P["CHANNELS"] // P["LANES"]


def bench(dut) -> Bench:
    image = integers(rng(), (FRAMES, P["HEIGHT"], P["WIDTH"], P["CHANNELS"]), P["IN_WIDTH"], False)
    windows = functions.window(image, (P["KERNEL_H"], P["KERNEL_W"]), (P["STRIDE_H"], P["STRIDE_W"]), PAD)
    groups = windows.reshape(-1, P["KERNEL_H"] * P["KERNEL_W"], GROUPS, P["LANES"]).swapaxes(1, 2)
    ins, outs = image.reshape(-1, P["LANES"]), groups.reshape(groups.shape[0] * GROUPS, -1)
    return Bench(dut, Case({"s_axis": beats(ins, P["IN_WIDTH"])}, {"m_axis": beats(outs, P["IN_WIDTH"])}, FRAMES))


def steps() -> int:
    """Steps of a frame, as the header defines them: the pixels, or more where the last windows need pushing out."""
    out_h = (P["HEIGHT"] + PAD[0] + PAD[2] - P["KERNEL_H"]) // P["STRIDE_H"] + 1
    out_w = (P["WIDTH"] + PAD[1] + PAD[3] - P["KERNEL_W"]) // P["STRIDE_W"] + 1
    last_row = (out_h - 1) * P["STRIDE_H"] + P["KERNEL_H"] - 1 - PAD[0]
    last = last_row * P["WIDTH"] + (out_w - 1) * P["STRIDE_W"] + P["KERNEL_W"] - 1 - PAD[1]
    return max(P["HEIGHT"] * P["WIDTH"], last + 1)


@cocotb.test()
async def full_rate(dut):
    lead = (P["KERNEL_H"] - 1 - PAD[0]) * P["WIDTH"] + P["KERNEL_W"] - 1 - PAD[1]
    await steady(bench(dut), interval=steps() * GROUPS, latency=lead * GROUPS + 2)


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
