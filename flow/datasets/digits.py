"""scikit-learn's embedded 8x8 digits, as images of the size a model takes.

E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.datasets import Dataset

TITLE = "the digits"
SAMPLES = "square images whose side is a multiple of 8, or 4 more"
FILES = ""

NATIVE_SIZE = 8
#: black pixels around images whose side is no multiple of 8: 28 = 2 + 24 + 2, as MNIST has 4 + 20 + 4
BORDER = 2
TEST_EVERY = 5
CLASS_NAMES = tuple(str(digit) for digit in range(10))


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`: square images whose side is a multiple of 8, or 4 more for a black border."""
    return len(shape) == 3 and shape[0] == shape[1] and shape[0] >= NATIVE_SIZE and _rest(shape[0]) in (0, 2 * BORDER)


def _rest(size: int) -> int:
    return size % NATIVE_SIZE


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return ""


def where() -> str:
    """See `DatasetModule`."""
    return "comes with scikit-learn"


def load(data_dir: str | Path | None, shape: tuple[int, ...], download: bool = False) -> Dataset:
    """The 1,797 digits, with equal channels; every fifth is a test image."""
    from sklearn.datasets import load_digits

    size, _, channels = shape
    raw = load_digits()
    images = upscale(to_uint8(raw.images), size // NATIVE_SIZE)
    border = _rest(size) // 2
    images = np.pad(images, ((0, 0), (border, border), (border, border)))
    images = np.repeat(images[..., None], channels, axis=3)
    labels = raw.target.astype(np.int64)
    test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    source = "digits: they come with scikit-learn"
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
