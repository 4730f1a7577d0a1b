"""The Vitis HLS project of a build as a folder that can be moved, with one command for all of its steps."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.files import write_whole
from flow.handoff.finished import FinishedBuild
from flow.handoff.render import render
from flow.hls.simulation import COMPILER, FLAGS, image_bytes, load_project, macros

#: frames that C simulation compares, and the first of them that co-simulation does: it takes minutes a frame
CSIM_FRAMES, COSIM_FRAMES = 100, 3
MAIN = "csim_main.cpp"


def write(build: FinishedBuild, folder: Path) -> None:
    """Writes C++, weights, vectors, settings and scripts.

    Raises:
        FlowError: the build's Vitis project is not whole.
    """
    project = load_project(build.vitis)
    if not (build.vitis / "firmware").is_dir():
        raise FlowError(f"{build.vitis} has no firmware; build with --from convert")
    ignored = shutil.ignore_patterns("*.so", "*.o")
    shutil.copytree(build.vitis / "firmware", folder / "firmware", ignore=ignored)
    shutil.copyfile(build.vitis / MAIN, folder / MAIN)
    images, fields, expected = build.vectors(CSIM_FRAMES)
    for name, count in (("csim", len(images)), ("cosim", min(COSIM_FRAMES, len(images)))):
        chosen = None if fields is None else fields[:count]
        _write_vectors(folder / "tb_data", name, images[:count], chosen, expected[:count])
    values = {
        "network": build.design.name,
        "top": project.top,
        "board": build.board,
        "clock_ns": f"{build.board.clock_ns:.3f}",
        "macros": macros(project),
        "runtime": build.graph.runtime,
        "csim_frames": len(images),
        "cosim_frames": min(COSIM_FRAMES, len(images)),
        "compiler": COMPILER,
        "flags": " ".join(FLAGS),
        "identity": f"{build.identity:08x}",
    }
    render("vitis", folder, values)


def _write_vectors(
    folder: Path, name: str, images: np.ndarray, fields: np.ndarray | None, expected: np.ndarray
) -> None:
    """`csim_main.cpp` says what the files hold."""
    write_whole(folder / f"{name}_images.bin", image_bytes(images, fields))
    write_whole(folder / f"{name}_expected.bin", expected.astype("<i8").tobytes())
