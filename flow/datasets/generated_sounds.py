"""Made-up spectrograms of a machine that runs, and of one that does not run as it should.

A sample is five frames of 128 bands of log energy, one frame behind the other, as MLPerf Tiny's anomaly detector takes
them from ToyADMOS. The normal machine hums a tone and its overtones, and differs from sample to sample in pitch, load,
swing and noise. Anomalies, in the test samples only, have a tone more, a weaker overtone, or crackle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.datasets import Dataset
from flow.datasets.standardize import standardized

TITLE = "the generated sounds"
SAMPLES = "640 made-up spectrogram values"
FILES = ""

FRAMES, BANDS = 5, 128
CLASS_NAMES = ("normal", "anomaly")
TRAIN, TEST = 4_000, 1_000
SEED = 2019
OVERTONES = 7
#: band of the lowest tone, and its spread
PITCH, PITCH_SPREAD = 14.0, 0.4
TONE_WIDTH = 1.6
NOISE = 0.15


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`."""
    return shape == (FRAMES * BANDS,)


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return ""


def where() -> str:
    """See `DatasetModule`."""
    return "generated from a seed; stands in for ToyADMOS"


def load(data_dir: str | Path | None, shape: tuple[int, ...], download: bool = False) -> Dataset:
    """Normal training samples; every second test sample is an anomaly."""
    rng = np.random.default_rng(SEED)
    strengths = rng.uniform(0.6, 1.4, OVERTONES)
    y_test = np.arange(TEST) % 2
    train = machine(rng, strengths, np.zeros(TRAIN, np.int64))
    test = machine(rng, strengths, np.where(y_test == 1, rng.integers(1, 4, TEST), 0))
    x_train, x_test = standardized(train, test, each=False)
    source = (
        f"generated-sounds: GENERATED data, no recordings: {TRAIN:,} spectrograms of a normal machine, "
        f"{TEST:,} for tests, every second an anomaly, seed {SEED}"
    )
    return Dataset("generated-sounds", x_train, np.zeros(TRAIN, np.int64), x_test, y_test, CLASS_NAMES, source)


def machine(rng: np.random.Generator, strengths: np.ndarray, faults: np.ndarray) -> np.ndarray:
    """Log energies of samples.

    Args:
        rng: draws pitch, load, swing and noise.
        strengths: of the overtones.
        faults: 0 for none, 1 for a tone more, 2 for a weaker overtone, 3 for a crackle; int64 [samples].

    Returns:
        float64 [samples, FRAMES * BANDS].
    """
    count = len(faults)
    pitch = PITCH + PITCH_SPREAD * rng.normal(0, 1, (count, 1))
    load = rng.uniform(0.5, 1.0, (count, 1))
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    swing = 1 + 0.2 * np.sin(phase + np.arange(FRAMES) * 0.8)
    orders = np.arange(1, OVERTONES + 1)
    tones = np.tile(strengths, (count, 1)) * load ** (orders / 3)
    weak = rng.integers(0, OVERTONES, count)
    tones[faults == 2, weak[faults == 2]] *= 0.6
    bands = np.arange(BANDS)
    distance = bands - (pitch * orders)[:, :, None]
    energy = (tones[:, :, None] * np.exp(-((distance / TONE_WIDTH) ** 2))).sum(axis=1)
    extra = rng.uniform(5, BANDS - 5, (count, 1))
    energy += (faults == 1)[:, None] * 0.25 * np.exp(-(((bands - extra) / TONE_WIDTH) ** 2))
    x = energy[:, None, :] * swing[:, :, None] + 0.2 * load[:, :, None]
    crackle = rng.integers(0, FRAMES, count)
    hit = faults == 3
    x[hit, crackle[hit]] += 0.06
    return (np.log1p(4 * x) + rng.normal(0, NOISE, x.shape)).reshape(count, -1)
