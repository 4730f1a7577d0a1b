"""frame_configuration: each frame gets what was on the port in the cycle of its first beat, whenever it changes."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge
from component import PARAMETERS, PERIOD_NS, SEED
from streams import pauses

P = PARAMETERS
BITS = (P["COUNT"] - 1).bit_length()


def legal(word: int) -> int:
    """Indices that do not exist become the last that does."""
    fields = [min(word >> f * BITS & (1 << BITS) - 1, P["COUNT"] - 1) for f in range(P["FIELDS"])]
    return sum(value << f * BITS for f, value in enumerate(fields))


class Bench:
    """Random stalls on three sides and a configuration that changes in every cycle; the model looks on."""

    def __init__(self, dut) -> None:
        dut._log.info("seed %d, parameters %s", SEED, P)
        self.dut, self.random = dut, random.Random(SEED)
        self.expected: list[int] = []
        self.taken: list[int] = []
        self.beats = self.cycles = 0

    async def reset(self) -> None:
        self.dut.rst.value = 1
        self.expected, self.taken, self.beats, self.cycles = [], [], 0, 0
        for _ in range(2):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0

    async def run(self, shares: tuple[float, float, float], frames: int, drain: bool = True) -> None:
        """Until `frames` frames are in, and their configurations out."""
        dut = self.dut
        send, receive, take = (pauses(self.random, share) for share in shares)
        offered = 0
        while self.beats < frames * P["BEATS_PER_FRAME"] or (drain and len(self.taken) < frames):
            if not offered:
                offered = int(self.beats < frames * P["BEATS_PER_FRAME"] and not next(send))
            word = self.random.getrandbits(BITS * P["FIELDS"])
            dut.configuration.value, dut.s_axis_tvalid.value = word, offered
            dut.m_axis_tready.value, dut.m_configuration_tready.value = int(not next(receive)), int(not next(take))
            await ReadOnly()
            passed = offered and int(dut.s_axis_tready.value)
            assert passed == (int(dut.m_axis_tvalid.value) and int(dut.m_axis_tready.value)), "a beat on one side only"
            if int(dut.m_configuration_tvalid.value) and int(dut.m_configuration_tready.value):
                self.taken.append(int(dut.m_configuration_tdata.value))
            if passed:
                if self.beats % P["BEATS_PER_FRAME"] == 0:
                    self.expected.append(legal(word))
                self.beats += 1
                offered = 0
            self.cycles += 1
            assert self.cycles < 10_000, "stuck"
            await RisingEdge(dut.clk)
        assert self.taken == self.expected[: len(self.taken)]
        assert not drain or self.taken == self.expected


@cocotb.test()
async def frames(dut) -> None:
    bench = Bench(dut)
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
    for shares in ((0.0, 0.0, 0.0), (0.5, 0.3, 0.0), (0.0, 0.0, 0.8), (0.3, 0.5, 0.5)):
        await bench.reset()
        await bench.run(shares, 40)
        if shares == (0.0, 0.0, 0.0) and P["BEATS_PER_FRAME"] > 1:
            assert bench.cycles == 40 * P["BEATS_PER_FRAME"], "a pause between frames"


@cocotb.test()
async def reset_in_between(dut) -> None:
    """A configuration that waits and half a frame are forgotten."""
    bench = Bench(dut)
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
    await bench.reset()
    for frames_before in (1, 2, 5):
        await bench.run((0.0, 0.0, 0.9), frames_before, drain=False)
        await bench.reset()
        await bench.run((0.2, 0.2, 0.2), 10)
        await bench.reset()
