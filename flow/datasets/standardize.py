"""Real samples with an average of 0 and a spread of 1, as networks like them."""

from __future__ import annotations

import numpy as np


def standardized(train: np.ndarray, test: np.ndarray, each: bool) -> tuple[np.ndarray, np.ndarray]:
    """Subtracts the average of the training samples and divides by their standard deviation.

    Args:
        train, test: [samples, ...].
        each: whether each value of a sample has an average and a deviation of its own, else one for all.

    Returns:
        float32 arrays of the same shapes.

    Raises:
        ValueError: a value is the same in all training samples; the message is its index.
    """
    axis = 0 if each else None
    mean, deviation = train.mean(axis=axis, dtype=np.float64), train.std(axis=axis, dtype=np.float64)
    if np.any(deviation == 0):
        raise ValueError(int(np.argmax(deviation == 0)))
    return tuple(((values - mean) / deviation).astype(np.float32) for values in (train, test))
