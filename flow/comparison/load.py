"""Finds the reports to compare, and says what is wrong with a folder that has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.errors import FlowError
from flow.pipeline.build import CONFIG, stage_folder, standing
from flow.report import REPORT, Report, load


@dataclass(frozen=True)
class Run:
    """A finished build: its report, and a name that no other of the comparison has."""

    name: str
    report: Report


def load_runs(places: Sequence[Path]) -> list[Run]:
    """The reports of several builds, named by the ends of their paths.

    Args:
        places: folders of builds, folders that hold a `report.json`, or such files.

    Raises:
        FlowError: a place has no report, or is given twice.
    """
    twice = [place for place, count in Counter(place.resolve() for place in places).items() if count > 1]
    if twice:
        raise FlowError(f"{twice[0].name} is given twice")
    reports = [load_run(place) for place in places]
    return [Run(name, report) for name, report in zip(_names(places), reports)]


def load_run(place: Path) -> Report:
    """The report of one build.

    Raises:
        FlowError: there is none; the message says whether the build is unfinished or `place` is something else.
    """
    if not place.exists():
        raise FlowError(f"{place}: there is no such folder")
    if place.is_file():
        return load(place)
    if (place / REPORT).is_file():
        return load(place / REPORT)
    if not (place / CONFIG).is_file():
        raise FlowError(f"{place} is not the folder of a build: it has neither {CONFIG} nor {REPORT}")
    return load(standing(place)["report"].folder / REPORT)


def _names(places: Sequence[Path]) -> list[str]:
    """The last part of each path that says something; as many parts as it takes to tell them apart."""
    ends = [_meaningful(place) for place in places]
    for parts in range(1, max(len(end) for end in ends) + 1):
        names = ["/".join(end[-parts:]) for end in ends]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(names, start=1)]


def _meaningful(place: Path) -> tuple[str, ...]:
    """The parts of a path, without the file's name and a report stage's folder, which are the same everywhere."""
    parts = place.resolve().parts[1:]
    report_folder = stage_folder(Path(), "report").name
    while len(parts) > 1 and (parts[-1] == report_folder or parts[-1] == REPORT):
        parts = parts[:-1]
    return parts
