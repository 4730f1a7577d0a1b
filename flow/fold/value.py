"""A tensor of the twin while it is made: exact integers, and what is still pending on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.fold.steps import Chain, Step

#: integers up to here are exact in float32
EXACT_FLOAT32 = 1 << 24


@dataclass(frozen=True)
class Value:
    """A tensor of the twin.

    Attributes:
        tensor: Keras tensor (batch, H, W, C) or (batch, C); real value = integer * 2**-fraction_bits.
        low, high: int64 (C,), the reachable integers of each channel.
        chain: what the trained network does to it before the next quantizer.
        source: name of the trained layer, for messages.
    """

    tensor: Any
    low: np.ndarray
    high: np.ndarray
    chain: Chain
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, C) or (C,)."""
        return tuple(int(n) for n in self.tensor.shape[1:])

    @property
    def fraction_bits(self) -> int:
        return self.chain.fraction_bits

    @property
    def magnitude(self) -> int:
        return int(max(-self.low.min(), self.high.max()))

    @property
    def dtype(self) -> str:
        """The narrowest float type that holds every integer (and one more on each side, as thresholds may be)."""
        return float_type(self.magnitude + 1)


def float_type(magnitude: int) -> str:
    """The float type that holds every integer up to `magnitude`."""
    return "float32" if magnitude <= EXACT_FLOAT32 else "float64"


def codes(value: Value, reader: str) -> Value:
    """`value`, which must have nothing pending."""
    if learned_step(value) is not None:
        raise FlowError(
            f"{reader} reads {value.source}, whose levels have a learned step, and takes a power of two only; "
            f"give {value.source} an output_exponent, in training too"
        )
    if value.chain.operations:
        raise FlowError(
            f"{reader} reads {value.source}, which no quantizer follows; "
            "put a QActivation (quantized_relu or quantized_bits) behind it"
        )
    return value


def learned_step(value: Value) -> float | None:
    """The factor of a tensor on which nothing but one factor for all channels is pending (N2UQ's output step)."""
    if len(value.chain.operations) != 1 or not isinstance(value.chain.operations[0], Step):
        return None
    return value.chain.operations[0].size


def integers_and_step(value: Value, reader: str) -> tuple[Value, float | None]:
    """`value` without its learned step, and that step; nothing else may be pending."""
    step = learned_step(value)
    if step is None:
        return codes(value, reader), None
    return replace(value, chain=Chain(value.fraction_bits)), step


def as_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The twin's shape of a trained tensor: a sequence (L, C) is an image of one row."""
    return (1, *shape) if len(shape) == 2 else tuple(shape)
