"""Trains what is not trained, builds what is not built, and writes down what is known after each network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

import typer
from rich.console import Console

from flow.datasets import Dataset
from flow.errors import CheckFailed, FlowError
from flow.files import locked
from flow.pipeline.reporter import Reporter
from flow.study.hardware import build_arm, failure, keep_failure, kept
from flow.study.left import Recipe, TimeLeft
from flow.study.subject import A, Subject
from flow.training.claim import once
from flow.training.console import console_progress, duration
from flow.training.progress import Progress


@dataclass(frozen=True)
class Study(Generic[A]):
    """A subject at work; other processes may work on other arms of it, or on the same.

    Attributes:
        subject: what is studied.
        tell: is told what happens.
        failed: names of networks that could not be trained or built here, are not exact, or do not fit.
    """

    subject: Subject[A]
    tell: Callable[[str], None]
    failed: list[str] = field(default_factory=list)

    def rows(self) -> list[Any]:
        """Of all arms that are trained, with what was measured of those that are built."""
        subject, found = self.subject, []
        for arm in subject.arms:
            path = subject.finished(arm)
            if path is not None:
                found.append(subject.row(arm, path, kept(subject, arm, path, self.tell)))
        return found

    def failures(self) -> dict[str, str]:
        """Why builds failed, by network, in this process or another."""
        trained = ((arm, self.subject.finished(arm)) for arm in self.subject.arms)
        reasons = {arm.name: failure(self.subject, arm, path) for arm, path in trained if path is not None}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def results(self) -> str:
        """Writes what is known.

        Returns:
            Markdown.
        """
        with locked(self.subject.results_folder / ".lock"):
            return self.subject.results(self.rows()).write(self.subject.results_folder, self.failures())

    def train(self, arms: Sequence[A], left: TimeLeft) -> None:
        """Trains those of the arms that are not, one after another.

        Args:
            left: the subject's progress.
        """
        todo = [arm for arm in arms if self.subject.finished(arm) is None]
        left.forget(arm for arm in arms if arm not in todo)
        done = 0
        for number, arm in enumerate(todo, start=1):
            self.tell(f"network {number} of {len(todo)}: {arm.name}; all networks: {left.text}")
            left.begin(arm)
            try:
                self._trained(arm)
                done += 1
            except FlowError as error:  # the others can be trained all the same
                self.tell(f"{arm.name}: {error}")
                self.failed.append(arm.name)
            left.end()
            self.tell(f"{done} of {len(todo)} networks trained, {left.text}")
            self.results()

    def _trained(self, arm: A) -> Path:
        """The checkpoint of an arm, trained here or meanwhile by another process."""
        subject = self.subject

        def train() -> Path:
            trained = subject.train(arm)
            path = trained.save(subject.command(arm), subject.place(arm))
            self.tell(f"{trained.accuracy:.2%} on {trained.test_images:,} test images: {path}")
            return path

        return once(subject.place(arm), arm.name, lambda: subject.finished(arm), train, self.tell)

    def build(self, arms: Sequence[A], reporter: Reporter) -> None:
        """Builds some of the trained networks, as far as that is not done."""
        trained = [(arm, path) for arm in arms if (path := self.subject.finished(arm)) is not None]
        longest = 0.0
        for number, (arm, path) in enumerate(trained, start=1):
            left = f", about {duration(longest * (len(trained) - number + 1))} left" if longest > 1 else ""
            reporter.line(f"build {number} of {len(trained)}: {arm.name}{left}")
            reason, begin = None, time.monotonic()
            try:
                build_arm(self.subject, arm, path, reporter)
            except (CheckFailed, FlowError) as error:  # the others can be built all the same
                reason = str(error)
                reporter.line(f"{arm.name}: {reason}")
                self.failed.append(arm.name)
            longest = max(longest, time.monotonic() - begin)
            keep_failure(self.subject, arm, path, reason)
            self.results()


def run_study(
    subject_of: Callable[[Progress], Subject[A]], recipe: Recipe, data: Dataset, here: Sequence[A], built: Sequence[A],
    console: Console,
) -> None:  # fmt: skip
    """A study from end to end; one that was stopped goes on where it was.

    Args:
        subject_of: makes the subject, which is to train with this progress; may train what all arms need.
        here: the arms that are trained by this process.
        built: those that are built by it.

    Raises:
        Exit: it was stopped, with status 130.
        CheckFailed: networks could not be trained or built; names them.
    """
    with console_progress(console) as progress:
        progress.on_message(data.source)
        left = TimeLeft(progress, recipe, here, len(data.x_train))
        try:
            study = Study(subject_of(left), left.on_message)
            study.results()  # also finds what is of another recipe, before anything is trained
            study.train(here, left)
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last whole epoch")
            raise typer.Exit(130) from None
    if built:
        with Reporter(console) as reporter:
            study.build(built, reporter)
    console.print(study.results(), highlight=False, markup=False, soft_wrap=True)
    if study.failed:
        raise CheckFailed(f"failed: {', '.join(study.failed)}; the reasons stand above")
