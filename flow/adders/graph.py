"""The graph: two-operand adders of shifted values, in an order in which they can be computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flow.ir.types import TensorType, signed_width, unsigned_width


@dataclass(frozen=True)
class Adder:
    """``(left << left_shift) + (right << right_shift)``, or the difference.

    Attributes:
        left, right: values by number: the inputs first, then the adders.
        left_shift, right_shift: bits, at least 0; one of them is 0.
        subtract: the right operand is taken away.
    """

    left: int
    right: int
    left_shift: int = 0
    right_shift: int = 0
    subtract: bool = False


@dataclass(frozen=True)
class Result:
    """An output: ``value << shift``, negated or not.

    Attributes:
        value: by number as in `Adder`; None is zero.
    """

    value: int | None
    shift: int = 0
    negative: bool = False


@dataclass(frozen=True)
class AdderGraph:
    """A matrix times a vector.

    Attributes:
        inputs: elements of the vector.
        adders: each reads inputs and earlier adders only.
        results: one for each output.
    """

    inputs: int
    adders: tuple[Adder, ...]
    results: tuple[Result, ...]

    def values(self, vectors: np.ndarray) -> list[np.ndarray]:
        """Every input and every sum, by number, for int64 vectors (..., inputs)."""
        values = list(np.moveaxis(np.asarray(vectors, np.int64), -1, 0))
        for adder in self.adders:
            left, right = values[adder.left] << adder.left_shift, values[adder.right] << adder.right_shift
            values.append(left - right if adder.subtract else left + right)
        return values

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """The outputs (..., outputs) for int64 vectors (..., inputs)."""
        values = self.values(vectors)
        zero = np.zeros(np.shape(vectors)[:-1], np.int64)
        found = [zero if r.value is None else (values[r.value] << r.shift) * (-1) ** r.negative for r in self.results]
        return np.stack(found, axis=-1)

    @cached_property
    def matrix(self) -> np.ndarray:
        """int64 (outputs, inputs): what the graph multiplies by; a sum of shifted inputs has no other meaning."""
        return self.apply(np.eye(self.inputs, dtype=np.int64)).T

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Adders one after the other up to each value, by number; 0 for inputs."""
        levels = [0] * self.inputs
        for adder in self.adders:
            levels.append(1 + max(levels[adder.left], levels[adder.right]))
        return tuple(levels)

    def types(self, source: TensorType) -> tuple[TensorType, ...]:
        """The narrowest type of each value, by number, for inputs of `source`'s type: exact for each value alone."""
        weights = np.stack(self.values(np.eye(self.inputs, dtype=np.int64)))
        high = np.where(weights > 0, weights * source.maximum, weights * source.minimum).sum(axis=1)
        low = np.where(weights > 0, weights * source.minimum, weights * source.maximum).sum(axis=1)
        return tuple(_narrowest(int(a), int(b)) for a, b in zip(low, high))


def _narrowest(low: int, high: int) -> TensorType:
    signed = low < 0
    return TensorType((1,), max(signed_width(low, high) if signed else unsigned_width(high), 1), signed)
