"""The folder of a hand-off: what it may replace, and the manifest by which it is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from flow import __version__
from flow.errors import FlowError
from flow.files import read_json, write_json

if TYPE_CHECKING:
    from flow.handoff.finished import FinishedBuild

MANIFEST = "handoff.json"


def check_place(place: Path) -> None:
    """Refuses a place that holds anything that a hand-off has not written, a vendor's results among it.

    Raises:
        FlowError: what is in the way.
    """
    if not place.exists():
        return
    if not place.is_dir():
        raise FlowError(f"--out {place}: is a file; give a folder")
    files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir())
    if not files:
        return
    if MANIFEST not in files:
        raise FlowError(f"--out {place}: is not empty and no hand-off; give another folder")
    written = read_json(place / MANIFEST).get("files", {})
    for name in files:
        if name != MANIFEST and written.get(name) != _sha256(place / name):
            raise FlowError(f"--out {place}: {name} has come or changed since it was handed off; give another folder")


def seal(folder: Path, target: str, build: FinishedBuild) -> None:
    """Writes the manifest: whose hand-off it is, and the SHA-256 of every file."""
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    head = {"flow": __version__, "target": target, "network": build.design.name, "build": f"{build.identity:08x}"}
    board = {"board": build.board.name, "part": build.board.part, "clock_mhz": build.board.clock_mhz}
    write_json(folder / MANIFEST, head | board | {"files": files})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
