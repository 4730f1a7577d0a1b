"""A file from the network: one line that says so, a bar on a terminal, and no long wait where there is no network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: without an answer for so long there is no network
TIMEOUT_S = 10.0


def offline() -> bool:
    """Whether nothing may be downloaded: `$FLOW_OFFLINE` is set."""
    return bool(os.environ.get("FLOW_OFFLINE"))


def say(text: str) -> None:
    """A line for the user, beside what a command prints."""
    from rich.console import Console

    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def download(title: str, url: str, size: int, target: Path) -> None:
    """Copies what is at `url` to `target`.

    Args:
        title: of what it is, for the line and the bar.
        size: bytes, for the bar.

    Raises:
        OSError: no network, no answer, or `target` cannot be written.
    """
    import urllib.request

    from rich.console import Console
    from rich.progress import wrap_file

    say(f"{title} is not on this machine: downloading {url}, {size / 1e6:.0f} MB")
    console = Console(stderr=True)
    hidden = not console.is_terminal
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply,
        wrap_file(reply, size, description=title, console=console, transient=True, disable=hidden) as stream,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(stream, out)
