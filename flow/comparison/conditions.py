"""Whether builds were measured alike: same tools, flags, chip, images. What was not is said, with what it spoils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flow.comparison.load import Run
from flow.report import Report
from flow.report.summary import amount

#: the subject of the note on rows that were not routed, as the reports' writer names it
PART_ROUTED = "routing of all rows"
NOTHING = "not measured"


@dataclass(frozen=True)
class Condition:
    """One thing that should be the same.

    Attributes:
        subject: what it is called.
        of: its value in a report, for reading and for comparing.
        spoils: a sentence, without its point: what cannot be compared where it is not the same.
    """

    subject: str
    of: Callable[[Report], str]
    spoils: str


def _rows_routed(report: Report) -> str:
    if report.timing.tool is None:
        return NOTHING
    return "some" if PART_ROUTED in report.not_measured else "all"


def _modules_routed(report: Report) -> str:
    if report.timing.tool is None:
        return NOTHING
    return "all" if report.timing.routed == len(report.timing.modules) else "some"


CONDITIONS = (
    Condition("model", lambda r: r.model, "Layers are set side by side by name only"),
    Condition("dataset", lambda r: r.dataset.name, "Accuracies are of different tasks"),
    Condition("test images", lambda r: amount(r.dataset.images), "Accuracies are of different samples"),
    Condition("images in every engine", lambda r: amount(r.exact.images), "Exactness rests on more images in some"),
    Condition("synthesis tool", lambda r: r.resources.tool or NOTHING, "LUT, FF, DSP and BRAM are not comparable"),
    Condition("synthesis flags", lambda r: r.resources.flags or NOTHING, "LUT, FF, DSP and BRAM are not comparable"),
    Condition("chip", lambda r: r.resources.device, "Shares are of different chips"),
    Condition("target clock", lambda r: f"{r.latency.clock_mhz:g} MHz", "Frames a second are at different clocks"),
    Condition("routing tool", lambda r: r.timing.tool or NOTHING, "Fmax is not comparable"),
    Condition("rows routed", _rows_routed, "Fmax is not comparable"),
    Condition("modules routed", _modules_routed, "Fmax is not comparable"),
)


def conditions(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """How each run was measured: a value by run, by subject; packages' versions as ``version of numpy``."""
    found = {condition.subject: {run.name: condition.of(run.report) for run in runs} for condition in CONDITIONS}
    packages = dict.fromkeys(name for run in runs for name in run.report.versions)
    for package in packages:
        found[f"version of {package}"] = {run.name: run.report.versions.get(package, "not said") for run in runs}
    return found


def differences(runs: Sequence[Run]) -> list[str]:
    """A sentence for everything that is not the same in all runs; empty if they were measured alike."""
    spoils = {condition.subject: f" {condition.spoils}." for condition in CONDITIONS}
    sentences = []
    for subject, by_run in conditions(runs).items():
        groups: dict[str, list[str]] = {}
        for name, value in by_run.items():
            groups.setdefault(value, []).append(name)
        if len(groups) > 1:
            said = "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())
            sentences.append(f"{subject}: {said}.{spoils.get(subject, '')}")
    return sentences
