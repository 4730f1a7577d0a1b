"""Verilator's own run-time library, compiled once: the same for all simulators that are compiled with the same options.

It is 8 to 16 seconds of compiling, more than a small network's own code. `make` takes an object file as it lies there
if it is newer than the makefiles, so that kept ones only have to be put beside them in time.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
from pathlib import Path

from flow.cache import content, digest
from flow.tools import verilator

_FILES, _CHECKSUM = "verilated*.[od]", "sha256"
_SETTINGS = re.compile(r"^VM_\w+ = .*$", re.MULTILINE)
_LIST = re.compile(r"^(?:VM_USER_CFLAGS =|VM_GLOBAL_\w+ \+=) \\\n(?:  .*\\\n)*", re.MULTILINE)

_log = logging.getLogger(__name__)


def lend(folder: Path, place: Path, options: tuple[str, ...] = ()) -> Path:
    """Copies the library's kept object files beside a simulator's makefiles, which Verilator has just written.

    Args:
        folder: with `Vtop.mk`.
        place: folder of kept libraries.
        options: what `make` is told beside.

    Returns:
        Where the library of these options is kept, or will be.
    """
    makefiles = "".join((folder / name).read_text() for name in ("Vtop.mk", "Vtop_classes.mk"))
    told = [*_SETTINGS.findall(makefiles), *_LIST.findall(makefiles)]
    parts = [line.replace(str(folder), "") for line in told]
    library = place / f"library-{digest([*parts, *options, verilator.version(), str(verilator.root())])[:20]}"
    files = _whole(library)
    for file in files:
        shutil.copy(file, folder)  # with the time of now
    return library


def keep(folder: Path, library: Path) -> None:
    """Keeps the object files that `make` left in `folder`, unless there are some already."""
    if library.exists():
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=f".{library.name}.") as temporary:
        mine = Path(temporary) / "library"
        mine.mkdir()
        files = [Path(shutil.copy(file, mine)) for file in folder.glob(_FILES)]
        (mine / _CHECKSUM).write_text(digest(content(files)))
        with contextlib.suppress(OSError):  # another process was faster
            mine.rename(library)


def _whole(library: Path) -> list[Path]:
    """The kept files; none if there are none, or if one is damaged, and then nothing is left of them."""
    if not library.exists():
        return []
    files = list(library.glob(_FILES))
    if (library / _CHECKSUM).is_file() and (library / _CHECKSUM).read_text() == digest(content(files)):
        return files
    _log.warning("%s is damaged: not used, compiled again", library)
    shutil.rmtree(library, ignore_errors=True)
    return []
