"""Yosys, as the `pyosys` wheel brings it, in a process of its own: a crash there cannot take the flow down."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

from flow.errors import CheckFailed, FlowError
from flow.tools.packages import install
from flow.tools.process import Finished, run

#: runs a script, line by line
_WORKER = """
import sys
from pyosys import libyosys as yosys
design = yosys.Design()
for line in open(sys.argv[1]):
    if line.startswith("["):
        selection, line = line[1:].split("] ", 1)
        yosys.run_pass("select -set found " + selection, design)
        if design.selection_vars[yosys.IdString("\\\\found")].empty():
            continue
    yosys.run_pass(line, design)
"""
#: characters that end a word in a Yosys script
_SPECIAL = re.compile(r"[\s;\"'#]")


def version() -> str:
    """For example ``"Yosys 0.70"``.

    Raises:
        FlowError: it is not installed.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise FlowError(f"Yosys is missing: {install('pyosys')}")
    return f"Yosys {importlib.metadata.version('pyosys')}"


def quote(path: Path) -> str:
    """`path` as one word of a Yosys script."""
    text = str(path)
    if '"' in text or "\n" in text:
        raise FlowError(f"Yosys cannot read a path with quotes or line breaks: {text}")
    return f'"{text}"' if _SPECIAL.search(text) else text


def constant(value: int | str) -> str:
    """A parameter's value as `hierarchy -chparam` takes it; a string becomes its bits, first character on top."""
    if isinstance(value, str):
        data = value.encode() or b"\0"
        return f"{8 * len(data)}'h{data.hex()}"
    return str(int(value))


def run_script(script: str, folder: Path, log: Path, what: str, timeout_s: float | None = None) -> Finished:
    """Runs a script in `folder`, where it is written to `yosys.ys`.

    Args:
        script: commands, one a line. ``[selection] command`` runs only where something is selected, which Yosys' own
            scripts cannot say.
        folder: working folder; must exist.
        log: file for all that Yosys writes.
        what: what is synthesized, for the message.
        timeout_s: limit on the wall-clock time.

    Raises:
        FlowError: Yosys is missing, or ran past the limit.
        CheckFailed: Yosys refused or crashed; carries its own message.
    """
    version()
    path = folder / "yosys.ys"
    path.write_text(script)
    finished = run([sys.executable, "-c", _WORKER, path.name], log, folder, timeout_s)
    if finished.timed_out:
        raise FlowError(f"{what}: Yosys was ended after {timeout_s:.0f} s; its log: {log}")
    if finished.status != 0:
        raise CheckFailed(f"{what}: Yosys: {_message(finished)} (log: {log})")
    return finished


def _message(finished: Finished) -> str:
    """The error line of a log, or what ended the process."""
    lines = finished.log.read_text(errors="replace").splitlines()
    errors = [line.strip() for line in lines if "ERROR:" in line or "error:" in line]
    if errors:
        return errors[-1]
    return f"ended by signal {-finished.status}" if finished.status < 0 else f"exit status {finished.status}"
