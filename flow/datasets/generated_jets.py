"""Made-up samples in the place of jets: 16 features, five classes that overlap. No physics is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.datasets.standardize import standardized

TITLE = "the generated jets"
SAMPLES = "16 made-up features"
FILES = ""

FEATURES = 16
CLASS_NAMES = tuple(f"class {index}" for index in range(5))
TRAIN, TEST = 20_000, 4_000
SEED = 2018
#: of what the features are made from
LATENT = 6
#: distance of the class centres, and what is added to each feature, in spreads of a class
DISTANCE, NOISE = 1.4, 0.5


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`."""
    return shape == (FEATURES,)


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return ""


def where() -> str:
    """See `DatasetModule`."""
    return "generated from a seed; stands in for jets"


def load(data_dir: str | Path | None, shape: tuple[int, ...], download: bool = False) -> Dataset:
    """Five clouds in six dimensions, bent and mixed into 16 features, with noise."""
    rng = np.random.default_rng(SEED)
    centres = rng.normal(0, DISTANCE, (len(CLASS_NAMES), LATENT))
    straight, bent = rng.normal(0, 1, (2, LATENT, FEATURES)) / np.sqrt(LATENT)
    labels = rng.integers(0, len(CLASS_NAMES), TRAIN + TEST)
    latent = centres[labels] + rng.normal(0, 1, (TRAIN + TEST, LATENT))
    x = latent @ straight + np.tanh(latent) ** 2 @ bent + rng.normal(0, NOISE, (TRAIN + TEST, FEATURES))
    x_train, x_test = standardized(x[:TRAIN], x[TRAIN:], each=True)
    source = f"generated-jets: GENERATED data, no jets: five overlapping classes of 16 features, seed {SEED}"
    return Dataset("generated-jets", x_train, labels[:TRAIN], x_test, labels[TRAIN:], CLASS_NAMES, source)
