"""A whole network behind its AXI4-Stream ports: random stalls on both sides, frames back to back, packets, resets.

`VECTORS` in the environment is an .npz with `frames` and `results`, uint8 (frame, bytes as they stand on the bus);
`SEED` seeds the stalls; `CONFIGURATION` is the word on the port of that name, where there are runtime layers.
"""

from __future__ import annotations

import os
import random

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

CLOCK_NS = 10
#: cycles that a frame may take under stalls before the bench gives up
PATIENCE = int(os.environ["PATIENCE"])
#: cycles in which a result too many would come
DRAIN = PATIENCE // 16


class Bench:
    """The device under test between a source and a sink."""

    def __init__(self, dut) -> None:
        self.dut = dut
        vectors = np.load(os.environ["VECTORS"])
        self.frames = [frame.tobytes() for frame in vectors["frames"]]
        self.results = [result.tobytes() for result in vectors["results"]]
        seed = int(os.environ.get("SEED", "0"))
        self.random = random.Random(seed)
        dut._log.info("seed %d, %d frames", seed, len(self.frames))
        if "CONFIGURATION" in os.environ:
            dut.configuration.value = int(os.environ["CONFIGURATION"])
        port = {"clock": dut.ap_clk, "reset": dut.ap_rst_n, "reset_active_level": False}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), **port)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), **port)

    async def start(self) -> None:
        cocotb.start_soon(Clock(self.dut.ap_clk, CLOCK_NS, unit="ns").start())
        await self.reset()

    async def reset(self) -> None:
        self.dut.ap_rst_n.value = 0
        await ClockCycles(self.dut.ap_clk, 4)
        self.dut.ap_rst_n.value = 1
        await RisingEdge(self.dut.ap_clk)

    def stall(self, share: float):
        """Runs of idle cycles, about `share` of all, in bursts of random length."""
        while True:
            paused = self.random.random() < share
            for _ in range(self.random.randint(1, 24)):
                yield paused

    async def expect(self, *indices: int) -> None:
        """Receives the results of these frames, a packet each, and compares every byte with golden's."""
        for index in indices:
            frame = await with_timeout(self.sink.recv(), PATIENCE * CLOCK_NS, "ns")
            assert bytes(frame.tdata) == self.results[index], f"frame {index} differs from golden"
        await ClockCycles(self.dut.ap_clk, DRAIN)
        assert self.sink.empty(), "more results than frames"


@cocotb.test()
async def back_to_back_with_stalls(dut) -> None:
    """All frames, both sides stalling at random."""
    bench = Bench(dut)
    bench.source.set_pause_generator(bench.stall(0.3))
    bench.sink.set_pause_generator(bench.stall(0.3))
    await bench.start()
    for frame in bench.frames:
        await bench.source.send(AxiStreamFrame(frame))
    await bench.expect(*range(len(bench.frames)))
    assert not dut.frame_error.value


@cocotb.test()
async def reset_in_mid_frame(dut) -> None:
    """A frame is cut off at a random beat by a reset; the next one is exact and nothing of the first comes out."""
    bench = Bench(dut)
    await bench.start()
    await bench.source.send(AxiStreamFrame(bench.frames[-1]))
    size = len(bench.frames[0])
    await ClockCycles(dut.ap_clk, bench.random.randint(min(50, size), 2 * size))
    bench.source.clear()
    await bench.reset()
    bench.sink.clear()
    await bench.source.send(AxiStreamFrame(bench.frames[0]))
    await bench.expect(0)


@cocotb.test()
async def reset_while_a_result_waits(dut) -> None:
    """A reset that finds a result at the output, which nobody takes: nothing of it comes out afterwards."""
    bench = Bench(dut)
    bench.sink.pause = True
    await bench.start()
    await bench.source.send(AxiStreamFrame(bench.frames[-1]))
    await with_timeout(RisingEdge(dut.m_axis_tvalid), PATIENCE * CLOCK_NS, "ns")
    await ClockCycles(dut.ap_clk, bench.random.randint(1, 20))
    bench.source.clear()
    await bench.reset()
    assert not dut.m_axis_tvalid.value
    bench.sink.clear()
    bench.sink.pause = False
    await bench.source.send(AxiStreamFrame(bench.frames[0]))
    await bench.expect(0)


@cocotb.test()
async def packets_of_a_wrong_length(dut) -> None:
    """Two frames in one packet: frames are counted, so the results are exact; frame_error shows it until a reset."""
    bench = Bench(dut)
    await bench.start()
    assert not dut.frame_error.value
    await bench.source.send(AxiStreamFrame(bench.frames[-1] + bench.frames[0]))
    await bench.expect(-1, 0)
    assert dut.frame_error.value
    await bench.reset()
    assert not dut.frame_error.value
