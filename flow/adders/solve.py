"""Finds a small graph with da4ml (Sun et al., arXiv 2507.04535), and proves it equal to the matrix."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from flow.adders.graph import Adder, AdderGraph, Result
from flow.errors import FlowError

EXTRA = "flow-fpga[da4ml]"

MAX_WEIGHTS = 4096
"""Of the largest matrix that is looked at: some seconds of search, and thousands of adders."""

#: a value on the way: its number, its shift, whether it is negated; None is zero
_Reference = tuple[int, int, bool] | None


def available() -> bool:
    """Whether da4ml is installed."""
    return find_spec("da4ml") is not None


def solve(weights: np.ndarray) -> AdderGraph:
    """A graph of few adders for a matrix.

    Args:
        weights: integers (outputs, inputs).

    Raises:
        FlowError: da4ml is not installed.
        RuntimeError: its answer is not this matrix.
    """
    if not available():
        raise FlowError(f"an adder graph needs the package da4ml: pip install '{EXTRA}'")
    weights = np.ascontiguousarray(weights, dtype=np.int64)
    return _solve(weights.tobytes(), weights.shape)


@lru_cache(maxsize=64)
def _solve(plain: bytes, shape: tuple[int, ...]) -> AdderGraph:
    from da4ml.cmvm import solve as search

    weights = np.frombuffer(plain, np.int64).reshape(shape)
    pipeline = search(np.ascontiguousarray(weights.T, dtype=np.float32))
    builder = _Builder(shape[1])
    references: list[_Reference] = [(index, 0, False) for index in range(shape[1])]
    for logic in pipeline.solutions:
        references = builder.append(logic, references)
    graph = AdderGraph(shape[1], tuple(builder.adders), tuple(_result(found) for found in references))
    if not np.array_equal(graph.matrix, weights):
        raise RuntimeError("da4ml's graph of adders is not the matrix it was asked for")
    return graph


def _result(reference: _Reference) -> Result:
    if reference is None:
        return Result(None)
    value, shift, negative = reference
    if shift < 0:
        raise RuntimeError("da4ml's graph of adders has fractions")
    return Result(value, shift, negative)


class _Builder:
    """Turns da4ml's operations, in which scale and sign are wherever they fell, into adders of shifted integers."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self.adders: list[Adder] = []

    def append(self, logic, inputs: list[_Reference]) -> list[_Reference]:
        """Adds the operations of one `da4ml.types.CombLogic`; returns its outputs."""
        buffer: list[_Reference] = []
        for operation in logic.ops:
            if operation.opcode == -1:
                buffer.append(_moved(inputs[operation.id0], logic.inp_shifts[operation.id0], False))
            elif operation.opcode in (0, 1):
                right = _moved(buffer[operation.id1], operation.data, operation.opcode == 1)
                buffer.append(self._add(buffer[operation.id0], right))
            else:
                raise RuntimeError(f"da4ml's operation {operation.opcode} is no addition")
        outputs = zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True)
        return [None if index < 0 else _moved(buffer[index], shift, negative) for index, shift, negative in outputs]

    def _add(self, left: _Reference, right: _Reference) -> _Reference:
        """Their sum: of two negated values the negated sum, of one the difference."""
        if left is None or right is None:
            return left or right
        if left[2] and not right[2]:
            left, right = right, left
        least = min(left[1], right[1])
        subtract = right[2] and not left[2]
        self.adders.append(Adder(left[0], right[0], left[1] - least, right[1] - least, subtract))
        return self._inputs + len(self.adders) - 1, least, left[2]


def _moved(reference: _Reference, shift: int, negative: bool) -> _Reference:
    if reference is None:
        return None
    return reference[0], reference[1] + int(shift), reference[2] != bool(negative)
