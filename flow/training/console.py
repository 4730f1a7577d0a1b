"""Training progress on a terminal (live) or in a log (one line per epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from flow.training.progress import EpochRecord
from flow.training.progress import Progress as TrainingProgress


@contextmanager
def console_progress(console: Console) -> Iterator[TrainingProgress]:
    """Shows a run: a live bar on a terminal, plain lines elsewhere.

    Args:
        console: where to.
    """
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console) as live:
        yield _Live(live)


def epoch_line(record: EpochRecord) -> str:
    """One epoch in one line."""
    return (
        f"epoch {record.epoch:3d}/{record.epochs}  loss {record.loss:.4f}  "
        f"train {record.train_text:>7}  test {record.test_text:>7}  "
        f"{record.seconds:5.1f} s  {duration(record.seconds_left)} left"
    )


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Lines:
    """Plain lines, whole ones only, so that a log stays readable."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        pass

    def on_epoch(self, record: EpochRecord) -> None:
        self.on_message(epoch_line(record))


class _Live:
    """A bar of steps and the last epoch's figures."""

    def __init__(self, live: Progress) -> None:
        self._live = live
        self._task = None
        self._last, self._at = "", 0.0

    def on_message(self, text: str) -> None:
        """Above the bar, which goes: what is said after the last epoch is of something else."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        if self._task is not None:
            self._live.remove_task(self._task)
        self._task = None

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        at = epoch - 1 + step / steps
        if at < self._at:  # another training
            self._last = ""
        self._at = at
        if self._task is None:
            self._task = self._live.add_task("training", state="")
        self._live.update(
            self._task,
            description=f"epoch {epoch}/{epochs}",
            completed=step,
            total=steps,
            state=f"loss {loss:.4f}  {self._last}",
        )

    def on_epoch(self, record: EpochRecord) -> None:
        self._last = f"test {record.test_text}  {duration(record.seconds_left)} left"
        self.on_step(record.epoch, record.epochs, 1, 1, record.loss)
