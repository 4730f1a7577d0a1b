"""axi_lite_registers: every register, counters under random frames, strobes, stalls on all five channels, resets."""

from __future__ import annotations

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from component import PARAMETERS, PERIOD_NS, SEED
from streams import pauses

P = PARAMETERS
ID, VERSION, BUILD, IN_BEATS, OUT_BEATS, FRAMES_IN, FRAMES_OUT, INTERVAL, STATUS, CONTROL = range(0, 40, 4)
CONSTANTS = {ID: 0x464C4F57, VERSION: 2, BUILD: P["BUILD"], IN_BEATS: P["IN_BEATS"], OUT_BEATS: P["OUT_BEATS"]}
SOFT_RESET, CLEAR = 1, 2
#: of the runtime layers: their number, what they choose from, whether writes wait, and the first one's own register
LAYERS, WIDTHS, HOLD, LAYER = 0x28, 0x2C, 0x30, 0x40
COUNT = P.get("LAYERS", 0)
CHOICES = [P["WIDTHS"] >> 4 * i & 15 for i in range(P["COUNT"])] if COUNT else []
if COUNT:
    CONSTANTS |= {LAYERS: COUNT, WIDTHS: P["WIDTHS"]}
OKAY, SLVERR = 0, 2
#: one access may take this long under stalls
PATIENCE_NS = 1000 * PERIOD_NS


class Bench:
    """The registers with a host on the bus, and a model of what the host must see."""

    def __init__(self, dut) -> None:
        dut._log.info("seed %d, parameters %s", SEED, P)
        self.dut, self.random = dut, random.Random(SEED)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.frames_in = self.frames_out = 0

    async def start(self) -> None:
        for pulse in (self.dut.frame_in, self.dut.frame_out, self.dut.frame_error):
            pulse.value = 0
        cocotb.start_soon(Clock(self.dut.clk, PERIOD_NS, unit="ns").start())
        await self.reset()

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await RisingEdge(self.dut.clk)

    def stall(self, share: float) -> None:
        """Pauses on all five channels."""
        write, read = self.host.write_if, self.host.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(pauses(self.random, share))

    async def read(self, address: int) -> int:
        answer = await with_timeout(self.host.read(address, 4), PATIENCE_NS, "ns")
        assert answer.resp == 0
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, data: bytes) -> None:
        answer = await with_timeout(self.host.write(address, data), PATIENCE_NS, "ns")
        assert answer.resp == 0

    async def pulse(self, frame_in: bool, frame_out: bool) -> None:
        """One cycle in which frames end."""
        self.dut.frame_in.value, self.dut.frame_out.value = int(frame_in), int(frame_out)
        await RisingEdge(self.dut.clk)
        self.dut.frame_in.value = self.dut.frame_out.value = 0
        self.frames_in += frame_in
        self.frames_out += frame_out

    async def check_counters(self) -> None:
        assert await self.read(FRAMES_IN) == self.frames_in
        assert await self.read(FRAMES_OUT) == self.frames_out
        assert await self.read(STATUS) == 2 * (self.frames_in != self.frames_out)

    async def check_cleared(self) -> None:
        self.frames_in = self.frames_out = 0
        await self.check_counters()
        assert await self.read(INTERVAL) == 0


@cocotb.test()
async def constants(dut):
    """What identifies the network reads as the parameters say, and cannot be written."""
    bench = Bench(dut)
    await bench.start()
    for share in (0.0, 0.5):
        bench.stall(share)
        for address, expected in CONSTANTS.items():
            assert await bench.read(address) == expected, f"address {address:#x}"
            await bench.write(address, bench.random.randbytes(4))
            assert await bench.read(address) == expected, f"address {address:#x} was written"
        for address in set(range(CONTROL + 4, LAYER, 4)) - CONSTANTS.keys() - ({HOLD} if COUNT else set()):
            await bench.write(address, b"\xff" * 4)
            assert await bench.read(address) == 0, f"address {address:#x} holds nothing"
    assert not dut.soft_reset.value


@cocotb.test()
async def counters(dut):
    """Frames are counted, on both sides in one cycle too, while the host reads and stalls."""
    bench = Bench(dut)
    await bench.start()
    bench.stall(0.4)
    for _ in range(60):
        await bench.pulse(bench.random.random() < 0.5, bench.random.random() < 0.5)
        await ClockCycles(dut.clk, bench.random.randint(1, 6))
        if bench.random.random() < 0.3:
            await bench.check_counters()
    await bench.check_counters()
    await bench.write(CONTROL, bytes([CLEAR, 0, 0, 0]))
    await bench.check_cleared()
    assert not dut.soft_reset.value


@cocotb.test()
async def interval(dut):
    """The cycles between the ends of the last two frames."""
    bench = Bench(dut)
    await bench.start()
    await bench.pulse(False, True)
    assert await bench.read(INTERVAL) == 0
    for cycles in (1, 2, 17, 400):
        for _ in range(2):  # the second pulse is `cycles` after the first, whatever was before
            await bench.pulse(False, True)
            await ClockCycles(dut.clk, cycles - 1) if cycles > 1 else None
        await bench.pulse(False, True)
        assert await bench.read(INTERVAL) == cycles


@cocotb.test()
async def soft_reset(dut):
    """It lasts RESET_CYCLES, clears the counters, and needs the low byte to be written."""
    bench = Bench(dut)
    await bench.start()
    for share in (0.0, 0.5):
        bench.stall(share)
        await bench.pulse(True, True)
        await bench.write(CONTROL + 1, b"\xff\xff\xff")
        assert not dut.soft_reset.value
        await bench.check_counters()
        writing = cocotb.start_soon(bench.write(CONTROL, bytes([SOFT_RESET, 0, 0, 0])))
        await with_timeout(RisingEdge(dut.soft_reset), PATIENCE_NS, "ns")
        cycles = 0
        while True:
            await FallingEdge(dut.clk)
            if not dut.soft_reset.value:
                break
            cycles += 1
        assert cycles == P["RESET_CYCLES"]
        await writing
        assert await bench.read(CONTROL) == 0
        await bench.check_cleared()


@cocotb.test()
async def frame_error(dut):
    """The flag shows as it is."""
    bench = Bench(dut)
    await bench.start()
    for level in (1, 0, 1):
        dut.frame_error.value = level
        await RisingEdge(dut.clk)
        assert await bench.read(STATUS) == level
    dut.frame_error.value = 0


@cocotb.test()
async def reads_beside_writes(dut):
    """Both directions at once, back to back, with stalls on every channel: all are answered, in order."""
    bench = Bench(dut)
    await bench.start()
    for share in (0.0, 0.3, 0.7):
        bench.stall(share)
        addresses = bench.random.choices(list(CONSTANTS), k=40)
        reads = [bench.host.init_read(address, 4) for address in addresses]
        writes = [bench.host.init_write(bench.random.randrange(0, CONTROL, 4), b"\xff" * 4) for _ in range(40)]
        for event in writes:
            await with_timeout(event.wait(), PATIENCE_NS * 10, "ns")
        for address, event in zip(addresses, reads):
            await with_timeout(event.wait(), PATIENCE_NS * 10, "ns")
            assert int.from_bytes(event.data.data, "little") == CONSTANTS[address]


@cocotb.test()
async def reset_while_an_answer_waits(dut):
    """A reset drops answers that the host has not taken; afterwards all is as new."""
    bench = Bench(dut)
    await bench.start()
    await bench.pulse(True, False)
    bench.host.read_if.r_channel.pause = True
    bench.host.write_if.b_channel.pause = True
    bench.host.init_read(ID, 4)
    bench.host.init_write(CONTROL, bytes([SOFT_RESET, 0, 0, 0]))
    await ClockCycles(dut.clk, 8)
    assert dut.s_axi_rvalid.value and dut.s_axi_bvalid.value
    await bench.reset()
    assert not dut.s_axi_rvalid.value and not dut.s_axi_bvalid.value and not dut.soft_reset.value
    bench.host.read_if.r_channel.pause = False
    bench.host.write_if.b_channel.pause = False
    await bench.check_cleared()


@cocotb.test(skip=not COUNT)
async def widths_of_layers(dut):
    """A layer takes a width that there is and keeps it; anything else is refused and changes nothing. While HOLD is 1
    the network sees what was there before."""
    bench = Bench(dut)
    await bench.start()
    bits, widths = (len(CHOICES) - 1).bit_length(), [CHOICES[-1]] * COUNT
    held, answers, waited = None, set(), False
    for share in (0.0, 0.5):
        bench.stall(share)
        for _ in range(80):
            if bench.random.random() < 0.2:
                hold = bench.random.getrandbits(1)
                await bench.write(HOLD, bytes([0xFE * bench.random.getrandbits(1) | hold, 0, 0, 0]))
                held = None if not hold else held or list(widths)
                await bench.write(HOLD + 1, b"\xff\xff\xff")
                assert await bench.read(HOLD) == hold
            layer = bench.random.randrange(COUNT + 2)
            wrong = (0, 1, 5, 15, CHOICES[0] + 256, bench.random.getrandbits(32))
            value = bench.random.choice([*CHOICES, *CHOICES, *wrong])
            offset, size = bench.random.choice([(0, 4), (0, 4), (0, 1), (0, 2), (1, 3), (2, 2)])
            data = value.to_bytes(4, "little")[offset : offset + size]
            answer = await with_timeout(bench.host.write(LAYER + 4 * layer + offset, data), PATIENCE_NS, "ns")
            given = int.from_bytes(data, "little")
            legal = layer < COUNT and given in CHOICES
            if offset == 0 and legal:
                widths[layer] = given
            assert answer.resp == (OKAY if offset or legal else SLVERR), f"layer {layer}, {data} at byte {offset}"
            answers.add(int(answer.resp))
            layer = bench.random.randrange(COUNT)
            assert await bench.read(LAYER + 4 * layer) == widths[layer]
            indices = [int(dut.configuration.value) >> i * bits & (1 << bits) - 1 for i in range(COUNT)]
            assert indices == [CHOICES.index(width) for width in held or widths]
            waited |= held is not None and held != widths
    assert answers == {OKAY, SLVERR} and waited
    await bench.write(HOLD, bytes([1, 0, 0, 0]))
    await bench.write(CONTROL, bytes([SOFT_RESET, 0, 0, 0]))
    assert await bench.read(LAYER) == widths[0] and await bench.read(HOLD) == 1, "a soft reset keeps both"
    await bench.reset()
    assert [await bench.read(LAYER + 4 * layer) for layer in range(COUNT + 1)] == [CHOICES[-1]] * COUNT + [0]
    assert await bench.read(HOLD) == 0


@cocotb.test(skip=not COUNT)
async def widths_change_together(dut):
    """From one cycle to the next when HOLD goes back to 0, and in no cycle before."""
    bench = Bench(dut)
    await bench.start()
    for choice in (CHOICES[0], CHOICES[-1], CHOICES[0]):
        await bench.write(HOLD, bytes([1, 0, 0, 0]))
        before, seen = int(dut.configuration.value), set()
        writing = cocotb.start_soon(_write_all(bench, choice))
        while not writing.done():
            await FallingEdge(dut.clk)
            seen.add(int(dut.configuration.value))
        bits = (len(CHOICES) - 1).bit_length()
        after = sum(CHOICES.index(choice) << i * bits for i in range(COUNT))
        assert seen == {before, after}


async def _write_all(bench: Bench, width: int) -> None:
    for layer in range(COUNT):
        await bench.write(LAYER + 4 * layer, bytes([width, 0, 0, 0]))
    await bench.write(HOLD, bytes(4))
    await ClockCycles(bench.dut.clk, 2)
