"""What the benches of all components have in common: clock, reset, scenarios, comparison.

A bench gives `Case`s: beats to send on each input stream and beats to expect on each output stream. Every scenario
compares all beats, checks that nothing comes after the last one, and has a time limit.

From the environment: `PARAMETERS`, a JSON object with the component's parameters, and `SEED`, which is printed.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from streams import Sink, Source, pauses

SEED = int(os.environ.get("SEED", "1"))
PERIOD_NS = 10
#: cycles in which nothing may come after the last beat
DRAIN_CYCLES = 40

PARAMETERS: dict = json.loads(os.environ.get("PARAMETERS", "{}"))


def rng() -> np.random.Generator:
    """Numbers that depend on the seed and on the parameters."""
    return np.random.default_rng([SEED, *json.dumps(PARAMETERS, sort_keys=True).encode()])


def integers(generator: np.random.Generator, shape: tuple[int, ...], width_bits: int, signed: bool) -> np.ndarray:
    """Integers of a type, every fifth one an extreme."""
    low, high = (-(1 << width_bits - 1), (1 << width_bits - 1) - 1) if signed else (0, (1 << width_bits) - 1)
    values = generator.integers(low, high, shape, endpoint=True)
    extreme = generator.random(shape)
    values[extreme < 0.1] = low
    values[extreme > 0.9] = high
    return values


@dataclass
class Case:
    """Some frames: what goes in and what must come out, by stream prefix.

    Attributes:
        inputs, outputs: beats.
        frames: how many frames that is.
        outputs_of: number of receivers that share the output's signals (`stream_fork`).
        lasts: TLAST of each beat, where the component has it.
    """

    inputs: dict[str, list[int]]
    outputs: dict[str, list[int]]
    frames: int
    lasts: dict[str, list[bool]] = field(default_factory=dict)


class Bench:
    """The device under test with a source and a sink on every stream."""

    def __init__(self, dut, case: Case, forks: int = 0, companion: Callable[..., Awaitable] | None = None) -> None:
        dut._log.info("seed %d, parameters %s", SEED, PARAMETERS)
        self.dut, self.case, self.forks, self.companion = dut, case, forks, companion
        self.random = random.Random(SEED)
        self.tasks: list = []

    async def start(self) -> None:
        """Starts the clock and resets."""
        cocotb.start_soon(Clock(self.dut.clk, PERIOD_NS, unit="ns").start())
        if self.companion:
            cocotb.start_soon(self.companion(self.dut))
        self.connect()
        await self.reset()

    def connect(self) -> None:
        """New ends on all streams."""
        dut, case = self.dut, self.case
        self.sources = {prefix: Source(dut, prefix) for prefix in case.inputs}
        if self.forks:
            ready = [0] * self.forks
            self.sinks = {f"m_axis[{i}]": Sink(dut, "m_axis", i, self.forks, ready) for i in range(self.forks)}
        else:
            self.sinks = {prefix: Sink(dut, prefix) for prefix in case.outputs}

    async def reset(self) -> None:
        """Drops what is under way on both sides and in the device."""
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.dut.rst.value = 1
        self.connect()
        for _ in range(3):
            await RisingEdge(self.dut.clk)
        self.dut.rst.value = 0

    def run(self, source_share: float, sink_share: float) -> list:
        """Starts all ends; returns the tasks of the sources."""
        case = self.case
        sending = [
            cocotb.start_soon(
                source.send(case.inputs[prefix], pauses(self.random, source_share), case.lasts.get(prefix))
            )
            for prefix, source in self.sources.items()
        ]
        receiving = [cocotb.start_soon(sink.run(pauses(self.random, sink_share))) for sink in self.sinks.values()]
        self.tasks = sending + receiving
        return sending

    def expected(self, name: str) -> list[int]:
        """What a sink must receive."""
        return self.case.outputs["m_axis" if self.forks else name]

    async def finish(self, patience_cycles: int) -> None:
        """Waits until every sink has its beats, compares them, and waits for one too many."""

        async def complete() -> None:
            while any(len(sink.received) < len(self.expected(name)) for name, sink in self.sinks.items()):
                await RisingEdge(self.dut.clk)
            for _ in range(DRAIN_CYCLES):
                await RisingEdge(self.dut.clk)

        try:
            await with_timeout(complete(), patience_cycles * PERIOD_NS, "ns")
        except TimeoutError:
            self.compare()
            counts = {name: f"{len(sink.received)} of {len(self.expected(name))}" for name, sink in self.sinks.items()}
            raise AssertionError(f"no more beats after {patience_cycles} cycles: received {counts}") from None
        self.compare()
        for name, sink in self.sinks.items():
            assert len(sink.received) == len(self.expected(name)), f"{name}: more beats than expected"
            if name in self.case.lasts:
                assert sink.lasts == self.case.lasts[name], f"{name}: TLAST on the wrong beats"

    def compare(self) -> None:
        """Names the first beat that differs."""
        for name, sink in self.sinks.items():
            for index, (got, want) in enumerate(zip(sink.received, self.expected(name))):
                assert got == want, f"{name}: beat {index} is {got:#x}, expected {want:#x}"

    def patience(self) -> int:
        """Cycles after which a scenario has failed."""
        longest = max(len(v) for v in [*self.case.inputs.values(), *self.case.outputs.values()])
        return 40 * longest + 20_000


async def steady(bench: Bench, interval: int | None = None, latency: int | None = None) -> None:
    """No stalls. Checks the cycles from one frame's last beat to the next one's, and from the start to the first beat.

    Args:
        interval: cycles of a frame in the middle of the run.
        latency: cycles from the first beat in to the first beat out.
    """
    await bench.start()
    bench.run(0.0, 0.0)
    await bench.finish(bench.patience())
    sink = next(iter(bench.sinks.values()))
    per_frame = len(sink.received) // bench.case.frames
    ends = sink.times[per_frame - 1 :: per_frame]
    if interval is not None:
        assert len(ends) >= 2, "two frames at least, to measure an interval"
        measured = [b - a for a, b in pairwise(ends)]
        assert measured == [interval] * len(measured), f"frames take {measured} cycles, expected {interval}"
    if latency is not None:
        assert sink.times[0] == latency, f"first beat after {sink.times[0]} cycles, expected {latency}"


async def stalled(bench: Bench) -> None:
    """Random stalls on both sides, in several mixtures."""
    await bench.start()
    for source_share, sink_share in ((0.6, 0.0), (0.0, 0.7), (0.3, 0.3), (0.7, 0.7)):
        bench.run(source_share, sink_share)
        await bench.finish(bench.patience())
        await bench.reset()


async def reset_midway(bench: Bench) -> None:
    """Reset while it runs and while its outputs are stalled; afterwards all is as new."""
    await bench.start()
    total = max(len(values) for values in bench.case.inputs.values())
    for sink_share in (0.3, 1.0):
        bench.run(0.2, sink_share)
        for _ in range(bench.random.randint(5, max(6, total))):
            await RisingEdge(bench.dut.clk)
        await bench.reset()
        bench.run(0.1, 0.1)
        await bench.finish(bench.patience())
        await bench.reset()
