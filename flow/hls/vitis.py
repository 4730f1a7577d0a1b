"""hls4ml's Vitis HLS project of a twin, with our layers' C++, the board's part and clock, and test vectors."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import numpy as np

from flow.boards import Board
from flow.errors import FlowError
from flow.files import write_json, write_whole
from flow.hls.fifos import set_depths
from flow.hls.keras2 import DEFAULT_PRECISION, to_hls4ml
from flow.hls.simulation import MANIFEST, VitisProject
from flow.ir import Configuration
from flow.paths import hls_templates
from flow.twin.twin import Twin

#: name of the project, which is its top function in C++
TOP = "network"

#: what the layers of the HLS design are balanced for
FRAME_CYCLES = 65_536


def vitis_project(
    twin: Twin,
    folder: Path,
    board: Board,
    images: np.ndarray,
    expected: np.ndarray,
    configuration: Configuration | None = None,
) -> VitisProject:
    """Writes the project anew into `folder`.

    Run `vitis-run --tcl build_prj.tcl --mode hls` there, then `vivado -mode batch -source vivado_synth.tcl`.

    Args:
        twin: the network.
        folder: replaced if it holds such a project.
        board: its part and clock go into the project.
        images: input codes (N, *twin.input.shape), test vectors for the vendor's own simulation.
        expected: int64 (N, *output shape), what the golden model makes of them.
        configuration: of the images, where there are runtime layers; see `flow.ir.RuntimeWidths.fields`.

    Raises:
        FlowError: the folder cannot be written, or holds something else; or the configuration does not fit.
    """
    fields = twin.fields(configuration, len(images))
    folder = folder.absolute()  # the program that is compiled there runs in other folders
    try:
        _clear(folder)
        _write_project(twin, folder, board)
    except OSError as error:
        raise FlowError(f"cannot write the Vitis project {folder}: {error.strerror or error}") from error
    _write_vectors(folder / "tb_data", twin.input.reals(images), fields, expected, twin.output_fraction_bits)
    outputs = tuple(twin.model.output_shape[1:])
    project = VitisProject(folder, TOP, twin.input.shape, outputs, twin.output_fraction_bits, twin.runtime)
    # last: a project without its manifest is not whole
    write_json(folder / MANIFEST, project.manifest())
    return project


def _write_project(twin: Twin, folder: Path, board: Board) -> None:
    """hls4ml's own files and the main program of the C simulation; hls4ml's prints are dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        model = to_hls4ml(
            twin,
            "Vitis",
            TOP,
            output_dir=str(folder),
            part=board.part,
            clock_period=board.clock_ns,
            hls_config={
                "Model": {"Precision": DEFAULT_PRECISION, "ReuseFactor": 1, "Strategy": "Resource"},
                "LayerName": {name: {"ReuseFactor": factor} for name, factor in _reuse_factors(twin).items()},
            },
        )
        set_depths(model)
        model.write()
    shutil.copyfile(hls_templates() / "csim_main.cpp", folder / "csim_main.cpp")


def _reuse_factors(twin: Twin) -> dict[str, int]:
    """Cycles of one output position of each layer, so that no layer takes more than `FRAME_CYCLES` an image; a layer
    that takes its weights plane by plane needs them for each plane.

    hls4ml's resource strategy wants a divisor of the matrix' width; 1 would unroll 576 x 64 multipliers.
    """
    from flow.twin.layers import Depthwise
    from flow.twin.runtime import SerialMatvec

    factors = {}
    for layer in twin.model.layers:
        planes = 1
        if isinstance(layer, Depthwise):
            width = int(np.prod(layer.size))
        elif isinstance(layer, SerialMatvec):
            width, planes = int(np.prod(layer.weight.shape[:-1])), layer.widths[-1]
        elif hasattr(layer, "kernel"):
            width = int(np.prod(layer.kernel.shape[:-1]))
        else:
            continue
        positions = planes * int(np.prod(layer.output_shape[1:-1]))
        factors[layer.name] = max(
            n for n in range(1, width + 1) if width % n == 0 and (n == 1 or n * positions <= FRAME_CYCLES)
        )
    return factors


def _clear(folder: Path) -> None:
    """Empties a folder that an earlier call wrote; refuses to empty another."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "firmware").is_dir() and not (folder / MANIFEST).is_file():
        raise FlowError(f"{folder} is not empty and holds no Vitis project; give another folder")
    shutil.rmtree(folder)


def _write_vectors(
    folder: Path, inputs: np.ndarray, fields: np.ndarray | None, expected: np.ndarray, output_fraction_bits: int
) -> None:
    """One line of decimal numbers an image; every number is exact, as both grids are powers of two.

    hls4ml's test bench reads a line input by input: the image, then the fields of its configuration.
    """
    logits = np.ldexp(expected.astype(np.float64), -output_fraction_bits)
    features = [inputs] if fields is None else [inputs, fields]
    for name, parts in (("tb_input_features", features), ("tb_output_predictions", [logits])):
        rows = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        lines = [" ".join(repr(float(value)) for value in row) for row in rows]
        write_whole(folder / f"{name}.dat", "\n".join(lines) + "\n")
