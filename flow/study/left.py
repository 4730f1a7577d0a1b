"""How long the trainings of a study take: first by the networks' sizes alone, then at the pace of epochs so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Protocol

from flow.study.subject import Arm
from flow.training.console import duration
from flow.training.progress import EpochRecord, Progress

#: of 10^12 multiply-accumulates, or what takes as long, on two cores; of networks whose channels were multiplied
SECONDS = 30.0
#: multiply-accumulates that take as long as what else is done with an output of a layer (normalized, quantized, and all
#: that backwards), for it comes from memory; measured on networks of 0.3 to 8 million multiply-accumulates
_OF_AN_OUTPUT = 46
#: forward passes that a step costs
_PASSES = 3
#: training samples of CIFAR-10
USUAL_SAMPLES = 50_000


class Recipe(Protocol):
    """How long each part of a training is."""

    def parts(self, arm: Arm) -> Mapping[str, int]:
        """Epochs by what is trained in them; two arms that share a float start call it the same."""


def work(recipe: Recipe, arms: Sequence[Arm], samples: int) -> dict[str, float]:
    """Multiply-accumulates of each arm's training, or what takes as long, by name; shared parts are the first one's.

    Args:
        samples: of an epoch.
    """
    found, counted = {}, set()
    for arm in arms:
        parts = recipe.parts(arm)
        found[arm.name] = _epoch(arm, samples) * sum(parts[part] for part in parts.keys() - counted)
        counted |= parts.keys()
    return found


def _epoch(arm: Arm, samples: int) -> float:
    outputs = sum(prod(node.shape) for node in arm.spec.nodes if node.kind == "weights")
    return float(_PASSES * (arm.spec.macs + _OF_AN_OUTPUT * outputs) * samples)


class TimeLeft:
    """Passes progress on, and says how much time all that is left takes.

    Args:
        inner: who is told what happens.
        recipe: epochs.
        arms: that are to be trained.
        samples: of an epoch.
    """

    def __init__(self, inner: Progress, recipe: Recipe, arms: Sequence[Arm], samples: int) -> None:
        self._inner, self._samples = inner, samples
        self._left = work(recipe, arms, samples)
        self._now: Arm | None = None
        self._epoch = 0
        self._seconds, self._done = 0.0, 0.0

    def begin(self, arm: Arm) -> None:
        """What follows is this arm's training."""
        self._now, self._epoch = arm, 0

    def forget(self, arms: Iterable[Arm]) -> None:
        """These are trained already."""
        for arm in arms:
            self._left[arm.name] = 0.0

    def end(self) -> None:
        """The training is finished, whatever of it had been done before."""
        self._left[self._now.name], self._now = 0.0, None

    @property
    def text(self) -> str:
        """For people."""
        pace = self._seconds / self._done if self._done else SECONDS / 1e12
        return f"about {duration(pace * sum(self._left.values()))} left"

    def on_message(self, text: str) -> None:
        self._inner.on_message(text)

    def on_step(self, epoch: int, epochs: int, step: int, steps: int, loss: float) -> None:
        self._inner.on_step(epoch, epochs, step, steps, loss)

    def on_epoch(self, record: EpochRecord) -> None:
        self._inner.on_epoch(record)
        if self._now is None:
            return
        amount = _epoch(self._now, self._samples)
        self._seconds, self._done = self._seconds + record.seconds, self._done + amount
        # the first epoch of a part that goes on comes after others; a part's number begins anew
        passed = record.epoch - (self._epoch if record.epoch > self._epoch else 0)
        self._epoch = record.epoch
        self._left[self._now.name] = max(0.0, self._left[self._now.name] - passed * amount)
        if record.epoch <= 2 or record.epoch % 5 == 0:  # the first epoch waits for compilation
            self._inner.on_message(f"all networks: {self.text}")
