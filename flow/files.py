"""Files that appear whole or not at all, and locks between processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow.errors import FlowError


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes `content` to a temporary file beside `path`, then renames it into place.

    Raises:
        FlowError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _allowed(0o666))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise FlowError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, which takes the place of `path` when the block ends well; else nothing is left.

    Raises:
        FlowError: the folder cannot be written. What goes wrong inside the block keeps its own error.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        content = temporary / "new"
        with _writing(path):
            temporary.chmod(_allowed(0o777))
            content.mkdir()
        yield content
        old = temporary / "old"
        with _writing(path):
            if path.exists():
                os.replace(path, old)
            try:
                os.replace(content, path)
            except BaseException:
                if old.exists() and not path.exists():
                    os.replace(old, path)
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _allowed(mode: int) -> int:
    """What the user's umask leaves of a file's mode."""
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns what the system says into a user's error about `path`."""
    try:
        yield
    except OSError as error:
        raise FlowError(f"cannot write {path}: {error.strerror or error}") from error


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    write_whole(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON; a missing or broken file is a FlowError that names it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FlowError(f"cannot read {path}: {error}") from error


@contextmanager
def locked(path: Path, held: str | None = None, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the lock file `path`; the system frees it even when the process is killed.

    Args:
        held: the message of the error if another process holds it; without one, its end is waited for.
        waits: is called before such a wait.

    Raises:
        FlowError: the lock is held, or the file cannot be written.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if held is not None:
                raise FlowError(held) from error
            waits()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
