"""Shuffled, augmented samples of one epoch; a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flow.errors import FlowError
from flow.training.config import TrainConfig


def epoch_batches(
    images: np.ndarray, labels: np.ndarray, config: TrainConfig, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the batches of an epoch; images of an incomplete last batch are left out.

    Args:
        images: uint8 [images, height, width, channels]; or real samples, which are not augmented.
        labels: int64 [images].
        config: batch size, augmentation, seed.
        epoch: counted from 0; a resumed run gets the same batches as an uninterrupted one.

    Raises:
        FlowError: asked to augment what are no images.
    """
    if config.augment and (images.ndim != 4 or images.dtype != np.uint8):
        raise FlowError("augment=true: only images of pixels are shifted and flipped; these samples are none")
    rng = np.random.default_rng((config.seed, epoch))
    order = rng.permutation(len(images))
    batch = min(config.batch, len(images))
    for start in range(0, len(images) - batch + 1, batch):
        chosen = order[start : start + batch]
        taken = images[chosen]
        if config.augment:
            taken = augment(taken, config.shift, config.flip, rng)
        yield taken, labels[chosen]


def augment(images: np.ndarray, shift: int, flip: bool, rng: np.random.Generator) -> np.ndarray:
    """Shifts each image by up to `shift` pixels both ways, black coming in, and flips half.

    Args:
        images: uint8 [images, height, width, channels].

    Returns:
        An array of the same shape and type.
    """
    count, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    rows, columns = rng.integers(0, 2 * shift + 1, (2, count))
    taken = windows[np.arange(count), rows, columns].transpose(0, 2, 3, 1)
    if flip:
        mirrored = rng.random(count) < 0.5
        taken = np.where(mirrored[:, None, None, None], taken[:, :, ::-1], taken)
    return np.ascontiguousarray(taken)
