"""The ends of a stream: a source that sends beats and a sink that receives them, both with random stalls.

A beat is an integer, the element in the lowest bits first. Both sides drive just after a rising edge and look at the
bus just before the next, where a beat passes if valid and ready are high. The sink also checks the rules of the
bus: valid does not fall, and data do not change, until a beat has been taken.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
from cocotb.triggers import ReadOnly, RisingEdge


def beats(elements: np.ndarray, width_bits: int) -> list[int]:
    """(..., lanes) integers to one beat for each row; negative elements in two's complement."""
    lanes = elements.shape[-1]
    mask = (1 << width_bits) - 1
    packed = []
    for row in elements.reshape(-1, lanes).tolist():
        value = 0
        for lane in reversed(row):
            value = value << width_bits | (lane & mask)
        packed.append(value)
    return packed


def pauses(generator: random.Random, share: float) -> Iterator[bool]:
    """Whether to pause, cycle by cycle: mostly short bursts, which fill `share` of all cycles."""
    while True:
        pause = generator.random() < share
        for _ in range(generator.choice((1, 1, 1, 2, 3, 8))):
            yield pause


class Source:
    """Sends beats on `<prefix>_tdata`, `_tvalid`, `_tready`."""

    def __init__(self, dut, prefix: str) -> None:
        self.clock = dut.clk
        self.data = getattr(dut, f"{prefix}_tdata")
        self.valid = getattr(dut, f"{prefix}_tvalid")
        self.ready = getattr(dut, f"{prefix}_tready")
        self.last = getattr(dut, f"{prefix}_tlast", None)
        self.sent = 0
        self.valid.value = 0
        self.data.value = 0

    async def send(self, values: list[int], pause: Iterator[bool], lasts: list[bool] | None = None) -> None:
        """Sends all values; with valid low, the data are nonsense on purpose."""
        for index, value in enumerate(values):
            while next(pause):
                self.valid.value = 0
                await RisingEdge(self.clock)
            self.valid.value = 1
            self.data.value = value
            if self.last is not None and lasts is not None:
                self.last.value = int(lasts[index])
            while True:
                await ReadOnly()
                taken = int(self.ready.value)
                await RisingEdge(self.clock)
                if taken:
                    break
            self.sent += 1
            self.data.value = ~value & ((1 << len(self.data)) - 1)
        self.valid.value = 0


class Sink:
    """Receives beats from `<prefix>_tdata`, `_tvalid`, `_tready`; `index` selects one of several outputs."""

    def __init__(
        self, dut, prefix: str, index: int | None = None, outputs: int = 1, shared_ready: list | None = None
    ) -> None:
        self.clock = dut.clk
        self.data = getattr(dut, f"{prefix}_tdata")
        self.valid = getattr(dut, f"{prefix}_tvalid")
        self.ready = getattr(dut, f"{prefix}_tready")
        self.last = getattr(dut, f"{prefix}_tlast", None)
        self.index = index
        self.width = len(self.data) // outputs
        self.shared_ready = shared_ready
        self.received: list[int] = []
        self.lasts: list[bool] = []
        self.times: list[int] = []
        self.time = 0
        self._drive(0)

    def _drive(self, ready: int) -> None:
        if self.index is None:
            self.ready.value = ready
        else:
            self.shared_ready[self.index] = ready
            self.ready.value = sum(bit << i for i, bit in enumerate(self.shared_ready))

    def _look(self) -> tuple[int, int]:
        valid, data = int(self.valid.value), self.data.value.to_unsigned()
        if self.index is None:
            return valid, data
        return valid >> self.index & 1, data >> self.index * self.width & ((1 << self.width) - 1)

    async def run(self, pause: Iterator[bool]) -> None:
        """Receives for ever."""
        owed: int | None = None
        while True:
            ready = int(not next(pause))
            self._drive(ready)
            await ReadOnly()
            valid, data = self._look()
            if owed is not None:
                assert valid, "valid fell before its beat was taken"
                assert data == owed, "data changed before their beat was taken"
            owed = None
            if valid and ready:
                self.received.append(data)
                self.times.append(self.time)
                if self.last is not None:
                    self.lasts.append(bool(int(self.last.value)))
            elif valid:
                owed = data
            self.time += 1
            await RisingEdge(self.clock)
