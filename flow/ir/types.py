"""Tensor types: what every edge of the graph carries."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

#: the widest weights that a matvec takes
MAX_WEIGHT_BITS = 16


@dataclass(frozen=True)
class TensorType:
    """A tensor of integers with a binary point.

    Attributes:
        shape: (height, width, channels) of a feature map, or (channels,) of a vector; no batch.
        width_bits: bits of one element, 1..63.
        signed: two's complement if true.
        fraction_bits: real value = integer * 2**-fraction_bits; may be negative.
    """

    shape: tuple[int, ...]
    width_bits: int
    signed: bool
    fraction_bits: int = 0

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 3) or min(self.shape) < 1:
            raise ValueError(f"shape {self.shape}: expected (H, W, C) or (C,), all at least 1")
        if not 1 <= self.width_bits <= 63:
            raise ValueError(f"width_bits {self.width_bits}: expected 1..63")

    @property
    def channels(self) -> int:
        return self.shape[-1]

    @property
    def positions(self) -> int:
        """Pixels of a feature map, 1 for a vector."""
        return prod(self.shape[:-1])

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def minimum(self) -> int:
        return -(1 << (self.width_bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width_bits - self.signed)) - 1


def signed_width(low: int, high: int) -> int:
    """Bits of the two's complement word that holds every integer in [low, high].

    >>> signed_width(-8, 7), signed_width(0, 8), signed_width(0, 0)
    (4, 5, 1)
    """
    return max((high if high >= 0 else ~high).bit_length(), (~low if low < 0 else low).bit_length()) + 1


def unsigned_width(high: int) -> int:
    """Bits of the unsigned word that holds every integer in [0, high]; at least 1."""
    return max(high.bit_length(), 1)
