"""The learning rate over a run."""

from __future__ import annotations

import math

from flow.training.config import TrainConfig


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """Linear rise, then half a cosine down to zero at the end.

    Args:
        config: peak, epochs and length of the rise.
        epoch: passed so far, with a fraction.
    """
    warmup = min(config.warmup_epochs, config.epochs / 5)
    if epoch < warmup:
        return config.learning_rate * (epoch + 0.01) / (warmup + 0.01)
    passed = (epoch - warmup) / (config.epochs - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * passed))
