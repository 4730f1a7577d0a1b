"""convert: the twin through hls4ml, into our IR and into a Vitis HLS project; golden against Keras."""

from __future__ import annotations

import numpy as np

from flow import golden, ir
from flow.boards import find_board
from flow.errors import CheckFailed
from flow.files import write_whole
from flow.hls.simulation import MANIFEST, VitisProject
from flow.paths import hls_templates
from flow.pipeline.arrays import array_bytes
from flow.pipeline.code import Code
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages import fold
from flow.pipeline.stages.common import inputs_of
from flow.pipeline.stages.runtime import deployed_scores
from flow.pipeline.subject import subject_of
from flow.pipeline.widths import frame_widths
from flow.simulate.compare import compare

GRAPH, GOLDEN, VITIS = "graph.npz", "golden.npy", "vitis"


def run(work: Work) -> Result:
    """Writes the graph, golden's outputs on all test images and the Vitis project."""
    from flow.hls import convert, vitis_project
    from flow.twin import load

    config, reporter = work.config, work.reporter
    twin = load(work.path("fold", fold.TWIN))
    graph = convert(twin, subject_of(config).name)
    ir.save(graph, work.folder / GRAPH)
    images = inputs_of(work)
    widths = frame_widths(config, graph.runtime, len(images))
    expected = golden.run(graph, images, lambda done: reporter.progress("golden", done, len(images)), widths)
    write_whole(work.folder / GOLDEN, array_bytes(expected))
    difference = compare(graph.output.inputs[0], expected, np.load(work.path("fold", fold.OUTPUTS)))
    reporter.line(f"  Keras twin and golden on {len(images):,} images: {difference}")
    if difference.count:
        raise CheckFailed(f"Keras twin and golden: {difference}")
    board = find_board(config.board)
    vectors = min(config.images, VECTORS)
    own = None if widths is None else widths[:vectors]
    project = vitis_project(twin, work.folder / VITIS, board, images[:vectors], expected[:vectors], own)
    reporter.line(f"  Vitis HLS project for {board.part} with {vectors} test vectors: {work.folder / VITIS}")
    values = {"images": len(images), "differing": difference.count}
    if graph.runtime is not None:
        values |= deployed_scores(work, graph, images, expected)
    return Result(values, (GRAPH, GOLDEN, *project_files(project)))


def project_files(project: VitisProject) -> list[str]:
    """What later stages and a hand-off read of the project, relative to the stage's folder."""
    return [f"{VITIS}/{path.relative_to(project.folder)}" for path in (project.folder / MANIFEST, *project.sources())]


#: test vectors in the Vitis project
VECTORS = 100


def _settings(config: BuildConfig) -> dict:
    board = find_board(config.board)
    return {"part": board.part, "clock_mhz": board.clock_mhz, "vectors": min(config.images, VECTORS)}


#: what hls4ml's backend can write by itself, and a build does in a stage of its own
RTL = ("flow.adders", "flow.folding", "flow.rtl")

STAGE = Stage("convert", ("fold",), Code(__name__, RTL, (hls_templates(),), ("hls4ml", "numpy")), _settings, run)
