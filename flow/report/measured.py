"""What the build of one network of a study measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from flow.boards import Board
from flow.errors import FlowError
from flow.files import read_json, write_json
from flow.report import Report, check, load
from flow.report.board import another_board

Row = TypeVar("Row")


@dataclass(frozen=True)
class Measured:
    """Figures of a build; None where they were not measured.

    Attributes:
        lut, dsp, bram36: by synthesis of all layers; LUTs of logic and memory.
        interval_cycles: between frames, simulated.
        differing: integers in which Keras, C simulation and RTL differ from golden, in sum.
        images: that every engine computed.
        fits: whether the board holds it, by synthesis.
        deployed: accuracy of the deployed network on all test images; it is that of integers, the same everywhere.
    """

    lut: float | None
    dsp: float | None
    bram36: float | None
    interval_cycles: int | None
    differing: int | None
    images: int | None
    fits: bool | None
    deployed: float | None


def filled(row: Row, report: Report | None) -> Row:
    """A study's row, a dataclass, with those of its fields filled that `Measured` has; as it was without a report."""
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
            fits=report.resources.fits,
            deployed=report.accuracy.deployed,
        )
    )
    return replace(row, **{field.name: found[field.name] for field in fields(row) if field.name in found})


def keep_report(built: Path, sha256: str, max_cycles: int, file: Path) -> Report:
    """Copies the report of a finished build to where it stays when the build is removed: a build is large.

    Args:
        built: the report of the build.
        sha256: of the weights that were built.
        max_cycles: between frames, for which it was built.
        file: JSON; its name is not that of a report, so that it is not taken for a build's.

    Raises:
        FlowError: there is no report, or the file cannot be written.
    """
    report = load(built)
    write_json(file, {"checkpoint_sha256": sha256, "max_cycles": max_cycles, "report": report.model_dump()})
    return report


def kept_report(file: Path, sha256: str, max_cycles: int, board: Board, tell: Callable[[str], None]) -> Report | None:
    """What `keep_report` has kept of the same weights, built for the same rate and board; None without it.

    Args:
        sha256: of the weights.
        max_cycles: between frames.
        board: what its chip holds, and its clock, count.
        tell: is told where the report is of others, and so not taken.

    Raises:
        FlowError: it is broken.
    """
    if not file.is_file():
        return None
    plain = read_json(file)
    try:
        found, cycles, report = plain["checkpoint_sha256"], plain["max_cycles"], check(plain["report"])
    except (KeyError, TypeError, ValueError) as error:
        raise FlowError(f"{file}: not a report that was kept: {str(error).splitlines()[0]}; remove it") from error
    for what, there, wanted in (
        ("weights", found[:12], sha256[:12]),
        ("cycles between frames", cycles, max_cycles),
    ):
        if there != wanted:
            tell(f"{file}: not taken, is of other {what}: {there}, not {wanted}")
            return None
    other = another_board(report, board)
    if other:
        tell(f"{file}: not taken, is of another {other}")
    return None if other else report
