"""A study: trains what is not trained, builds what is not built, and writes down what is known after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.errors import CheckFailed, FlowError
from flow.files import locked
from flow.isocost.arms import Arm
from flow.isocost.build import build_arm
from flow.isocost.left import TimeLeft
from flow.isocost.results import MARKDOWN, Row, read_row, write
from flow.isocost.train import Trainer
from flow.pipeline.reporter import Reporter
from flow.report.measured import keep_report, kept_report
from flow.training.checkpoints import read_meta


@dataclass(frozen=True)
class Study:
    """All networks of a study and what they are trained with.

    Attributes:
        arms: all of them; results are of all that are found, whichever are trained here.
        trainer: trains them.
    """

    arms: Sequence[Arm]
    trainer: Trainer

    def results(self) -> str:
        """Writes what is known.

        Returns:
            Markdown.
        """
        place = self.trainer.folders.results
        with locked(place / ".lock"):  # another process may train other networks of the study
            rows = [row for row in map(self._row, self.arms) if row is not None]
            write(rows, self.trainer.equal, place)
            return (place / MARKDOWN).read_text()

    def _row(self, arm: Arm) -> Row | None:
        trainer, path = self.trainer, self.trainer.finished(arm)
        if path is None:
            return None
        bits, equal, tell = trainer.widths(arm), trainer.equal, trainer.progress.on_message
        report = kept_report(trainer.folders.report(arm, equal.cycles), read_meta(path).sha256, tell)
        luts = trainer.synthesized.known(arm.spec, bits, equal.cycles)
        return read_row(arm, bits, equal, path, report, luts)

    def train(self, arms: Sequence[Arm], left: TimeLeft) -> None:
        """Trains some of the networks, one after another.

        Args:
            left: the trainer's progress.
        """
        for number, arm in enumerate(arms, start=1):
            left.on_message(f"network {number} of {len(arms)}: {arm.name}; all networks: {left.text}")
            left.begin(arm)
            self.trainer.train(arm)
            left.end()
            left.on_message(f"{number} of {len(arms)} networks trained, {left.text}")
            self.results()

    def build(self, arms: Sequence[Arm], data: Path | None, images: int, reporter: Reporter) -> list[str]:
        """Builds some of the trained networks; one whose report is kept is not built again.

        Args:
            data: folder in which the dataset is looked for first.
            images: that go through C simulation and RTL.

        Returns:
            Names of networks that could not be built, or are not exact.
        """
        trainer, failed = self.trainer, []
        for number, arm in enumerate(arms, start=1):
            path, kept = trainer.finished(arm), trainer.folders.report(arm, trainer.equal.cycles)
            sha256 = read_meta(path).sha256
            report = kept_report(kept, sha256, reporter.line)
            same_board = report is not None and report.resources.device == trainer.board.part
            if same_board and (report.exact.images or 0) >= images:
                reporter.line(f"{arm.name}: built before; without {kept} it is built again")
                continue
            reporter.line(f"building {number} of {len(arms)}: {arm.name}")
            try:
                run = build_arm(
                    arm, trainer.widths(arm), trainer.data.name, data, trainer.board.name, trainer.equal.cycles, images,
                    trainer.folders, reporter,
                )  # fmt: skip
                keep_report(run, sha256, kept)
            except (CheckFailed, FlowError) as error:  # the others can be built all the same
                reporter.line(f"{arm.name}: {error}")
                failed.append(arm.name)
            self.results()
        return failed
