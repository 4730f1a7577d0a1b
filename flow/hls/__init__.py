"""hls4ml as a library: our backend, which stops at the IR, and the Vitis project of the same twin.

    with flow.hls.hls4ml_keras2():
        model = hls4ml.converters.convert_from_keras_model(trained, backend="FlowRTL", output_dir=folder)
    graph = flow.hls.lower(model)

Importing this package imports neither hls4ml nor TensorFlow.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from flow.hls.simulation import VitisProject, csim, load_project

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from hls4ml.model import ModelGraph

    from flow.boards import Board
    from flow.ir import Configuration, Graph
    from flow.twin import Twin

__all__ = ["VitisProject", "convert", "csim", "hls4ml_keras2", "load_project", "lower", "vitis_project"]


def hls4ml_keras2() -> AbstractContextManager[None]:
    """Inside the block, hls4ml's Keras converter takes tf_keras and QKeras models; see `flow.hls.keras2`."""
    from flow.hls.keras2 import hls4ml_keras2 as context

    return context()


def lower(model: ModelGraph) -> Graph:
    """hls4ml's optimized graph as our IR; see `flow.hls.lowering`."""
    from flow.hls.lowering import lower as run

    return run(model)


def convert(twin: Twin, name: str = "network") -> Graph:
    """A twin as IR, by way of hls4ml's converter and our backend."""
    from flow.hls.keras2 import to_hls4ml

    return lower(to_hls4ml(twin, "FlowRTL", name))


def vitis_project(
    twin: Twin,
    folder: Path,
    board: Board,
    images: np.ndarray,
    expected: np.ndarray,
    configuration: Configuration | None = None,
) -> VitisProject:
    """hls4ml's Vitis project of a twin; see `flow.hls.vitis`."""
    from flow.hls.vitis import vitis_project as write

    return write(twin, folder, board, images, expected, configuration)
