"""How the learned widths moved: a record now and then, on disk after every epoch, so that a stopped search keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from flow.files import read_json, write_whole
from flow.training.progress import EpochRecord, Progress


class PathRecorder:
    """Passes progress on and writes down the widths.

    Args:
        inner: who is told what happens.
        widths: the widths now, under ``"weights"`` and ``"activations"``.
        cost: of them.
        tell: a line for people from the same.
        file: JSON: a list of records with ``epoch`` (a fraction), ``cost`` and the two maps.
    """

    def __init__(
        self, inner: Progress, widths: Callable[[], dict[str, dict[str, float]]], cost: Callable[[], float],
        tell: Callable[[], str], file: Path,
    ) -> None:  # fmt: skip
        self._inner, self._widths, self._cost, self._tell, self._file = inner, widths, cost, tell, file
        self.records: list[dict] = read_json(file) if file.is_file() else []

    def on_message(self, text: str) -> None:
        self._inner.on_message(text)

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        self._add(epoch - 1 + step / steps)
        self._inner.on_step(epoch, epochs, step, steps, loss)

    def on_epoch(self, record: EpochRecord) -> None:
        self._add(float(record.epoch))
        write_whole(self._file, json.dumps(self.records))
        self._inner.on_epoch(record)
        self._inner.on_message(self._tell())

    def _add(self, epoch: float) -> None:
        """What a stopped run had recorded of later steps is not what this one does."""
        epoch = round(epoch, 4)
        self.records = [record for record in self.records if record["epoch"] < epoch]
        self.records.append({"epoch": epoch, "cost": self._cost(), **self._widths()})
