"""What the components' memories hold, as text for `$readmemh`: one word a line, laid out as the headers define.

A word is built from fields, the first in the lowest bits; a negative field is stored in two's complement.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from flow.errors import FlowError


def address_bits(depth: int) -> int:
    """Bits of an address into `depth` words: at least one."""
    return max(1, (depth - 1).bit_length())


def word(fields: Iterable[int], width_bits: int) -> int:
    """Fields of equal width side by side, the first in the lowest bits."""
    mask, value, shift = (1 << width_bits) - 1, 0, 0
    for entry in fields:
        value |= (int(entry) & mask) << shift
        shift += width_bits
    return value


def text(words: Iterable[int], width_bits: int) -> str:
    """Hexadecimal words of `width_bits`, one a line, word 0 first."""
    digits = (width_bits + 3) // 4
    return "".join(f"{value:0{digits}x}\n" for value in words)


def weight_codes(weights: np.ndarray, width_bits: int, odd: bool) -> np.ndarray:
    """The codes that stand for integer weights.

    Args:
        weights: int64, any shape.
        width_bits: bits of a code.
        odd: code k means 2k + 1; else it is the weight itself. Both are two's complement.

    Raises:
        FlowError: a weight that has no code.
    """
    limit = (1 << width_bits) - 1
    if odd:
        if not (weights % 2).all() or np.abs(weights).max(initial=0) > limit:
            raise FlowError(f"weights of {width_bits} bits must be odd and from {-limit} to {limit}")
        return (weights - 1) // 2 & limit
    low, high = -(1 << (width_bits - 1)), (1 << (width_bits - 1)) - 1
    if weights.min(initial=0) < low or weights.max(initial=0) > high:
        raise FlowError(f"weights of {width_bits} bits must be from {low} to {high}")
    return weights & limit


def pack_weights(weights: np.ndarray, pe: int, simd: int, width_bits: int, odd: bool = False) -> str:
    """The weight memory of a `matvec` or `depthwise`, by bit planes.

    Bit (r * width_bits + p) * SIMD + i of word nf * (MW / SIMD) + sf is bit p of the code of weight
    [nf * PE + r, sf * SIMD + i].

    Args:
        weights: int64 (MH, MW).
        pe, simd: rows and columns of a word; they divide MH and MW.
        width_bits: bits of a weight.
        odd: see `weight_codes`.
    """
    rows, columns = weights.shape
    codes = weight_codes(weights, width_bits, odd).reshape(rows // pe, pe, columns // simd, simd)
    planes = codes.transpose(0, 2, 1, 3)[:, :, :, None, :] >> np.arange(width_bits)[:, None] & 1
    return text((word(bits, 1) for bits in planes.reshape(-1, pe * width_bits * simd).tolist()), pe * width_bits * simd)


def pack_planes(weights: np.ndarray, pe: int, simd: int, width_bits: int) -> str:
    """The weight memory of a `serial_matvec`: a word is a plane of PE x SIMD weights, the top plane first.

    Bit r * SIMD + i of word (nf * width_bits + p) * (MW / SIMD) + sf is bit width_bits - 1 - p of weight
    [nf * PE + r, sf * SIMD + i].

    Args:
        weights: int64 (MH, MW).
        pe, simd: rows and columns of a word; they divide MH and MW.
        width_bits: bits of a weight.
    """
    rows, columns = weights.shape
    codes = weight_codes(weights, width_bits, odd=False).reshape(rows // pe, pe, columns // simd, simd)
    planes = codes.transpose(0, 2, 1, 3)[:, None] >> np.arange(width_bits)[::-1, None, None, None] & 1
    return text((word(bits, 1) for bits in planes.reshape(-1, pe * simd).tolist()), pe * simd)


def pack_bias(bias: np.ndarray, pe: int, width_bits: int) -> str:
    """The bias memory of a `matvec` or `depthwise`: word nf holds bias [nf * PE + p] in field p.

    Args:
        bias: int64 (MH,).
        pe: fields of a word.
        width_bits: bits of an accumulator.
    """
    _require_signed("bias", bias, width_bits)
    return text((word(fields, width_bits) for fields in bias.reshape(-1, pe).tolist()), pe * width_bits)


def pack_threshold(thresholds: np.ndarray, flip: np.ndarray, lanes: int, in_width: int, in_signed: bool) -> str:
    """The search trees of a `threshold`, for both of its styles.

    Group g, which is channels g * LANES + l, has 2^BITS words. In word h, field l is node h of channel l's tree: the
    root is node 1, below node h are 2h and 2h + 1, and node 0 is the flip. The nodes in order are the thresholds,
    complemented where the channel flips, sorted upwards, filled up with one that nothing reaches.

    Args:
        thresholds: int64 (C, N), any order.
        flip: bool (C,).
        lanes: channels of a word.
        in_width, in_signed: the type of the values that are compared.
    """
    channels, count = thresholds.shape
    value_width = in_width if in_signed else in_width + 1
    low, above = -(1 << (value_width - 1)), 1 << (value_width - 1)
    flip = np.asarray(flip, dtype=bool)
    ordered = np.sort(np.clip(np.where(flip[:, None], ~thresholds, thresholds), low, above), axis=1)
    bits = count.bit_length()
    nodes = 1 << bits
    filled = np.full((channels, nodes - 1), above, dtype=np.int64)
    filled[:, :count] = ordered
    trees = np.empty((channels, nodes), dtype=np.int64)
    trees[:, 0] = flip
    for level in range(bits):
        step = nodes >> level
        trees[:, 1 << level : 2 << level] = filled[:, step // 2 - 1 :: step]
    words = trees.reshape(channels // lanes, lanes, nodes).transpose(0, 2, 1).reshape(-1, lanes)
    return text((word(fields, value_width + 1) for fields in words.tolist()), lanes * (value_width + 1))


def pack_requantize(multiplier: np.ndarray, bias: np.ndarray, lanes: int, mult_width: int, bias_width: int) -> str:
    """The constants of a `requantize`: word g holds {B, M}, M lowest, for each channel g * LANES + l, l = 0 lowest.

    Args:
        multiplier, bias: int64 (C,).
        lanes: channels of a word.
        mult_width, bias_width: bits of M and of B, both in two's complement.
    """
    return text(_affine_words(multiplier, bias, lanes, mult_width, bias_width), lanes * (mult_width + bias_width))


def pack_requantize_table(
    multiplier: np.ndarray, bias: np.ndarray, maximum: np.ndarray, lanes: int, mult_width: int, bias_width: int,
    out_width: int,
) -> str:  # fmt: skip
    """The constants of a `requantize_table`: the words of table 0 as of a `requantize`, its maximum on top; table 1.

    Args:
        multiplier, bias: int64 (T, C).
        maximum: int64 (T,).
        lanes: channels of a word.
        mult_width, bias_width: bits of M and of B, both in two's complement.
        out_width: bits of a maximum.
    """
    width = lanes * (mult_width + bias_width)
    words = [
        entry | word([limit], out_width) << width
        for m, b, limit in zip(multiplier, bias, maximum.tolist(), strict=True)
        for entry in _affine_words(m, b, lanes, mult_width, bias_width)
    ]
    return text(words, width + out_width)


def _affine_words(multiplier: np.ndarray, bias: np.ndarray, lanes: int, mult_width: int, bias_width: int) -> list[int]:
    """A word for every `lanes` channels, see `pack_requantize`."""
    _require_signed("multiplier", multiplier, mult_width)
    _require_signed("bias", bias, bias_width)
    entries = [
        word([m], mult_width) | word([b], bias_width) << mult_width for m, b in zip(multiplier.tolist(), bias.tolist())
    ]
    return [word(entries[i : i + lanes], mult_width + bias_width) for i in range(0, len(entries), lanes)]


def _require_signed(name: str, values: np.ndarray, width_bits: int) -> None:
    """Refuses values that two's complement of `width_bits` cannot hold."""
    limit = 1 << (width_bits - 1)
    if values.min(initial=0) < -limit or values.max(initial=0) >= limit:
        raise FlowError(f"{name} must be from {-limit} to {limit - 1} to fit {width_bits} bits")
