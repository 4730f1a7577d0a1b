"""The widths that the frames of a build have, where its network lets every frame choose them."""

from __future__ import annotations

import numpy as np

from flow.ir import RuntimeWidths
from flow.mixer.curve import sample_configurations
from flow.pipeline.config import BuildConfig


def configurations(config: BuildConfig, runtime: RuntimeWidths) -> np.ndarray:
    """Those that a build compares its engines in: every width network-wide, then different random ones.

    Returns:
        Bits, int64 (configurations, layers).
    """
    positions = sample_configurations(runtime, config.runtime_configurations, config.seed)
    return np.asarray(runtime.widths)[np.array(positions)]


def frame_widths(config: BuildConfig, runtime: RuntimeWidths | None, frames: int) -> np.ndarray | None:
    """The widths of consecutive frames, each frame's others than those of the frame before.

    They go through all `configurations` again and again, each time in another order, so that each has its share of
    the frames. The first frames have the same widths however many follow.

    Returns:
        Bits, int64 (frames, layers); None where nothing can be chosen.
    """
    if runtime is None:
        return None
    chosen = configurations(config, runtime)
    rng, order = np.random.default_rng(config.seed), np.zeros(0, np.int64)
    while len(order) < frames:
        turn = rng.permutation(len(chosen))
        if len(order) and turn[0] == order[-1]:
            turn = turn[::-1]
        order = np.concatenate([order, turn])
    return chosen[order[:frames]]
