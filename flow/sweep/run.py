"""Runs several builds, a few at a time, each in a process of its own: one that fails does not take others with it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from flow.files import locked
from flow.pipeline.build import CONFIG
from flow.pipeline.config import save_config
from flow.sweep.plan import Planned
from flow.tools.process import die_with_parent

#: seconds between two looks at the clock
_TICK_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a build ended.

    Attributes:
        planned: the build.
        status: exit status of its process; negative is the number of the signal that ended it.
        last_line: what it said last, which for a failed build is why.
        seconds: of wall-clock time.
        log: all that it said.
    """

    planned: Planned
    status: int
    last_line: str
    seconds: float
    log: Path


class Watcher(Protocol):
    """Hears how the builds go on."""

    def started(self, planned: Planned) -> None: ...

    def said(self, planned: Planned, line: str) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


@dataclass
class _Running:
    planned: Planned
    process: subprocess.Popen
    log: BinaryIO
    start: float = field(default_factory=time.monotonic)
    rest: bytes = b""
    last_line: str = ""

    def lines(self, chunk: bytes) -> list[str]:
        """The whole lines that have arrived with `chunk`."""
        *whole, self.rest = (self.rest + chunk).split(b"\n")
        found = [line.decode(errors="replace").rstrip() for line in whole]
        self.last_line = next((line.strip() for line in reversed(found) if line.strip()), self.last_line)
        return found


def build_command(planned: Planned, folder: Path) -> list[str]:
    """`flow build` for one width, from a configuration that is written to `folder`."""
    config = folder / f"{planned.name}.{CONFIG}"
    save_config(planned.config, config)
    # -P: a folder named flow where the user stands is not this package
    command = [sys.executable, "-P", "-m", "flow.cli.main", "build"]
    return [*command, "--config", str(config), "--out", str(planned.folder)]


def run_builds(
    planned: Sequence[Planned],
    folder: Path,
    jobs: int,
    watcher: Watcher,
    command: Callable[[Planned, Path], list[str]] = build_command,
) -> list[Outcome]:
    """Builds them all; returns when the last has ended, however it did.

    Whatever ends this process ends the builds as well; finished stages are kept, and a new sweep skips them.

    Args:
        folder: for a log and a configuration of each build.
        jobs: builds at a time.
        command: the program of a build.

    Returns:
        Outcomes in the order of `planned`.

    Raises:
        FlowError: another sweep is running in `folder`, or it cannot be written.
    """
    with locked(folder / ".lock", held=f"another sweep is running in {folder}"):
        waiting, running, outcomes = list(planned), [], {}
        with selectors.DefaultSelector() as selector:
            try:
                while waiting or running:
                    while waiting and len(running) < jobs:
                        running.append(_start(waiting.pop(0), folder, command, selector, watcher))
                    for key, _ in selector.select(_TICK_S):
                        build: _Running = key.data
                        chunk = os.read(key.fd, 1 << 16)
                        build.log.write(chunk)
                        for line in build.lines(chunk or b"\n"):
                            watcher.said(build.planned, line)
                        if not chunk:
                            selector.unregister(key.fileobj)
                            running.remove(build)
                            outcomes[build.planned.name] = _end(build)
                            watcher.ended(outcomes[build.planned.name])
            finally:
                for build in running:
                    _kill(build)
    return [outcomes[item.name] for item in planned]


def _start(planned: Planned, folder: Path, command, selector: selectors.BaseSelector, watcher: Watcher) -> _Running:
    # a session of its own: an interrupt from the keyboard reaches the sweep alone, which then ends its builds
    process = subprocess.Popen(
        command(planned, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"},
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    build = _Running(planned, process, (folder / f"{planned.name}.log").open("wb", buffering=0))
    selector.register(process.stdout, selectors.EVENT_READ, build)
    watcher.started(planned)
    return build


def _end(build: _Running) -> Outcome:
    status = build.process.wait()
    build.process.stdout.close()
    build.log.close()
    return Outcome(build.planned, status, build.last_line, time.monotonic() - build.start, Path(build.log.name))


def _kill(build: _Running) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(build.process.pid, signal.SIGKILL)
    _end(build)
