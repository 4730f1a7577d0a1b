"""serial_matvec: against golden, with a random width for each frame; the weight memory is a model in Python."""

from __future__ import annotations

from itertools import pairwise

import cocotb
import numpy as np
from component import PARAMETERS, Bench, Case, integers, reset_midway, rng, stalled
from memories import Memories
from streams import beats

from flow.golden import functions
from flow.rtl import memory

P = PARAMETERS
FOLD = (P["MW"] // P["SIMD"]) * (P["MH"] // P["PE"])
WIDTHS = [P["WIDTHS"] >> 4 * i & 15 for i in range(P["COUNT"])]
FRAMES = max(8, min(24, 600 // (FOLD * P["VECTORS"])))


def fields() -> np.ndarray:
    """The width of each frame as an index; the first frames go from each width to each other."""
    tour = [i for a in range(P["COUNT"]) for b in range(P["COUNT"]) for i in (a, b)]
    return np.array([*tour[:FRAMES], *rng().integers(0, P["COUNT"], max(0, FRAMES - len(tour)))])


def bench(dut) -> Bench:
    generator, index = rng(), fields()
    bits = P["WEIGHT_WIDTH"]
    weights = integers(generator, (P["MH"], P["MW"]), bits, True)
    vectors = integers(generator, (FRAMES, P["VECTORS"], P["MW"]), P["IN_WIDTH"], bool(P["IN_SIGNED"]))
    chosen, odd = np.array(WIDTHS)[index], bool(P["WEIGHT_ODD"])
    results = functions.serial_matvec(vectors, weights, bits, chosen, odd).reshape(-1, P["PE"])
    memories = Memories(memory.pack_planes(weights, P["PE"], P["SIMD"], bits))
    inputs = {
        "s_axis": beats(vectors.reshape(-1, P["MW"]), P["IN_WIDTH"]),
        "s_configuration": beats(index[:, None], (P["COUNT"] - 1).bit_length()),
    }
    return Bench(dut, Case(inputs, {"m_axis": beats(results, P["ACC_WIDTH"])}, FRAMES), companion=memories.run)


@cocotb.test()
async def full_rate(dut):
    """Each frame takes the cycles of its own width, whatever the frame before it had; latency as the header says."""
    one = bench(dut)
    await one.start()
    one.run(0.0, 0.0)
    await one.finish(one.patience())
    sink, widths = one.sinks["m_axis"], np.array(WIDTHS)[fields()]
    ends = sink.times[P["MH"] // P["PE"] * P["VECTORS"] - 1 :: P["MH"] // P["PE"] * P["VECTORS"]]
    assert [b - a for a, b in pairwise(ends)] == [FOLD * P["VECTORS"] * width for width in widths[1:]]
    stages = 3 + (P["SIMD"] > 6) + (P["SIMD"] > 30)
    assert sink.times[0] == P["MW"] // P["SIMD"] * widths[0] + stages


@cocotb.test()
async def stalls(dut):
    await stalled(bench(dut))


@cocotb.test()
async def reset_in_between(dut):
    await reset_midway(bench(dut))
