"""What a study is to the harness: its networks, called arms, how one is trained, and where what is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from flow.bits import BitsSpec
from flow.training.config import TrainConfig, default_config
from keras_models.spec import ModelSpec

if TYPE_CHECKING:
    from flow.datasets import Dataset
    from flow.report import Report
    from flow.study.hardware import Hardware
    from flow.study.table import Results
    from flow.training.progress import Progress
    from flow.training.run import Trained


class Arm(Protocol):
    """One network of a study, which may know more of itself."""

    @property
    def name(self) -> str:
        """Different from every other arm's, and fit for a file's name."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def quantizer(self) -> str:
        """A name of `flow.quantizers.SYSTEMS`."""

    @property
    def seed(self) -> int:
        """Of order and augmentation."""


A = TypeVar("A", bound=Arm)


@dataclass(frozen=True)
class Subject(ABC, Generic[A]):
    """A study.

    Attributes:
        arms: all of them; results are of all that are found, whichever are trained here.
        data: samples.
        hardware: what the networks are built for.
        progress: is told of every epoch.
    """

    arms: Sequence[A]
    data: Dataset
    hardware: Hardware
    progress: Progress

    @property
    @abstractmethod
    def results_folder(self) -> Path:
        """Of tables and plots."""

    @abstractmethod
    def place(self, arm: A) -> Path:
        """The folder of its checkpoint, and of the state of an unfinished training."""

    @abstractmethod
    def run(self, arm: A) -> Path:
        """The folder of its build, which is large."""

    @abstractmethod
    def kept(self, arm: A) -> Path:
        """The file of what the build measured, which stays."""

    @abstractmethod
    def finished(self, arm: A) -> Path | None:
        """The checkpoint of an arm, None if it is not there yet.

        Raises:
            FlowError: there is one of another recipe, start or teacher.
        """

    @abstractmethod
    def train(self, arm: A) -> Trained:
        """Trains an arm; one that was stopped goes on after its last whole epoch."""

    @abstractmethod
    def command(self, arm: A) -> str:
        """That trains it again, for its description."""

    @abstractmethod
    def widths(self, arm: A) -> BitsSpec | None:
        """Of every layer; None where a search is still to find them."""

    @abstractmethod
    def row(self, arm: A, checkpoint: Path, report: Report | None) -> Any:
        """What is known of a trained arm: a dataclass.

        Args:
            report: of its build, if there is one.
        """

    @abstractmethod
    def results(self, rows: Sequence[Any]) -> Results:
        """What the rows show; arms that are not trained yet have none."""


def recipe(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The project's recipe for quantized networks, the same for every arm but for its seed and a search's epochs."""
    return default_config(dataset, spec.input_shape, quantized=True).model_copy(update={"epochs": epochs, "seed": seed})
