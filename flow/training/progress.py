"""Where a training run reports to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol

from flow.tasks import ACCURACY, metric_text


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch came to.

    Attributes:
        epoch: counted from 1.
        epochs: of the whole run.
        loss: mean over the epoch's batches.
        train_score: on the augmented training samples, while training.
        test_score: on all test samples after the epoch; only reported, never selected on.
        learning_rate: at the end of the epoch.
        seconds: that the epoch took.
        seconds_left: estimate for the rest of the run.
        metric: what the two scores are, ``"accuracy"`` or another of `flow.tasks.METRICS`.
    """

    epoch: int
    epochs: int
    loss: float
    train_score: float
    test_score: float
    learning_rate: float
    seconds: float
    seconds_left: float
    metric: str = ACCURACY

    def as_dict(self) -> dict[str, float]:
        """For logs and JSON; the scores are called ``train_accuracy``, ``test_mean_squared_error`` and the like."""
        plain = asdict(self)
        metric = plain.pop("metric").replace(" ", "_")
        return {name.replace("score", metric): value for name, value in plain.items()}

    @property
    def train_text(self) -> str:
        """The score on the training samples."""
        return metric_text(self.metric, self.train_score)

    @property
    def test_text(self) -> str:
        """The score on the test samples."""
        return metric_text(self.metric, self.test_score)


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
