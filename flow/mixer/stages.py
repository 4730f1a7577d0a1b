"""Which configurations the steps of each stage visit."""

from __future__ import annotations

import numpy as np

from flow.mixer.config import MixerConfig


def network_wide(count: int, layers: int) -> np.ndarray:
    """Every width for all layers: int32 [count, layers], positions in the widths."""
    return np.repeat(np.arange(count, dtype=np.int32)[:, None], layers, axis=1)


def mixed_rows(count: int, layers: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Every width network-wide, each layer's replaced by a random one with a probability: int32 [count, layers]."""
    wide = network_wide(count, layers)
    replaced = rng.random(wide.shape) < probability
    return np.where(replaced, rng.integers(0, count, wide.shape), wide).astype(np.int32)


class Schedule:
    """The configurations of every step: a function of the recipe alone, so that a resumed run goes on as it would have.

    Args:
        config: the recipe.
        count: of widths.
        layers: of runtime layers.
    """

    def __init__(self, config: MixerConfig, count: int, layers: int) -> None:
        self._config, self._count, self._layers = config, count, layers

    def probability(self, epoch: float) -> float:
        """That a layer's width is replaced in stage III: it rises to `mixing` within `ramp`, and stays."""
        first = sum(self._config.stages[:2])
        rising = max(self._config.ramp * (self._config.first_frozen_epoch - first), 1)
        return self._config.mixing * min(max((epoch - first) / rising, 0.0), 1.0)

    def rows(self, epoch: int, step: int, steps: int) -> np.ndarray:
        """The passes of one step, int32 [passes, layers]; all counted from 0."""
        stage, _ = self._config.stage_of(epoch)
        wide = network_wide(self._count, self._layers)
        if stage == 0:
            return wide[-1:]
        if stage == 1:
            return wide
        rng = np.random.default_rng((self._config.seed, epoch, step))
        return mixed_rows(self._count, self._layers, self.probability(epoch + step / steps), rng)
