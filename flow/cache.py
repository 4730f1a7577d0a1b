"""Results kept by the content of what they were computed from."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flow.errors import FlowError
from flow.files import write_json

_log = logging.getLogger(__name__)


def digest(parts: Iterable[bytes | str]) -> str:
    """SHA-256 over the parts and their lengths, so that moving a byte between two parts changes it."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def content(paths: Iterable[Path]) -> list[bytes | str]:
    """Base names and bytes of files, ordered by name, for `digest`.

    Raises:
        FlowError: a file is missing or unreadable.
    """
    parts: list[bytes | str] = []
    for path in sorted(paths, key=lambda path: path.name):
        try:
            parts += [path.name, path.read_bytes()]
        except OSError as error:
            raise FlowError(f"cannot read {path}: {error.strerror or error}") from error
    return parts


class ResultCache:
    """JSON results in one folder, each with its checksum; a damaged entry is named and not used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """The file of an entry."""
        return self._folder / f"{key}.json"

    def get(self, key: str) -> Any | None:
        """The value kept under `key`; None where there is none, or where it is damaged."""
        path = self.path(key)
        try:
            entry = json.loads(path.read_bytes())
            if entry["sha256"] == _checksum(entry["value"]):
                return entry["value"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            pass
        _log.warning("%s is damaged: not used, computed again", path)
        return None

    def put(self, key: str, value: Any) -> None:
        """Keeps `value`, which JSON can hold, under `key`."""
        write_json(self.path(key), {"sha256": _checksum(value), "value": value})


def _checksum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
