"""csim: hls4ml's C++ of the same twin, compiled and run in processes of its own."""

from __future__ import annotations

import numpy as np

from flow.errors import CheckFailed
from flow.pipeline.code import COMPILER, Code
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import inputs_of
from flow.pipeline.stages.convert import GOLDEN, RTL, VITIS
from flow.pipeline.widths import frame_widths
from flow.simulate.compare import compare


def _count(config: BuildConfig) -> int:
    return min(config.csim_images or config.images, config.images)


def run(work: Work) -> Result:
    """Runs C simulation; every integer must equal golden's."""
    from flow.hls.simulation import csim, load_project

    config, reporter = work.config, work.reporter
    images = inputs_of(work)[: _count(config)]
    expected = np.load(work.path("convert", GOLDEN))[: len(images)]
    project = load_project(work.path("convert", VITIS))
    reporter.line("  compiling the C simulation")
    outputs = csim(
        project, images, lambda done: reporter.progress("C simulation images", done, len(images)),
        configuration=frame_widths(config, project.runtime, len(images)),
    )  # fmt: skip
    difference = compare("logits", expected, outputs)
    reporter.line(f"  C simulation and golden on {len(images):,} images: {difference}")
    if difference.count:
        raise CheckFailed(f"C simulation and golden: {difference}")
    return Result({"images": len(images), "differing": difference.count})


STAGE = Stage(
    "csim", ("convert",), Code(__name__, RTL, tools=(COMPILER,)), lambda config: {"images": _count(config)}, run
)
