"""How a build speaks while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

#: seconds between two progress lines where there is no terminal
LINE_EVERY_S = 15.0

_STAGE = re.compile(r"\[(\d+)/\d+\] (\w+)(?:: (.+))?")


@dataclass(frozen=True)
class StageLine:
    """The line of a build that a stage begins with, or ends with where it has an outcome.

    Attributes:
        number: of the stage, from 1.
        name: of the stage.
        outcome: how it ended, None at its beginning.
    """

    number: int
    name: str
    outcome: str | None = None

    def text(self, stages: int) -> str:
        """The line, where there are so many stages."""
        head = f"[{self.number}/{stages}] {self.name}"
        return f"{head}: {self.outcome}" if self.outcome else head


def read_stage_line(line: str) -> StageLine | None:
    """What `StageLine.text` wrote; None for any other line."""
    found = _STAGE.fullmatch(line)
    return StageLine(int(found[1]), found[2], found[3]) if found else None


class Reporter:
    """Shows what is being done; every line also goes to the current stage's log."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._live = self.console.is_terminal
        self._progress: Progress | None = None
        self._log: Callable[[str], None] = lambda line: None
        self._last_line = 0.0
        self._started: dict[str, float] = {}

    def log_to(self, sink: Callable[[str], None] | None) -> None:
        """Sends lines to a stage's log as well."""
        self._log = sink or (lambda line: None)

    def line(self, text: str) -> None:
        """A sentence worth keeping; places below the working folder are shown from there."""
        text = text.replace(f"{Path.cwd()}/", "")
        self._log(text)
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` steps of `what`; the time left is worked out from when it was first heard of."""
        if self._live:
            self._show(what, done, total, detail)
            return
        now = time.monotonic()
        start = self._started.setdefault(what, now)
        if done < total and now - self._last_line < LINE_EVERY_S:
            return
        self._last_line = now
        left = f", {(now - start) * (total - done) / done:.0f} s left" if 0 < done < total else ""
        self.line(f"  {what}: {done:,} of {total:,}{left}{' ' + detail if detail else ''}")
        if done >= total:
            self._started.pop(what, None)

    def _show(self, what: str, done: int, total: int, detail: str) -> None:
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(), TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=self.console, transient=True,
            )  # fmt: skip
            self._progress.start()
        task = next((t for t in self._progress.tasks if t.description == what), None)
        if task is None:
            self._progress.add_task(what, total=total, completed=done, detail=detail)
        else:
            self._progress.update(task.id, total=total, completed=done, detail=detail)
        if self._progress.finished:
            self.settle()

    def settle(self) -> None:
        """Takes the live display away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        self._started.clear()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()


class TrainingProgress:
    """Passes a training run's news on to a `Reporter`; has the methods of `flow.training.progress.Progress`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def on_message(self, text: str) -> None:
        self._reporter.line(f"  {text}")

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        self._reporter.progress(f"epoch {epoch} of {epochs}", step, steps, f"loss {loss:.3f}")

    def on_epoch(self, record: object) -> None:
        r = record
        self._reporter.line(
            f"  epoch {r.epoch}/{r.epochs}: loss {r.loss:.4f}, training {r.train_text}, "  # type: ignore[attr-defined]
            f"test {r.test_text}, {r.seconds:.0f} s, {r.seconds_left:.0f} s left"  # type: ignore[attr-defined]
        )
