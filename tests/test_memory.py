"""Memory files: every field where the component looks for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.errors import FlowError
from flow.rtl import memory


def words(text: str) -> list[int]:
    return [int(line, 16) for line in text.split()]


def field(word: int, index: int, bits: int, signed: bool = True) -> int:
    value = word >> index * bits & (1 << bits) - 1
    return value - (1 << bits) if signed and value >> bits - 1 else value


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_weights(nf: int, pe: int, sf: int, simd: int, bits: int, odd: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << bits, (nf * pe, sf * simd))
    weights = 2 * codes - (2**bits - 1) if odd else codes - (1 << bits - 1)
    found = words(memory.pack_weights(weights, pe, simd, bits, odd))
    assert len(found) == nf * sf
    for row, column in np.ndindex(weights.shape):
        word = found[row // pe * sf + column // simd]
        low = row % pe * bits * simd + column % simd
        code = sum((word >> low + plane * simd & 1) << plane for plane in range(bits))
        code = field(code, 0, bits, signed=True)
        assert (2 * code + 1 if odd else code) == weights[row, column]


@given(st.integers(1, 20), st.integers(2, 10), st.booleans(), st.integers(0, 2**32 - 1))
def test_threshold_tree_counts(count: int, bits: int, signed: bool, seed: int) -> None:
    """Walking the tree as the hardware does gives the number of thresholds reached, for every input."""
    rng = np.random.default_rng(seed)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    thresholds = rng.integers(low - 5, high + 6, (2, count))
    flip = np.array([False, True])
    found = words(memory.pack_threshold(thresholds, flip, 2, bits, signed))
    depth, width = count.bit_length(), bits + (1 if signed else 2)
    assert len(found) == 1 << depth
    for channel, x in [(c, x) for c in range(2) for x in rng.integers(low, high, 40, endpoint=True)]:
        value, node = (~x if field(found[0], channel, width) & 1 else x), 1
        for _ in range(depth):
            node = 2 * node + (value >= field(found[node], channel, width))
        reached = (x <= thresholds[channel]) if flip[channel] else (x >= thresholds[channel])
        assert node - (1 << depth) == reached.sum()


def test_bias_and_requantize() -> None:
    assert words(memory.pack_bias(np.array([1, -1, 2, -2]), 2, 8)) == [0xFF01, 0xFE02]
    assert words(memory.pack_requantize(np.array([1, -1]), np.array([-2, 3]), 2, 4, 8)) == [0x03F_FE1]


def test_what_does_not_fit() -> None:
    for action in (
        lambda: memory.pack_weights(np.array([[8]]), 1, 1, 4),
        lambda: memory.pack_weights(np.array([[0]]), 1, 1, 1, odd=True),
        lambda: memory.pack_bias(np.array([128]), 1, 8),
        lambda: memory.pack_requantize(np.array([8]), np.array([0]), 1, 4, 8),
    ):
        with pytest.raises(FlowError):
            action()
