"""scikit-learn's embedded 8x8 digits, as colour images of the size a model takes.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

import numpy as np

from flow.datasets import Dataset
from flow.errors import FlowError

NATIVE_SIZE = 8
TEST_EVERY = 5
CLASS_NAMES = tuple(str(digit) for digit in range(10))


def load(image_shape: tuple[int, int, int], source: str) -> Dataset:
    """The 1,797 digits; every fifth is a test image.

    Args:
        image_shape: square, a multiple of 8; the channels are equal.
        source: why the digits were taken.

    Raises:
        FlowError: the image shape is not one that the digits can have.
    """
    from sklearn.datasets import load_digits

    height, width, channels = image_shape
    if height != width or height % NATIVE_SIZE:
        raise FlowError(f"digits are square images of a multiple of {NATIVE_SIZE} pixels, not {height}x{width}")
    raw = load_digits()
    images = upscale(to_uint8(raw.images), height // NATIVE_SIZE)
    images = np.repeat(images[..., None], channels, axis=3)
    labels = raw.target.astype(np.int64)
    test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    return Dataset("digits", images[~test], labels[~test], images[test], labels[test], CLASS_NAMES, source)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Brings the digits' 0..16 to 0..255, rounding half to even."""
    return np.rint(images * (255 / 16)).astype(np.uint8)


def upscale(images: np.ndarray, factor: int) -> np.ndarray:
    """Linear interpolation between pixel centres, in integers.

    Args:
        images: uint8 [images, size, size].
        factor: how many times larger, 1 leaves the images as they are.

    Returns:
        uint8 [images, size * factor, size * factor]; the same on every machine.
    """
    if factor == 1:
        return images
    size = images.shape[1]
    # Twice the position of each new pixel centre, in units of 1 / factor of an old pixel.
    position = np.clip(2 * np.arange(size * factor) + 1 - factor, 0, 2 * factor * (size - 1))
    low, weight = position // (2 * factor), position % (2 * factor)
    high = np.minimum(low + 1, size - 1)

    def along_last(values: np.ndarray) -> np.ndarray:
        return values[..., low] * (2 * factor - weight) + values[..., high] * weight

    wide = along_last(images.astype(np.int64)).swapaxes(1, 2)
    both = along_last(wide).swapaxes(1, 2)
    scale = (2 * factor) ** 2
    return ((both + scale // 2) // scale).astype(np.uint8)
