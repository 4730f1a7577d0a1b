"""C simulation of hls4ml's project: compiled by g++, run in processes of its own, compared as integers.

hls4ml's C++ calls abort() on what it does not support and can run out of stack; neither may take the build with it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import numpy as np

from flow.errors import CheckFailed, FlowError
from flow.files import read_json, write_whole
from flow.ir import Configuration, RuntimeWidths, fields_of
from flow.tools.process import run

MANIFEST = "flow.json"

COMPILER = "g++"
FLAGS = ("-O2", "-std=c++17", "-fno-gnu-unique", "-w")

COMPILE_LIMIT_S = 900.0
#: a process that takes longer than this in all is hung
START_LIMIT_S = 30.0
IMAGE_LIMIT_S = 20.0


@dataclass(frozen=True)
class VitisProject:
    """A written Vitis project.

    Attributes:
        folder: of the project.
        top: its top function.
        input_shape: (H, W, C) of an image, or (C,).
        output_shape: of its result, the same way.
        output_fraction_bits: of the logits.
        runtime: the widths that each image chooses, by a second input of the top function, where there are any.
    """

    folder: Path
    top: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    output_fraction_bits: int
    runtime: RuntimeWidths | None = None

    @property
    def outputs(self) -> int:
        """Numbers that an image gives."""
        return prod(self.output_shape)

    def sources(self) -> list[Path]:
        """The files that its program is compiled from, C++ and weights."""
        firmware = sorted(path for path in (self.folder / "firmware").rglob("*") if path.is_file())
        return [*firmware, self.folder / "csim_main.cpp"]

    def manifest(self) -> dict:
        """What `load_project` reads."""
        names = ("top", "input_shape", "output_shape", "output_fraction_bits")
        return {name: getattr(self, name) for name in names} | {"runtime": self.runtime and asdict(self.runtime)}


def load_project(folder: Path) -> VitisProject:
    """A project that `vitis_project` wrote.

    Raises:
        FlowError: there is none, or it is not whole.
    """
    folder = folder.absolute()  # its program runs in other folders
    plain = read_json(folder / MANIFEST)
    try:
        shapes = tuple(plain["input_shape"]), tuple(plain["output_shape"])
        runtime = plain.get("runtime")
        if runtime is not None:
            runtime = RuntimeWidths(tuple(runtime["widths"]), tuple(runtime["layers"]))
        return VitisProject(folder, plain["top"], *shapes, plain["output_fraction_bits"], runtime)
    except (KeyError, TypeError) as error:
        raise FlowError(f"{folder / MANIFEST} is not of this version ({error}); convert again") from error


def csim(
    project: VitisProject,
    images: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
    processes: int | None = None,
    configuration: Configuration | None = None,
) -> np.ndarray:
    """Runs images through the C++.

    Args:
        project: compiled first unless it already is.
        images: input codes (N, *input_shape), integers.
        progress: hears how many images are done.
        processes: in parallel; one for each core, two at most, if not given.
        configuration: where there are runtime layers their widths, of all images or of each; see
            `flow.ir.RuntimeWidths.fields`.

    Returns:
        int64 (N, *output_shape) on the grid of `project.output_fraction_bits`.

    Raises:
        FlowError: g++ is missing or fails, or images or configuration do not fit the network.
        CheckFailed: the program crashed, aborted, hung, or gave too few numbers.
    """
    if images.dtype.kind not in "iu" or images.shape[1:] != project.input_shape:
        raise FlowError(
            f"C simulation takes integer codes of shape {project.input_shape}, not {images.dtype} {images.shape[1:]}"
        )
    fields = fields_of(project.top, project.runtime, configuration, len(images))
    program = compile_project(project)
    count = min(processes or min(os.cpu_count() or 1, 2), max(len(images), 1))
    parts = [part for part in np.array_split(image_codes(images, fields), count) if len(part)]
    with tempfile.TemporaryDirectory(prefix="csim.") as scratch, ThreadPoolExecutor(count) as pool:
        folder = Path(scratch)
        waiting = [pool.submit(_run_part, project, program, part, folder / str(i)) for i, part in enumerate(parts)]
        while not all(future.done() for future in waiting):
            time.sleep(0.2)
            progress(sum(_finished(project, folder / str(i)) for i in range(len(parts))))
        results = [future.result() for future in waiting]
    progress(len(images))
    return np.concatenate(results) if results else np.zeros((0, *project.output_shape), np.int64)


def image_codes(images: np.ndarray, fields: np.ndarray | None = None) -> np.ndarray:
    """Images as `csim_main.cpp` reads them, int32 (N, elements, and runtime layers).

    Args:
        images: input codes (N, *input shape).
        fields: of each image's configuration (N, layers), indices into the widths.
    """
    flat = images.reshape(len(images), prod(images.shape[1:]))
    return np.concatenate([flat] if fields is None else [flat, fields], axis=1).astype("<i4")


def image_bytes(images: np.ndarray, fields: np.ndarray | None = None) -> bytes:
    """The bytes of `image_codes`."""
    return image_codes(images, fields).tobytes()


def _outputs_of(place: Path) -> Path:
    return place / "outputs"


def _finished(project: VitisProject, place: Path) -> int:
    """Images that a process has written so far."""
    file = _outputs_of(place)
    return file.stat().st_size // (8 * project.outputs) if file.exists() else 0


def _run_part(project: VitisProject, program: Path, images: np.ndarray, place: Path) -> np.ndarray:
    """One process over some of the images, as `image_codes` gives them."""
    write_whole(place / "images", images.tobytes())
    limit_s = START_LIMIT_S + IMAGE_LIMIT_S * len(images)
    finished = run([program, place / "images", _outputs_of(place)], place / "log", cwd=place, timeout_s=limit_s)
    if finished.timed_out or finished.status != 0:
        how = f"was ended after {limit_s:.0f} s" if finished.timed_out else f"ended with status {finished.status}"
        raise CheckFailed(f"the C simulation {how} after {_finished(project, place)} images: {finished.last_lines()}")
    outputs = np.fromfile(_outputs_of(place), dtype="<i8")
    if outputs.size != len(images) * project.outputs:
        raise CheckFailed(f"the C simulation gave {outputs.size} numbers for {len(images)} images of {project.outputs}")
    return outputs.reshape(len(images), *project.output_shape)


def macros(project: VitisProject) -> dict[str, str | int]:
    """What `csim_main.cpp` must know of a project."""
    return {
        "FLOW_HEADER": f'"firmware/{project.top}.h"',
        "FLOW_TOP": project.top,
        "FLOW_ELEMENTS": int(np.prod(project.input_shape)),
        "FLOW_FIELDS": len(project.runtime.layers) if project.runtime else 0,
        "FLOW_OUTPUTS": project.outputs,
        "FLOW_OUTPUT_FRACTION_BITS": project.output_fraction_bits,
    }


def compile_project(project: VitisProject) -> Path:
    """The program, compiled anew if the sources, the flags or the program itself changed.

    Raises:
        FlowError: g++ is missing or fails; the message ends with the end of its log.
    """
    program, stamp = project.folder / "csim", project.folder / "csim.sha256"
    sources = _digest(project)
    if program.exists() and stamp.exists() and stamp.read_text() == f"{sources} {_file_digest(program)}":
        return program
    defines = macros(project) | {"WEIGHTS_DIR": f'"{(project.folder / "firmware" / "weights").resolve()}"'}
    command = [
        COMPILER, *FLAGS, "-I.", "-Ifirmware", "-Ifirmware/ap_types", *(f"-D{k}={v}" for k, v in defines.items()),
        # as one file: its headers are read once, which saves a fifth of a small network's compiling
        "-include", f"firmware/{project.top}.cpp", "csim_main.cpp", "-o", "csim",
    ]  # fmt: skip
    finished = run(command, project.folder / "csim_compile.log", cwd=project.folder, timeout_s=COMPILE_LIMIT_S)
    if finished.timed_out or finished.status != 0:
        how = f"ran past {COMPILE_LIMIT_S:.0f} s" if finished.timed_out else f"ended with status {finished.status}"
        raise FlowError(f"{COMPILER} {how} on the C simulation (log: {finished.log}): {finished.last_lines()}")
    write_whole(stamp, f"{sources} {_file_digest(program)}")
    return program


def _digest(project: VitisProject) -> str:
    """SHA-256 over the flags and every source of the project."""
    sha = hashlib.sha256(repr((COMPILER, FLAGS, project.manifest(), str(project.folder.resolve()))).encode())
    for file in project.sources():
        sha.update(str(file.relative_to(project.folder)).encode())
        sha.update(file.read_bytes())
    return sha.hexdigest()


def _file_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
