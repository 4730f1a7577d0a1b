"""What the hardware receives: integer codes on a fixed-point grid, made on the host from real samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod

import numpy as np

from flow.errors import FlowError

#: fraction bits of an 8-bit pixel: uint8 samples are the numbers pixel / 256
PIXEL_FRACTION_BITS = 8

#: name of a twin's second input, where layers choose their width for each frame: a position in the widths for each
CONFIGURATION = "configuration"


@dataclass(frozen=True)
class InputGrid:
    """The input of a twin: value = code * 2**-fraction_bits.

    Attributes:
        shape: (H, W, C) or (C,); a sequence (L, C) of the trained network is an image of one row.
        bits: width of a code.
        signed: two's complement if true.
        fraction_bits: may be negative.
        low, high: the least and the greatest code.
    """

    shape: tuple[int, ...]
    bits: int
    signed: bool
    fraction_bits: int
    low: int
    high: int

    @classmethod
    def from_json(cls, plain: dict) -> InputGrid:
        """The inverse of `to_json`."""
        return cls(**{**plain, "shape": tuple(plain["shape"])})

    def to_json(self) -> dict:
        """Plain values."""
        return {**asdict(self), "shape": list(self.shape)}

    @property
    def is_pixel(self) -> bool:
        """Whether a code is an 8-bit pixel as it is."""
        return (self.bits, self.signed, self.fraction_bits) == (8, False, PIXEL_FRACTION_BITS)

    @property
    def precision(self) -> str:
        """In hls4ml's words: ``"ufixed<8,0>"``."""
        return f"{'' if self.signed else 'u'}fixed<{self.bits},{self.bits - self.fraction_bits}>"

    def codes(self, samples: np.ndarray) -> np.ndarray:
        """Samples as the hardware receives them: rounded half to even, saturated.

        Args:
            samples: (N, ...) with as many elements a sample as `shape`: uint8 pixels, which are the numbers
                pixel / 256, or real numbers.

        Returns:
            uint8 pixels as they are, else int32 codes; (N, *shape).

        Raises:
            FlowError: a sample has another number of elements.
        """
        if prod(samples.shape[1:]) != prod(self.shape):
            raise FlowError(f"a sample has shape {samples.shape[1:]}; the network takes {self.shape}")
        samples = samples.reshape(len(samples), *self.shape)
        if samples.dtype == np.uint8 and self.is_pixel:
            return samples
        real = np.ldexp(samples.astype(np.float64), -PIXEL_FRACTION_BITS if samples.dtype == np.uint8 else 0)
        return np.clip(np.rint(np.ldexp(real, self.fraction_bits)), self.low, self.high).astype(np.int32)

    def reals(self, codes: np.ndarray) -> np.ndarray:
        """What the codes stand for, float32, which holds them exactly."""
        return np.ldexp(codes.astype(np.float32), -self.fraction_bits)

    def random(self, count: int, seed: int) -> np.ndarray:
        """Random codes over the whole range, (count, *shape)."""
        kind = np.uint8 if self.is_pixel else np.int32
        return np.random.default_rng(seed).integers(self.low, self.high + 1, (count, *self.shape)).astype(kind)


def pixels(shape: tuple[int, ...]) -> InputGrid:
    """The grid of 8-bit images."""
    return InputGrid(shape, 8, False, PIXEL_FRACTION_BITS, 0, 255)
