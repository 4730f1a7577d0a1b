"""The study for the harness: all arms start from one float network, which is their teacher too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.bits import BitsSpec
from flow.n2uq_study.arms import Arm
from flow.n2uq_study.rows import Row, read_row, results
from flow.report import Report
from flow.study.subject import Subject, recipe
from flow.study.table import Results
from flow.training.checkpoints import checkpoint_path
from flow.training.config import TrainConfig
from flow.training.finished import finished
from flow.training.run import Trained, find_float, float_start, train_quantized, weights_in


@dataclass(frozen=True)
class Thresholds(Subject[Arm]):
    """N2UQ against uniform quantization.

    Attributes:
        epochs: of every training.
        folder: of results; `seed-<n>/` in it holds the checkpoints, `builds/` and `reports/` what was built.
    """

    epochs: int
    folder: Path

    @property
    def results_folder(self) -> Path:
        return self.folder

    def place(self, arm: Arm) -> Path:
        return self.folder / f"seed-{arm.seed}"

    def run(self, arm: Arm) -> Path:
        return self.folder / "builds" / arm.name

    def kept(self, arm: Arm) -> Path:
        return self.folder / "reports" / f"{arm.name}.json"

    def finished(self, arm: Arm) -> Path | None:
        path = checkpoint_path(arm.spec.name, self.data.name, self.widths(arm), self.place(arm), arm.quantizer)
        start = find_float(arm.spec, self.data.name, self.folder)
        sha256 = None if start is None else weights_in(start)
        return finished(path, self._config(arm), start_sha256=sha256, teacher_sha256=sha256)

    def train(self, arm: Arm) -> Trained:
        start = float_start(arm.spec, self.data, self.folder, self.progress)
        return train_quantized(
            arm.spec, self.widths(arm), self.data, start, self._config(arm), self.progress, self.place(arm),
            quantizer=arm.quantizer,
        )  # fmt: skip

    def _config(self, arm: Arm) -> TrainConfig:
        return recipe(arm.spec, self.data.name, self.epochs, arm.seed)

    def command(self, arm: Arm) -> str:
        command = f"flow train --model {arm.spec.name} --bits {arm.bits} --quantizer {arm.quantizer}"
        return f"{command} --dataset {self.data.name} --epochs {self.epochs} --seed {arm.seed}"

    def widths(self, arm: Arm) -> BitsSpec:
        return BitsSpec.uniform(arm.spec, arm.bits)

    def row(self, arm: Arm, checkpoint: Path, report: Report | None) -> Row:
        return read_row(arm, checkpoint, report)

    def results(self, rows: Sequence[Row]) -> Results:
        return results(rows)
