"""Where two engines differ: how many integers, and the first of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """The outcome of a comparison.

    Attributes:
        count: differing integers.
        total: compared integers.
        layer, index, expected, actual: the first difference; index is (image, row, column, channel) or
            (image, channel). None where nothing differs.
    """

    count: int
    total: int
    layer: str | None = None
    index: tuple[int, ...] | None = None
    expected: int | None = None
    actual: int | None = None

    def __str__(self) -> str:
        if not self.count:
            return f"0 of {self.total:,} integers differ"
        return (
            f"{self.count:,} of {self.total:,} integers differ; the first in layer '{self.layer}' at {self.index}: "
            f"expected {self.expected}, actual {self.actual}"
        )


def compare(layer: str, expected: np.ndarray, actual: np.ndarray) -> Difference:
    """Compares two arrays of one shape, element by element; images in front."""
    if expected.shape != actual.shape:
        raise ValueError(f"{layer}: shapes {expected.shape} and {actual.shape} differ")
    wrong = np.flatnonzero(expected.reshape(-1) != actual.reshape(-1))
    if not wrong.size:
        return Difference(0, expected.size)
    index = tuple(int(i) for i in np.unravel_index(wrong[0], expected.shape))
    return Difference(wrong.size, expected.size, layer, index, int(expected[index]), int(actual[index]))
