"""What the training of a network with run-time widths is made of: a recipe with three stages."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import Field, model_validator

from flow.training.config import TrainConfig, default_config
from flow.training.rates import learning_rate

STAGES = ("top width", "every width", "mixed widths")


class MixerConfig(TrainConfig):
    """A recipe; `epochs` is the sum of its stages. Its optimizer is Adam, which moves selected sets alone.

    The stages are **ours**; those of arXiv 2103.17267 are network-wide selection first, layer-wise at the end:
    all layers at the top width; each step at every width network-wide; each step at |B| configurations that begin
    network-wide and have a layer's width replaced by a random one with a probability that rises linearly and then
    stays.

    Attributes:
        stages: epochs of each.
        stage_rates: peak learning rate of each as a share of `learning_rate`; each has its own rise and fall.
        mixing: the probability of replacement at the end. At 1/2, a third of the layers of three widths differ from
            the rest.
        ramp: share of stage III, up to its frozen epochs, in which the probability rises. At 1 it would be high only
            when the learning rate is low.
        nesting: how lower widths follow from the stored weights, see `flow.quantizers.nested`: ``"floor"`` as in the
            paper, ``"centre"`` with the same codes, or ``"round"``, which hardware with bit planes cannot do.
    """

    stages: tuple[int, int, int]
    stage_rates: tuple[float, float, float] = (1.0, 1.0, 0.5)
    mixing: float = Field(default=0.5, gt=0, le=1)
    ramp: float = Field(default=0.5, gt=0, le=1)
    nesting: Literal["floor", "centre", "round"] = "floor"

    @model_validator(mode="after")
    def _check(self) -> MixerConfig:
        if min(self.stages) < 1 or sum(self.stages) != self.epochs:
            raise ValueError(f"stages {list(self.stages)} should be three numbers from 1 whose sum is {self.epochs}")
        if min(self.stage_rates) <= 0:
            raise ValueError(f"stage_rates {list(self.stage_rates)} should be above 0")
        if self.optimizer != "adam":
            raise ValueError(f"optimizer {self.optimizer}: sets that are not selected stay as they are with adam only")
        if self.arithmetic != "float32":
            raise ValueError(f"arithmetic {self.arithmetic}: networks with run-time widths are trained in float32")
        if self.precise_statistics:
            raise ValueError("precise_statistics: networks with run-time widths have statistics of their own")
        return self

    @property
    def first_frozen_epoch(self) -> int:
        """The first epoch, counted from 0, in which batch-norm statistics are kept: in the last third of stage III."""
        return self.epochs - min(self.frozen_epochs, self.stages[2] // 3)

    def until(self, stage: int) -> str:
        """All that the first stages depend on, as text: equal for recipes that differ in later ones alone.

        Args:
            stage: how many of them.
        """
        own = {"stages": self.stages[:stage], "stage_rates": self.stage_rates[:stage]}
        later = {"epochs", "mixing", "ramp", "frozen_epochs"}
        return json.dumps(self.model_dump(mode="json", exclude=later) | own, sort_keys=True)

    def stage_of(self, epoch: int) -> tuple[int, int]:
        """The stage of an epoch, counted from 0, and the epoch's number in it."""
        for stage, epochs in enumerate(self.stages):
            if epoch < epochs:
                return stage, epoch
            epoch -= epochs
        raise ValueError("beyond the last epoch")

    def rate(self, epoch: float) -> float:
        """The learning rate; `epoch` has a fraction."""
        stage, first = self.stage_of(int(epoch))
        within = {"epochs": self.stages[stage], "learning_rate": self.learning_rate * self.stage_rates[stage]}
        return learning_rate(self.as_plain(**within), first + epoch - int(epoch))

    def as_plain(self, **changes) -> TrainConfig:
        """What the recipe shares with others, with changes."""
        return TrainConfig(**{name: getattr(self, name) for name in TrainConfig.model_fields} | changes)


def split_epochs(epochs: int) -> tuple[int, int, int]:
    """Stages for a number of epochs: a fifth, two fifths, two fifths; each at least 1."""
    first = max(epochs // 5, 1)
    second = max((epochs - first) // 2, 1)
    return first, second, max(epochs - first - second, 1)


def default_mixer_config(dataset: str, shape: tuple[int, ...], epochs: int | None = None) -> MixerConfig:
    """The recipe for a dataset: that of quantized networks, in three stages.

    Args:
        dataset: a name of `flow.datasets.DATASETS`.
        shape: of a sample.
        epochs: of all stages together, at least 3.
    """
    found = default_config(dataset, shape, quantized=True)
    stages = split_epochs(found.epochs if epochs is None else epochs)
    return MixerConfig(**found.model_dump() | {"epochs": sum(stages), "stages": stages})
