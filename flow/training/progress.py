"""Where a training run reports to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        epochs: of the whole run.
        loss: mean over the epoch's batches.
        train_accuracy: on the augmented training images, while training.
        test_accuracy: on all test images after the epoch; only reported, never selected on.
        learning_rate: at the end of the epoch.
        seconds: that the epoch took.
        seconds_left: estimate for the rest of the run.
    """

    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    learning_rate: float
    seconds: float
    seconds_left: float

    def as_dict(self) -> dict[str, float]:
        """For logs and JSON."""
        return asdict(self)


class Progress(Protocol):
    """Receives what happens during a run."""

    def on_message(self, text: str) -> None:
        """A sentence: what starts, what was found."""

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        """Now and then within an epoch; all counted from 1."""

    def on_epoch(self, record: EpochRecord) -> None:
        """After every epoch."""


class Silent:
    """Reports nothing."""

    def on_message(self, text: str) -> None:
        pass

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        pass

    def on_epoch(self, record: EpochRecord) -> None:
        pass
