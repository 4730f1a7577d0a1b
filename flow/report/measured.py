"""What the build of one network of a study measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from flow.report import Report, load

Row = TypeVar("Row")


@dataclass(frozen=True)
class Measured:
    """Figures of a build; None where they were not measured.

    Attributes:
        lut, dsp, bram36: by synthesis of all layers; LUTs of logic and memory.
        interval_cycles: between frames, simulated.
        differing: integers in which Keras, C simulation and RTL differ from golden, in sum.
        images: that every engine computed.
    """

    lut: float | None
    dsp: float | None
    bram36: float | None
    interval_cycles: int | None
    differing: int | None
    images: int | None


def report_of(run: Path) -> Report | None:
    """The report in the folder of a build, None without one.

    Raises:
        FlowError: it is broken.
    """
    file = next(iter(sorted(run.glob("*_report/report.json"))), None)
    return None if file is None else load(file)


def with_measured(row: Row, run: Path | None) -> Row:
    """A study's row, a dataclass, with those of its fields filled that `Measured` has; as it was without a report.

    Args:
        run: folder of the build, None for no build.

    Raises:
        FlowError: the report is broken.
    """
    report = None if run is None else report_of(run)
    if report is None:
        return row
    exact, total = report.exact, report.resources.total
    compared = (exact.golden_vs_keras, exact.golden_vs_csim, exact.golden_vs_rtl)
    found: dict[str, Any] = asdict(
        Measured(
            lut=None if total is None else total.luts_used,
            dsp=None if total is None else total.dsp,
            bram36=None if total is None else total.bram36,
            interval_cycles=report.latency.interval_cycles,
            differing=None if None in compared else sum(compared),
            images=exact.images,
        )
    )
    return replace(row, **{field.name: found[field.name] for field in fields(row) if field.name in found})
