"""What several processes need and one of them makes, as a trained network: the others wait for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from flow.files import locked

T = TypeVar("T")


def once(folder: Path, key: str, find: Callable[[], T | None], make: Callable[[], T], tell: Callable[[str], None]) -> T:
    """What `find` finds, else what `make` makes; of several processes that ask at a time, one makes it.

    One that is killed frees the key, and the next goes on from whatever state it has left.

    Args:
        folder: where the key is held, in a lock file.
        key: of what is made.
        find: is asked again once the key is free: another process may have made it meanwhile.
        tell: is told, once, that another process makes it, which is waited for.
    """

    def waits() -> None:
        tell(f"{key}: another process makes it; this one waits")

    found = find()
    if found is None:
        with locked(folder / f".{key}.lock", waits=waits):
            found = find()
            if found is None:
                found = make()
    return found
