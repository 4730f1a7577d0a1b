"""An IP block with runtime layers: a host writes widths at any moment, and each frame has those that it began with.

`VECTORS`, `SEED` and `PATIENCE` as in `test_network`; `GRAPH` and `IMAGES` are the network and its inputs, `FRAMES`
how many each part sends, few where a network is large. What a frame's result must be is not known beforehand: the
bench looks on the buses which widths were there when the frame's first beat went in, and asks golden.
"""

from __future__ import annotations

import os
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiStreamFrame
from test_ip import STATUS, IpBench
from test_network import CLOCK_NS, PATIENCE

from flow import golden, ir
from flow.folding.fold import bus_lanes
from flow.rtl.beats import to_bus

GRAPH = ir.load(Path(os.environ["GRAPH"]))
RUNTIME = GRAPH.runtime
HOLD, LAYER, OKAY, SLVERR = 0x30, 0x40, 0, 2
BEATS = GRAPH.input.output.elements // bus_lanes(GRAPH.input.output)
RESULT = GRAPH.output.output.elements
#: so many frames meet writes in every phase, and hardly two of them have the same widths
ENOUGH = 60
FRAMES = int(os.environ.get("FRAMES", ENOUGH))
TRIALS = 6 if FRAMES >= ENOUGH else 2


class RuntimeBench(IpBench):
    """With a model of the layers' registers, and the widths that each frame has begun with."""

    def __init__(self, dut) -> None:
        super().__init__(dut)
        self.images = np.load(os.environ["IMAGES"])
        self.all_widest()
        self.begun: list[list[int]] = []
        #: beats of a frame that had gone in when a write took effect, 0 before a frame's first
        self.phases: set[int] = set()
        self.beats = 0
        self.watching = cocotb.start_soon(self.watch())

    def all_widest(self) -> None:
        """As after a reset: what the registers hold, and what frames begin with."""
        self.held, self.written = False, [RUNTIME.widths[-1]] * len(RUNTIME.layers)
        self.widths = list(self.written)

    async def watch(self) -> None:
        """A write counts from the cycle after its handshake, a frame begins in that of its first beat's."""
        dut = self.dut
        while True:
            await ReadOnly()
            written = dut.s_axi_awvalid.value and dut.s_axi_wvalid.value and dut.s_axi_awready.value
            if dut.ap_rst_n.value and dut.s_axis_tvalid.value and dut.s_axis_tready.value:
                if self.beats % BEATS == 0:
                    self.begun.append(list(self.widths))
                self.beats += 1
            if dut.ap_rst_n.value and written:
                address, value = int(dut.s_axi_awaddr.value), int(dut.s_axi_wdata.value)
                layer = (address - LAYER) // 4
                if 0 <= layer < len(self.written) and value in RUNTIME.widths:
                    self.written[layer] = value
                elif address == HOLD:
                    self.held = bool(value & 1)
                if not self.held and self.widths != self.written:
                    self.phases.add(self.beats % BEATS)
                    self.widths = list(self.written)
            await RisingEdge(dut.ap_clk)

    async def reset(self) -> None:
        await super().reset()
        self.all_widest()
        self.forget()

    def forget(self) -> None:
        self.begun, self.beats = [], 0

    async def set_widths(self) -> None:
        """Writes, for ever, widths that are right or wrong into layers that are there or not, some of them held."""
        while True:
            if self.random.random() < (0.5 if self.held else 0.1):
                answer = await self.host.write(HOLD, int(not self.held).to_bytes(4, "little"))
                assert answer.resp == OKAY and await self.read(HOLD) == self.held
            layer = self.random.randrange(len(self.widths) + 1)
            width = self.random.choice([*RUNTIME.widths, *RUNTIME.widths, 1, 7, 16 + RUNTIME.widths[0]])
            right = layer < len(self.widths) and width in RUNTIME.widths
            answer = await self.host.write(LAYER + 4 * layer, width.to_bytes(4, "little"))
            assert answer.resp == (OKAY if right else SLVERR)
            if self.random.random() < 0.2:
                assert [await self.read(LAYER + 4 * i) for i in range(len(self.written))] == self.written
            await ClockCycles(self.dut.ap_clk, self.random.choice([1, 2, 5, 11, 23]))

    async def send(self, index: int) -> None:
        await self.source.send(AxiStreamFrame(self.frames[index % len(self.frames)]))

    async def expect_frame(self, number: int, index: int) -> None:
        """Receives one result and compares it with golden's for the widths that frame `number` has begun with."""
        frame = await with_timeout(self.sink.recv(), PATIENCE * CLOCK_NS, "ns")
        index %= len(self.images)
        result = golden.run(GRAPH, self.images[index : index + 1], configuration=self.begun[number])
        beats = np.frombuffer(bytes(frame.tdata), np.uint8).reshape(-1, len(self.dut.m_axis_tdata) // 8)
        want = to_bus(result, GRAPH.output.output, RESULT // len(beats))
        got = beats[:, : want.shape[1]]  # padding above
        assert np.array_equal(got, want), f"frame {number} differs from golden at {self.begun[number]} bits"


@cocotb.test()
async def every_frame_has_the_widths_it_began_with(dut) -> None:
    """Frames back to back, then with stalls on all sides, while widths change in every phase of a frame."""
    bench = RuntimeBench(dut)
    await bench.start()
    seen: set[tuple[int, ...]] = set()
    for share in (0.0, 0.25):
        bench.source.set_pause_generator(bench.stall(share))
        bench.sink.set_pause_generator(bench.stall(share))
        writing = cocotb.start_soon(bench.set_widths())
        for number in range(FRAMES):
            await bench.send(number)
        for number in range(FRAMES):
            await bench.expect_frame(number, number)
        assert bench.sink.empty()
        seen |= {tuple(widths) for widths in bench.begun}
        writing.cancel()
        await ClockCycles(dut.ap_clk, 40)  # a write that is under way ends
        assert await bench.read(STATUS) == 0, "a frame of the wrong length, or one that is still inside"
        await bench.reset()
    assert len(seen) >= FRAMES, "the frames hardly differ in their widths"
    missed = set(range(BEATS)) - bench.phases
    assert FRAMES < ENOUGH or not missed, f"no write after {missed} beats of a frame"


@cocotb.test()
async def resets_in_mid_frame(dut) -> None:
    """Whatever is inside, with whatever widths, is lost; a soft reset keeps the widths, a reset sets the widest."""
    bench = RuntimeBench(dut)
    bench.sink.set_pause_generator(bench.stall(0.3))
    await bench.start()
    for trial in range(TRIALS):
        writing = cocotb.start_soon(bench.set_widths())
        for number in range(3):
            await bench.send(number)
        await ClockCycles(dut.ap_clk, bench.random.randint(1, 40 * BEATS))
        writing.cancel()
        await ClockCycles(dut.ap_clk, 40)  # a write that is under way ends
        if trial % 2:
            bench.source.clear()
            await bench.reset()
        else:
            await bench.source.wait()  # what is sent is whole: a soft reset does not reach the sender
            await bench.soft_reset()
        bench.sink.clear()
        bench.forget()
        assert [await bench.read(LAYER + 4 * i) for i in range(len(bench.written))] == bench.written
        for number in range(3):
            await bench.send(number + trial)
        for number in range(3):
            await bench.expect_frame(number, number + trial)
        assert bench.sink.empty()
