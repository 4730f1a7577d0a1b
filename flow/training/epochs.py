"""Epoch after epoch: what every training loop shares, and what an interrupted one goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from flow.keras_env import tf
from flow.training.distillation import Distillation
from flow.training.optimizers import Optimizers
from flow.training.progress import EpochRecord, Progress
from flow.training.resume import TrainState, load_state, save_state

_STEPS_BETWEEN_REPORTS = 50


class Epochs:
    """The epochs of a run, of which a second run of the same recipe does those that are left.

    Args:
        costs: of each epoch, in any unit; their number is the run's epochs.
        optimizer: what the steps move the variables with.
        variables: all that the next epoch depends on beside the recipe and the optimizer's own.
        progress: is told of every epoch.
        state_path: where the state is kept after each epoch; None keeps none.
        identity: a hash of all that the result depends on; a state with another is not used.
        waypoints: numbers of epochs after which the state is kept for other runs that begin alike: its file and its
            identity there. A run without a state of its own goes on from the last of them that it finds.

    Attributes:
        history: a record per finished epoch.
    """

    def __init__(
        self,
        costs: Sequence[float],
        optimizer: Optimizers,
        variables: Sequence[tf.Variable],
        progress: Progress,
        state_path: Path | None,
        identity: str,
        waypoints: Mapping[int, tuple[Path, str]] = MappingProxyType({}),
    ) -> None:
        self._costs, self._optimizer, self._progress = costs, optimizer, progress
        self._variables = [*variables, *optimizer.variables]
        self._state_path, self._identity, self._waypoints = state_path, identity, waypoints
        self.history: list[dict[str, float]] = []
        for path, name in [(state_path, identity), *(waypoints[epoch] for epoch in sorted(waypoints, reverse=True))]:
            if not self.history and path is not None:
                self._resume(path, name)
        self._first, self._begin = len(self.history), time.monotonic()
        self._epoch, self._started = self._first, self._begin

    def _resume(self, path: Path, identity: str) -> None:
        state, reason = load_state(path, identity)
        if reason:
            self._progress.on_message(reason)
        if state is not None and [array.shape for array in state.arrays] != [v.shape for v in self._variables]:
            self._progress.on_message(f"{path}: of another version of the project, not used")
        elif state is not None:
            for variable, value in zip(self._variables, state.arrays, strict=True):
                variable.assign(value)
            self.history = state.history
            self._progress.on_message(f"goes on after epoch {state.epoch}, found in {path}")

    def __iter__(self) -> Iterator[int]:
        """The epochs that are left, counted from 0; each is to be taught and finished before the next."""
        for epoch in range(self._first, len(self._costs)):
            self._epoch, self._started = epoch, time.monotonic()
            yield epoch

    def teach(
        self,
        step_function: Callable,
        distillation: Distillation,
        rate: Callable[[float], float],
        more: Callable[[int], tuple[tf.Tensor, ...]] = lambda step: (),
    ) -> tuple[float, float]:
        """One pass over the training samples.

        Args:
            step_function: samples, labels, answers, and what `more` gives -> loss, what the objective counts.
            distillation: the batches.
            rate: the learning rate of an epoch with a fraction.
            more: further arguments of a step, by its number.

        Returns:
            Mean loss, and the mean of what was counted over the samples.
        """
        epoch, epochs, steps = self._epoch, len(self._costs), distillation.steps
        losses, counted, seen = 0.0, 0.0, 0
        for step, (samples, labels, taught) in enumerate(distillation.batches(epoch)):
            self._optimizer.set_learning_rate(rate(epoch + step / steps))
            batch = tf.constant(samples), tf.constant(labels), tf.constant(taught)
            loss, count = step_function(*batch, *more(step))
            losses, counted, seen = losses + float(loss), counted + float(count), seen + len(labels)
            if (step + 1) % _STEPS_BETWEEN_REPORTS == 0 or step + 1 == steps:
                self._progress.on_step(epoch + 1, epochs, step + 1, steps, losses / (step + 1))
        return losses / steps, counted / seen

    def finish(self, taught: tuple[float, float], metric: str, test_score: float, **more: float) -> None:
        """Records an epoch and keeps the state after it.

        Args:
            taught: what `teach` returned.
            metric: what its second figure and the test score are, see `flow.tasks`.
            test_score: on all test samples.
            **more: further figures of the record.
        """
        done, now = self._epoch + 1, time.monotonic()
        pace = (now - self._begin) / sum(self._costs[self._first : done])
        record = EpochRecord(
            epoch=done,
            epochs=len(self._costs),
            loss=taught[0],
            metric=metric,
            train_score=taught[1],
            test_score=test_score,
            learning_rate=float(self._optimizer.learning_rate),
            seconds=now - self._started,
            seconds_left=pace * sum(self._costs[done:]),
        )
        self.history.append(record.as_dict() | more)
        if self._state_path is not None:
            arrays = [variable.numpy() for variable in self._variables]
            save_state(self._state_path, TrainState(self._identity, done, arrays, self.history))
            if done in self._waypoints:
                path, name = self._waypoints[done]
                save_state(path, TrainState(name, done, arrays, self.history))
        self._progress.on_epoch(record)
