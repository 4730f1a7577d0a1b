"""simulate: the RTL in Verilator, at full rate on many images, under random stalls on some, in cocotb on a few."""

from __future__ import annotations

import numpy as np

from flow import ir
from flow.errors import CheckFailed
from flow.folding import file
from flow.paths import testbench
from flow.pipeline.code import COMPILER, ROOT, Code
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import inputs_of
from flow.pipeline.stages.convert import GOLDEN, GRAPH
from flow.pipeline.stages.rtl import FOLDER, FOLDING
from flow.pipeline.stages.runtime import timed
from flow.pipeline.subject import scores, subject_of
from flow.pipeline.widths import frame_widths
from flow.rtl import load_design
from flow.simulate.bench import run_bench
from flow.simulate.compare import Difference, compare
from flow.simulate.fast import Simulator
from flow.simulate.registers import run_registers_bench

#: by which the measured interval may exceed the folding's without a word, for registers between the units
SLACK_CYCLES = 24
#: of the folder `testbench`, all that sends frames into a whole network
BENCHES = ("network.cpp", "test_network.py", "test_ip.py", "test_runtime.py")


def run(work: Work) -> Result:
    """Streams images through the network; every integer must equal golden's."""
    config, reporter = work.config, work.reporter
    graph = ir.load(work.path("convert", GRAPH))
    folding = file.load(graph, work.path("rtl", FOLDING))
    design = load_design(work.path("rtl", FOLDER))
    samples = subject_of(config).samples()
    images = inputs_of(work)[: config.images]
    expected = np.load(work.path("convert", GOLDEN))[: len(images)]

    reporter.line("  building the network under Verilator")
    simulator = Simulator(graph, folding, design, work.cache)
    widths = frame_widths(config, graph.runtime, len(images))
    found = simulator.run(images, lambda done: reporter.progress("RTL images", done, len(images)), widths)
    difference = compare(graph.output.inputs[0], expected, found.outputs)
    if difference.count:
        raise CheckFailed(
            f"RTL and golden: {difference}. {explanation(simulator, images, difference.index[0], widths)}"
        )
    stalled = min(config.stalled_images, len(images))
    few = None if widths is None else widths[:stalled]
    again = simulator.run(images[:stalled], configuration=few, stalls=config.seed + 1)
    under_stalls = compare(graph.output.inputs[0], expected[:stalled], again.outputs)
    if under_stalls.count:
        raise CheckFailed(f"RTL under random stalls and golden: {under_stalls}; without stalls all are equal")
    rate = len(images) / found.seconds
    first, interval = found.first_frame_cycles, found.interval_cycles
    runs = []
    if graph.runtime is None:
        told = f"first frame {first:,} cycles, then one every {interval:,}"
        reporter.line(f"  RTL: {difference}; {told}; {rate:.1f} images a second")
    else:
        reporter.line(f"  RTL: {difference}, other widths with every frame; {rate:.1f} images a second")
        runs = timed(work, graph, folding, simulator, images)
        widest = next(run for run in runs if set(run["bits"]) == {graph.runtime.widths[-1]})
        first, interval = widest["first_frame_cycles"], widest["interval_cycles"]
    planned = [(interval, work.values("rtl")["interval_cycles"])]
    planned += [(run["interval_cycles"], run["planned_cycles"]) for run in runs]
    slow = max(planned, key=lambda pair: pair[0] / pair[1])
    if any(cycles > wanted + SLACK_CYCLES for cycles, wanted in planned):
        reporter.line(
            f"  SLOWER THAN PLANNED: {slow[0]:,} cycles between frames where the folding counts on {slow[1]:,}, since "
            f"a layer waits for another; a smaller --max-cycles makes up for it"
        )
    reporter.line(f"  under random stalls on both sides: {under_stalls}, on {stalled} images")
    frames = min(config.bench_frames, len(images))
    if graph.runtime is None:
        bench = run_bench(
            graph, folding, design, images[:frames], expected[:frames], work.cache, work.folder, config.seed
        )
        done = "random stalls and a reset in mid-frame"
    else:
        bench = run_registers_bench(
            graph, folding, design, images[:frames], frames, work.cache, work.folder, config.seed
        )
        done = "random stalls, widths written over AXI4-Lite while frames pass, and resets in mid-frame"
    reporter.line(f"  cocotb: {bench.tests} tests passed with {done}, {bench.seconds:.0f} s")
    values = {
        "images": len(images),
        "differing": difference.count,
        "scores": scores(samples, found.outputs, graph.sources(graph.output)[0].fraction_bits, output=config.output),
        "first_frame_cycles": first,
        "interval_cycles": interval,
        "configurations": runs,
        "images_per_second": rate,
        "stalled_images": stalled,
        "bench_frames": frames,
        "bench_tests": bench.tests,
    }
    return Result(values)


def explanation(simulator: Simulator, images: np.ndarray, index: int, widths: np.ndarray | None = None) -> str:
    """Where image `index` goes wrong, layer by layer; with the image before it where it is right alone.

    Args:
        widths: of the layers in each image's frame, where there are runtime layers.
    """

    def explain(first: int) -> Difference:
        part = slice(first, index + 1)
        return simulator.explain(images[part], None if widths is None else widths[part])

    alone = explain(index)
    if alone.count:
        return f"In image {index} {alone}"
    pair = explain(max(index - 1, 0))
    return f"Image {index} is exact alone; behind another {pair}"


STAGE = Stage(
    "simulate",
    ("convert", "rtl"),
    Code(
        __name__,
        data=(*(testbench() / name for name in BENCHES), ROOT / "flow" / "rtl" / "templates"),
        tools=("verilator", "cocotb", "cocotbext-axi", COMPILER),
    ),
    lambda config: {name: getattr(config, name) for name in ("images", "bench_frames", "stalled_images", "seed")},
    run,
)
