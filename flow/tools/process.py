"""Running one external program: its own process group, a log file, a time limit, time and memory measured.

No program outlives the one that started it, however that one ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flow.errors import FlowError

#: loaded before any process is split off, where loading it is not safe
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
#: process groups that run now
_running: set[int] = set()


def die_with_parent() -> None:
    """For `preexec_fn`: asks Linux to end the new process when the thread that starts it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limited(cpu_s: int | None) -> None:
    """For `preexec_fn`: as `die_with_parent`, and no core file, which the signal of the limit would leave."""
    die_with_parent()
    if cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))


@dataclass(frozen=True)
class Finished:
    """How a program ended.

    Attributes:
        status: exit status; negative is the number of the signal that ended it.
        seconds: wall-clock time.
        peak_mb: the largest resident set of the program or of one of its children.
        timed_out: it was ended because it ran past its limit of wall-clock or processor time.
        log: all that it wrote.
    """

    status: int
    seconds: float
    peak_mb: float
    timed_out: bool
    log: Path

    def last_lines(self, count: int = 12) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def run(
    command: Sequence[str | Path],
    log: Path,
    cwd: Path | None = None,
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
    cpu_s: int | None = None,
) -> Finished:
    """Runs `command` to its end; whatever happens, none of its processes is left behind.

    Args:
        command: program and arguments; no shell. A program that is given by its path is looked for from here, not from
            `cwd`.
        log: file for standard output and error together; replaced.
        cwd: folder to run in.
        timeout_s: limit on the wall-clock time.
        environment: variables to add.
        cpu_s: limit on the processor time of each of its processes, which the load of the machine does not change.

    Raises:
        FlowError: the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    program, *arguments = (str(word) for word in command)
    if os.sep in program:
        program = os.path.abspath(program)
    start = time.monotonic()
    with log.open("wb") as out:
        try:
            child = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=partial(_limited, cpu_s),
            )
        except OSError as error:
            raise FlowError(f"cannot start {command[0]}: {error.strerror or error}") from error
    _running.add(child.pid)
    expired = threading.Event()
    timer = threading.Timer(timeout_s, lambda: (expired.set(), _end(child.pid))) if timeout_s else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        _, wait_status, usage = os.wait4(child.pid, 0)
    except BaseException:
        _end(child.pid)
        raise
    finally:
        _running.discard(child.pid)
        if timer:
            timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(wait_status)
    _end(child.pid)
    timed_out = expired.is_set() or child.returncode == -signal.SIGXCPU
    return Finished(child.returncode, time.monotonic() - start, usage.ru_maxrss / 1024, timed_out, log)


def end_running() -> None:
    """Kills what other threads of this process run: an interrupt does not reach programs with a group of their own."""
    for group in tuple(_running):
        _end(group)


def _end(group: int) -> None:
    """Kills what is left of a process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
