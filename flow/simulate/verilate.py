"""Building a simulator with Verilator, once for each content."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from flow.errors import CheckFailed
from flow.files import locked, write_whole
from flow.simulate import runtime_library
from flow.tools import process, verilator

#: modules that keep a function of their own instead of being copied into every place: a third of the code to compile
SHARED_MODULES = ("dot_product", "plane_sum", "matvec", "serial_matvec")
NO_INLINE = "".join(f'no_inline -module "{name}"\n' for name in SHARED_MODULES)
#: the components' legality checks are errors, style is linted elsewhere
COMMON = (
    "--cc",
    "--exe",
    "--prefix",
    "Vtop",
    "-O3",
    "-Wno-fatal",
    "-Wno-lint",
    "-Werror-USERERROR",
)
MAKE = ("make", "-f", "Vtop.mk", "-j", "2", "Vtop")
#: for `make`: file by file each needs the headers, and making precompiled ones takes longer than a small network
AS_ONE_FILE = ("VM_PARALLEL_BUILDS=0",)
#: bytes of generated C++
_SMALL = 4_000_000
STAMP = "complete"
TIMEOUT_S = 1800

_log = logging.getLogger(__name__)


def verilate(
    folder: Path, settings: str, prepare: Callable[[], None], arguments: Sequence[str | Path], cwd: Path
) -> Path:
    """The program in `folder`, built now unless it is there and intact.

    Args:
        folder: named by a digest of everything that the program depends on.
        settings: Verilator configuration commands, one a line.
        prepare: writes further files that the build needs into `folder`.
        arguments: what follows the common options.
        cwd: folder to run in.

    Raises:
        CheckFailed: Verilator or the compiler refuses the design; with the end of the log.
    """
    program, stamp = folder / "Vtop", folder / STAMP
    with locked(folder.with_suffix(".lock")):  # a second process waits and takes what the first one built
        if stamp.exists() and program.exists():
            if stamp.read_text() == _sha256(program):
                return program
            _log.warning("%s is damaged: not used, built again", program)
        shutil.rmtree(folder, ignore_errors=True)
        write_whole(folder / "settings.vlt", f"`verilator_config\n{NO_INLINE}{settings}")
        prepare()
        command = [verilator.program(), *COMMON, "-Mdir", folder, folder / "settings.vlt", *arguments]
        _run(command, folder / "verilate.log", cwd)
        library = runtime_library.lend(folder, folder.parent)
        code = sum(file.stat().st_size for file in folder.glob("*.cpp"))
        _run((*MAKE, *AS_ONE_FILE) if code < _SMALL else MAKE, folder / "build.log", folder)
        runtime_library.keep(folder, library)
        write_whole(stamp, _sha256(program))
    return program


def _run(command: Sequence[str | Path], log: Path, cwd: Path) -> None:
    done = process.run(command, log, cwd, TIMEOUT_S, verilator.environment())
    if done.status:
        raise CheckFailed(f"the simulator does not build (log: {done.log}):\n{done.last_lines()}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
