"""What a training run is made of: every number that changes its result."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainConfig(BaseModel):
    """A recipe.

    Attributes:
        epochs: passes over the training images.
        batch: images in a step.
        optimizer: ``"sgd"`` (Nesterov, momentum 0.9) or ``"adam"``.
        learning_rate: its peak; it rises linearly and falls to zero with a cosine.
        warmup_epochs: length of the rise, at most a fifth of the epochs.
        weight_decay: L2 coefficient on the kernels, 0 for none.
        augment: random shifts by up to `shift` pixels, of images only.
        flip: random left-right flips (for photographs, not for digits).
        shift: pixels.
        frozen_epochs: last epochs, in which batch normalization keeps its statistics; at most a
            third of all.
        precise_statistics: after the last epoch batch normalization gets the statistics of the final weights, on
            samples as training sees them (Wu and Johnson, arXiv 2105.07576), in place of running averages.
        distill: share of the teacher's answers in the loss (quantized training only).
        temperature: by which the logits are divided for the soft labels.
        quantizer_rate: learning rate of a quantizer's own parameters as a share of the weights' (a tenth in
            arXiv 2111.14826).
        arithmetic: ``"float32"`` or ``"mixed_bfloat16"``.
        seed: of initial weights, order and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    batch: int = Field(default=128, ge=1)
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(gt=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    augment: bool = True
    flip: bool = True
    shift: int = Field(default=4, ge=0)
    frozen_epochs: int = Field(default=0, ge=0)
    precise_statistics: bool = False
    distill: float = Field(default=0.0, ge=0, le=1)
    temperature: float = Field(default=4.0, gt=0)
    quantizer_rate: float = Field(default=0.1, gt=0)
    arithmetic: Literal["float32", "mixed_bfloat16"] = "float32"
    seed: int = 0

    @property
    def first_frozen_epoch(self) -> int:
        """The first epoch, counted from 0, in which batch-norm statistics are kept."""
        return self.epochs - min(self.frozen_epochs, self.epochs // 3)

    def fingerprint(self) -> str:
        """A hash of all fields: two runs with equal fingerprints follow one recipe."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


#: of samples that are no pictures, which nothing shifts or flips
_FEATURES = {
    "optimizer": "adam", "learning_rate": 2e-3, "warmup_epochs": 1, "augment": False, "frozen_epochs": 3,
    "temperature": 2.0,
}  # fmt: skip

_FLOAT: dict[str, TrainConfig] = {
    "cifar10": TrainConfig(
        epochs=100,
        learning_rate=0.1,
        warmup_epochs=5,
        weight_decay=1e-4,
        arithmetic="mixed_bfloat16",
    ),
    "digits": TrainConfig(epochs=24, batch=32, learning_rate=0.05, warmup_epochs=2, flip=False, frozen_epochs=2),
    "jets": TrainConfig(epochs=30, batch=1024, **_FEATURES),
    "generated-jets": TrainConfig(epochs=20, **_FEATURES),
    "generated-sounds": TrainConfig(epochs=40, batch=64, **_FEATURES),
    "generated-keywords": TrainConfig(epochs=15, batch=64, **_FEATURES),
}

_QUANTIZED: dict[str, TrainConfig] = {
    "cifar10": TrainConfig(
        epochs=80,
        optimizer="adam",
        learning_rate=1.5e-3,
        warmup_epochs=1,
        distill=0.7,
        temperature=4.0,
        frozen_epochs=4,
    ),
    "digits": TrainConfig(
        epochs=12,
        batch=32,
        optimizer="adam",
        learning_rate=1e-3,
        warmup_epochs=1,
        flip=False,
        distill=0.5,
        temperature=2.0,
        frozen_epochs=2,
    ),
    "jets": TrainConfig(epochs=20, batch=1024, distill=0.5, **_FEATURES),
    "generated-jets": TrainConfig(epochs=12, distill=0.5, **_FEATURES),
    "generated-sounds": TrainConfig(epochs=30, batch=64, distill=0.5, **_FEATURES),
    "generated-keywords": TrainConfig(epochs=8, batch=64, distill=0.5, **_FEATURES),
}


def default_config(dataset: str, shape: tuple[int, ...], quantized: bool) -> TrainConfig:
    """The recipe for a dataset; digits move by a sixteenth of the image at most.

    Args:
        dataset: a name of `flow.datasets.DATASETS`.
        shape: of a sample.
        quantized: the recipe of the quantized network, else of the float network.
    """
    found = (_QUANTIZED if quantized else _FLOAT)[dataset]
    if dataset == "digits":
        found = found.model_copy(update={"shift": shape[0] // 16})
    return found
