"""Made-up time-frequency patterns in the place of spoken keywords: 49 steps of 10 coefficients, 12 classes.

Each class is three tracks that wander over the coefficients and swell and fade; its samples start earlier or later, run
faster or slower, are louder or softer, and have noise on them. Nobody ever said them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.datasets.standardize import standardized

TITLE = "the generated keywords"
SAMPLES = "49x10x1 made-up patterns"
FILES = ""

STEPS, COEFFICIENTS = 49, 10
CLASS_NAMES = tuple(f"pattern {index}" for index in range(12))
TRAIN, TEST = 3_000, 600
SEED = 2017
TRACKS = 3
NOISE = 0.6


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`."""
    return shape == (STEPS, COEFFICIENTS, 1)


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return ""


def where() -> str:
    """See `DatasetModule`."""
    return "generated from a seed; stands in for Speech Commands"


def load(data_dir: str | Path | None, shape: tuple[int, ...], download: bool = False) -> Dataset:
    """Samples of all classes in turn."""
    rng = np.random.default_rng(SEED)
    # of each track of each class: where it begins, how far it goes, how it curves, when it is loudest, its sign
    tracks = rng.uniform((0, -5, -4), (COEFFICIENTS, 5, 4), (len(CLASS_NAMES), TRACKS, 3))
    begins, goes, curves = tracks.transpose(2, 0, 1)
    loudest = rng.uniform(0.1, 0.9, (len(CLASS_NAMES), TRACKS))
    signs = rng.choice([-1.0, 1.0], (len(CLASS_NAMES), TRACKS))
    labels = np.arange(TRAIN + TEST) % len(CLASS_NAMES)
    count = len(labels)
    shift, speed = rng.uniform(-0.15, 0.15, (count, 1)), rng.uniform(0.8, 1.25, (count, 1))
    time = ((np.arange(STEPS) / STEPS - 0.5) * speed + 0.5 + shift)[:, None, :]
    track = begins[labels][..., None] + goes[labels][..., None] * time + curves[labels][..., None] * time**2
    swell = signs[labels][..., None] * np.exp(-(((time - loudest[labels][..., None]) / 0.25) ** 2))
    distance = np.arange(COEFFICIENTS) - track[..., None]
    x = (swell[..., None] * np.exp(-(distance**2))).sum(axis=1)
    x = x * rng.uniform(0.6, 1.4, (count, 1, 1)) + rng.normal(0, NOISE, x.shape)
    x_train, x_test = standardized(x[:TRAIN, ..., None], x[TRAIN:, ..., None], each=False)
    source = f"generated-keywords: GENERATED data, no speech: 12 classes of 49x10 patterns, seed {SEED}"
    return Dataset("generated-keywords", x_train, labels[:TRAIN], x_test, labels[TRAIN:], CLASS_NAMES, source)
