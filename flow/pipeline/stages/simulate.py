"""simulate: the RTL in Verilator, at full rate on many images and under random stalls on a few."""

from __future__ import annotations

import numpy as np

from flow import ir
from flow.errors import CheckFailed
from flow.folding import file
from flow.paths import testbench
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import code, inputs_of
from flow.pipeline.stages.convert import GOLDEN, GRAPH
from flow.pipeline.stages.rtl import FOLDER, FOLDING
from flow.pipeline.subject import scores, subject_of
from flow.rtl import load_design
from flow.simulate.bench import run_bench
from flow.simulate.compare import compare
from flow.simulate.fast import Simulator

#: by which the measured interval may exceed the folding's without a word, for registers between the units
SLACK_CYCLES = 24


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
    found = simulator.run(images, lambda done: reporter.progress("RTL images", done, len(images)))
    difference = compare(graph.output.inputs[0], expected, found.outputs)
    if difference.count:
        raise CheckFailed(f"RTL and golden: {difference}. {explanation(simulator, images, difference.index[0])}")
    rate = len(images) / found.seconds
    reporter.line(
        f"  RTL: {difference}; first frame {found.first_frame_cycles:,} cycles, then one every "
        f"{found.interval_cycles:,}; {rate:.1f} images a second"
    )
    planned = work.values("rtl")["interval_cycles"]
    if found.interval_cycles > planned + SLACK_CYCLES:
        reporter.line(
            f"  SLOWER THAN PLANNED: the folding counts on {planned:,} cycles between frames, and a layer waits for "
            f"another; a smaller --max-cycles makes up for it"
        )
    frames = min(config.bench_frames, len(images))
    bench = run_bench(graph, folding, design, images[:frames], expected[:frames], work.cache, work.folder, config.seed)
    reporter.line(
        f"  cocotb: {bench.tests} tests passed with random stalls and a reset in mid-frame, {bench.seconds:.0f} s"
    )
    values = {
        "images": len(images),
        "differing": difference.count,
        "scores": scores(
            samples, found.outputs, graph.sources(graph.output)[0].fraction_bits, output=config.output
        ),
        "first_frame_cycles": found.first_frame_cycles,
        "interval_cycles": found.interval_cycles,
        "images_per_second": rate,
        "bench_frames": frames,
        "bench_tests": bench.tests,
    }
    return Result(values)


def explanation(simulator: Simulator, images: np.ndarray, index: int) -> str:
    """Where image `index` goes wrong, layer by layer; with the image before it where it is right alone."""
    alone = simulator.explain(images[index : index + 1])
    if alone.count:
        return f"In image {index} {alone}"
    pair = simulator.explain(images[max(index - 1, 0) : index + 1])
    return f"Image {index} is exact alone; behind another {pair}"


STAGE = Stage(
    "simulate",
    ("convert", "rtl"),
    (*code("simulate", "tasks.py"), testbench() / "network.cpp", testbench() / "test_network.py"),
    lambda config: {"images": config.images, "bench_frames": config.bench_frames, "seed": config.seed},
    run,
)
