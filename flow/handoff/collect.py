"""Finds the vendor's reports below a folder and puts their figures into a build's report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flow.errors import FlowError
from flow.files import read_json
from flow.handoff import reports
from flow.handoff.folder import MANIFEST
from flow.hls.vitis import TOP
from flow.pipeline.stage import seal
from flow.report import check, write
from flow.report.vendor import Vendor

if TYPE_CHECKING:
    from flow.handoff.finished import FinishedBuild

T = TypeVar("T")

#: what each report is called, the best name first; the tools' own project runs have the later ones
NAMES: dict[str, tuple[str, ...]] = {
    "csynth": (f"{TOP}_csynth.xml", "csynth.xml"),
    "cosim": (f"{TOP}_cosim.rpt",),
    "utilization": (
        "utilization_routed.rpt", "*utilization_placed.rpt", "utilization_synthesized.rpt", "*utilization_synth.rpt",
        "*utilization*.rpt",
    ),
    "timing": ("timing_summary_routed.rpt", "*timing_summary_routed.rpt", "*timing_summary*.rpt"),
}  # fmt: skip
PARSERS: dict[str, Callable[[str], Any]] = {
    "csynth": reports.csynth,
    "cosim": reports.cosim,
    "utilization": reports.utilization,
    "timing": reports.timing,
}


def collect(build: FinishedBuild, folder: Path) -> list[str]:
    """Reads the reports below `folder` into report.json and report.md of the build.

    What is not found now stays as it was collected before.

    Returns:
        a line for each report that was read, and the place of the build's report.

    Raises:
        FlowError: there is none, one cannot be understood, or they belong to another build.
    """
    if not folder.is_dir():
        raise FlowError(f"--collect {folder}: there is no such folder")
    _check_origin(build, folder)
    found = {kind: path for kind, names in NAMES.items() if (path := _find(folder, names)) is not None}
    if not found:
        sought = ", ".join(dict.fromkeys(name for names in NAMES.values() for name in names))
        raise FlowError(f"--collect {folder}: no report below it; looked for {sought}")
    figures = {kind: _read(path, PARSERS[kind]) for kind, path in found.items()}
    earlier = build.report.vendor
    vendor = (earlier or Vendor()).model_copy(update=figures)
    plain = build.report.model_dump() | {"vendor": vendor.model_dump()}
    plain["not_measured"] = _still_missing(plain["not_measured"], vendor)
    place = build.stages["report"].folder
    written = write(check(plain), place)
    seal(place, [path.name for path in written])
    lines = [f"{kind}: {path.relative_to(folder)}" for kind, path in found.items()]
    return [*lines, str(place / "report.md")]


def _check_origin(build: FinishedBuild, folder: Path) -> None:
    """A folder that this project wrote knows whose hand-off it is; other folders are taken as they are."""
    if not (folder / MANIFEST).exists():
        return
    manifest = read_json(folder / MANIFEST)
    if manifest.get("build") != f"{build.identity:08x}":
        raise FlowError(
            f"--collect {folder}: was handed off from build {manifest.get('build')} of {manifest.get('network')}; "
            f"{build.folder} is build {build.identity:08x}"
        )


def _find(folder: Path, names: Sequence[str]) -> Path | None:
    """The newest file of the first name that any has."""
    for name in names:
        files = sorted((path for path in folder.rglob(name) if path.is_file()), key=lambda path: path.stat().st_mtime)
        if files:
            return files[-1]
    return None


def _read(path: Path, parse: Callable[[str], T]) -> T:
    try:
        return parse(path.read_text(errors="replace"))
    except OSError as error:
        raise FlowError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise FlowError(f"{path}: {error}") from error


def _still_missing(reasons: dict[str, str], vendor: Vendor) -> dict[str, str]:
    """The reasons of a report whose vendor's figures are `vendor`."""
    kept = dict(reasons)
    missing = [kind for kind in NAMES if getattr(vendor, kind) is None]
    kept.pop("vendor tools", None)
    if missing:
        kept["vendor tools"] = f"no report of {', '.join(missing)} was collected"
    if vendor.timing is not None:
        kept["clock"] = "no board was measured; `vendor.timing` is the vendor's own analysis of the routed design"
    return kept
