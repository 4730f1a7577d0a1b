"""The IP block of a hand-off: AXI4-Stream under stalls with AXI4-Lite beside it, and resets of the network alone.

`VECTORS`, `SEED` and `PATIENCE` as in `test_network`; `BUILD`, `IN_BEATS` and `OUT_BEATS` are what registers must say.
"""

from __future__ import annotations

import os

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamFrame
from test_network import Bench

ID, VERSION, BUILD, IN_BEATS, OUT_BEATS, FRAMES_IN, FRAMES_OUT, INTERVAL, STATUS, CONTROL = range(0, 40, 4)
FRAME_ERROR, BUSY = 1, 2


class IpBench(Bench):
    """With a host on the registers."""

    def __init__(self, dut) -> None:
        super().__init__(dut)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.ap_clk, dut.ap_rst_n, False)

    def stall_host(self) -> None:
        write, read = self.host.write_if, self.host.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(self.stall(0.3))

    async def read(self, address: int) -> int:
        return int.from_bytes((await self.host.read(address, 4)).data, "little")

    async def soft_reset(self) -> None:
        await self.host.write(CONTROL, b"\x01\x00\x00\x00")
        while await self.read(CONTROL):
            pass
        assert (await self.read(FRAMES_IN), await self.read(FRAMES_OUT), await self.read(STATUS)) == (0, 0, 0)


@cocotb.test()
async def frames_under_stalls_beside_the_host(dut) -> None:
    """All frames with stalls on both streams while the host reads with stalls of its own; the counters tell."""
    bench = IpBench(dut)
    bench.source.set_pause_generator(bench.stall(0.3))
    bench.sink.set_pause_generator(bench.stall(0.3))
    bench.stall_host()
    await bench.start()
    given = {"BUILD": BUILD, "IN_BEATS": IN_BEATS, "OUT_BEATS": OUT_BEATS}
    expected = {ID: 0x464C4F57, VERSION: 2} | {address: int(os.environ[name]) for name, address in given.items()}
    for frame in bench.frames:
        await bench.source.send(AxiStreamFrame(frame))
    polling = cocotb.start_soon(poll(bench, expected))
    await bench.expect(*range(len(bench.frames)))
    await polling
    assert await bench.read(FRAMES_IN) == await bench.read(FRAMES_OUT) == len(bench.frames)
    assert await bench.read(STATUS) == 0
    assert await bench.read(INTERVAL) > 0


async def poll(bench: IpBench, expected: dict[int, int]) -> None:
    """Reads the constants while frames pass."""
    for _ in range(5):
        for address, value in expected.items():
            assert await bench.read(address) == value


@cocotb.test()
async def soft_reset_while_frames_are_inside(dut) -> None:
    """Frames that are inside, one of them waiting at the output, are lost whole; the next one is exact."""
    bench = IpBench(dut)
    bench.sink.pause = True
    await bench.start()
    await bench.source.send(AxiStreamFrame(bench.frames[-1]))
    await bench.source.wait()
    await ClockCycles(dut.ap_clk, bench.random.randint(1, 400))
    assert await bench.read(STATUS) == BUSY
    await bench.soft_reset()
    assert not dut.m_axis_tvalid.value
    bench.sink.pause = False
    await bench.source.send(AxiStreamFrame(bench.frames[0]))
    await bench.expect(0)


@cocotb.test()
async def soft_reset_after_a_packet_of_a_wrong_length(dut) -> None:
    """Half a frame with a TLAST sets the error flag; a soft reset clears it and the half frame."""
    bench = IpBench(dut)
    await bench.start()
    beat = len(dut.s_axis_tdata) // 8
    half = bench.frames[-1][: max(1, len(bench.frames[-1]) // beat // 2) * beat]
    await bench.source.send(AxiStreamFrame(half))
    await bench.source.wait()
    await ClockCycles(dut.ap_clk, 4)
    assert await bench.read(STATUS) & FRAME_ERROR
    await bench.soft_reset()
    await bench.source.send(AxiStreamFrame(bench.frames[0]))
    await bench.expect(0)
    assert await bench.read(STATUS) == 0
