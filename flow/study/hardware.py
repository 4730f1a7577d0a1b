"""The hardware of a study's networks: `flow build` of each checkpoint for one rate, so that what it costs compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flow.boards import find_board
from flow.errors import CheckFailed
from flow.files import read_json, write_json, write_whole
from flow.pipeline.build import build, stage_folder
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from flow.report import REPORT, Report
from flow.report.measured import keep_report, kept_report
from flow.study.subject import A, Subject
from flow.training.checkpoints import read_meta
from flow.training.claim import once


@dataclass(frozen=True)
class Hardware:
    """What all networks of a study are built for.

    Attributes:
        cycles: between frames, at most.
        images: that go through C simulation and RTL.
        data: folder in which the dataset is looked for first.
        board: a name that `flow models` lists, or a board file.
        estimate_refuses: whether a network stops where the cost model says that the board does not hold it.
    """

    cycles: int
    images: int
    data: Path | None = None
    board: str = "pynq-z2"
    estimate_refuses: bool = True


def kept(subject: Subject[A], arm: A, checkpoint: Path, tell: Callable[[str], None]) -> Report | None:
    """What a build of these weights for the study's rate and board has measured, None without one."""
    hardware = subject.hardware
    board = find_board(hardware.board)
    return kept_report(subject.kept(arm), read_meta(checkpoint).sha256, hardware.cycles, board, tell)


def failure(subject: Subject[A], arm: A, checkpoint: Path) -> str | None:
    """Why the last build of these weights for the study's rate and board failed, in whichever process; None where none
    has, or one has not since.
    """
    file = _failed(subject, arm)
    plain = read_json(file) if file.is_file() else {}
    return plain["reason"] if plain.get("of") == _built(subject, checkpoint) else None


def keep_failure(subject: Subject[A], arm: A, checkpoint: Path, reason: str | None) -> None:
    """Keeps why a build failed, beside what builds have measured; None: it has not."""
    file = _failed(subject, arm)
    if reason is None:
        file.unlink(missing_ok=True)
    else:
        write_json(file, {"of": _built(subject, checkpoint), "reason": reason})


def _built(subject: Subject[A], checkpoint: Path) -> list[str | int]:
    """What a build is of: weights, rate, board."""
    hardware = subject.hardware
    return [read_meta(checkpoint).sha256, hardware.cycles, find_board(hardware.board).model_dump_json()]


def _failed(subject: Subject[A], arm: A) -> Path:
    return subject.kept(arm).with_suffix(".failed.json")


def build_arm(subject: Subject[A], arm: A, checkpoint: Path, reporter: Reporter) -> None:
    """Builds one trained network, by one process, and keeps its report; with as many images as that it is not built
    again.

    Raises:
        CheckFailed: it is not exact; or its board does not hold it: what was measured is kept then too.
        FlowError: it cannot be built.
    """
    hardware, run, file = subject.hardware, subject.run(arm), subject.kept(arm)

    def found() -> Report | None:
        report = kept(subject, arm, checkpoint, reporter.line)
        if report is None or (report.exact.images or 0) < min(hardware.images, len(subject.data.x_test)):
            return None
        reporter.line(f"built before; without {file} it is built again")
        return report

    def made() -> Report:
        widths = run.with_name(f"{run.name}.yaml")
        write_whole(widths, subject.widths(arm).to_yaml())
        config = BuildConfig(
            model=arm.spec.name, bits=str(widths), quantizer=arm.quantizer, dataset=subject.data.name,
            data=hardware.data, board=hardware.board, max_cycles=hardware.cycles, images=hardware.images,
            checkpoint=checkpoint, seed=arm.seed, route=False, estimate_refuses=hardware.estimate_refuses,
        )  # fmt: skip
        built = build(config, run, reporter).folder
        return keep_report(stage_folder(built, "report") / REPORT, read_meta(checkpoint).sha256, hardware.cycles, file)

    report = once(run.parent, run.name, found, made, reporter.line)
    if report.resources.fits is False:
        raise CheckFailed(f"does not fit {report.resources.device} by synthesis")
