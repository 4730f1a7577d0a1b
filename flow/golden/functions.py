"""One function per node: int64 semantics on arrays with a leading batch axis.

Feature maps are (B, H, W, C), vectors (B, C). Matrix products run in float64 BLAS, which is three times as fast
as int64 `@`, where a bound on every partial sum proves that no bit is lost, and in int64 otherwise.
"""

from __future__ import annotations

import numpy as np

#: float64 holds every integer up to here
EXACT_FLOAT = 1 << 53


def window(
    x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> np.ndarray:
    """(B, H, W, C) to (B, OH, OW, KH * KW * C), elements in (ky, kx, c) order.

    Zero padded by `padding`: top, left, bottom, right.
    """
    top, left, bottom, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    views = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    views = views[:, :: stride[0], :: stride[1]]  # (B, OH, OW, C, KH, KW)
    batch, out_h, out_w = views.shape[:3]
    return views.transpose(0, 1, 2, 4, 5, 3).reshape(batch, out_h, out_w, -1)


def matvec(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(..., MW) to (..., MH): x @ weights.T + bias."""
    reach = int(np.abs(x).max(initial=0)) * int(np.abs(weights).sum(axis=1).max()) + int(np.abs(bias).max())
    if reach < EXACT_FLOAT:
        product = x.astype(np.float64) @ weights.T.astype(np.float64) + bias
        return product.astype(np.int64)
    return x.astype(np.int64) @ weights.T + bias


def serial_matvec(
    x: np.ndarray, weights: np.ndarray, weight_bits: int, bits: np.ndarray, odd: bool = False
) -> np.ndarray:
    """(B, ..., MW) to (B, ..., MH): frame i of x times the top bits[i] of the weights' weight_bits.

    Args:
        bits: int (B,).
        odd: these bits are a code k, which means 2k + 1.
    """
    y = np.empty((*x.shape[:-1], len(weights)), dtype=np.int64)
    for width in np.unique(bits):
        frames = bits == width
        nested = weights >> (weight_bits - width)
        y[frames] = matvec(x[frames], 2 * nested + 1 if odd else nested, np.zeros(len(weights), np.int64))
    return y


def depthwise(x: np.ndarray, weights: np.ndarray, bias: np.ndarray, multiplier: int) -> np.ndarray:
    """(..., TAPS * C) to (..., C * multiplier): bias[n] + sum over t of x[t, n // multiplier] * weights[n, t].

    Elements of x are in (tap, channel) order, as `window` gives them.
    """
    outputs, taps = weights.shape
    windows = x.astype(np.int64).reshape(*x.shape[:-1], taps, outputs // multiplier, 1)
    filters = weights.T.reshape(taps, outputs // multiplier, multiplier)
    total = sum(windows[..., tap, :, :] * filters[tap] for tap in range(taps))
    return total.reshape(*x.shape[:-1], outputs) + bias


def threshold(x: np.ndarray, thresholds: np.ndarray, flip: np.ndarray, offset: int) -> np.ndarray:
    """code = offset + number of thresholds reached: x >= t, or x <= t in channels that flip.

    Counts by binary search, channel by channel: -x >= -t is x <= t.
    """
    code = np.empty(x.shape, dtype=np.int64)
    sign = np.where(flip, -1, 1)
    ordered = np.sort(thresholds * sign[:, None], axis=1)
    for channel in range(x.shape[-1]):
        code[..., channel] = np.searchsorted(ordered[channel], x[..., channel] * sign[channel], side="right")
    return code + offset


def requantize(
    x: np.ndarray, multiplier: np.ndarray, bias: np.ndarray, shift: int, low: int | np.ndarray, high: int | np.ndarray,
    ties_to_even: bool = False,
) -> np.ndarray:  # fmt: skip
    """saturate((x * multiplier + bias) >> shift) into [low, high]; the shift is arithmetic, so it rounds down.

    With `ties_to_even`, the lowest bit is cleared where all `shift` dropped bits are zero (see `ir.Requantize`).
    """
    scaled = x.astype(np.int64) * multiplier + bias
    code = scaled >> shift
    if ties_to_even and shift > 0:
        code &= ~((scaled & ((1 << shift) - 1)) == 0).astype(np.int64)
    return np.clip(code, low, high)


def requantize_table(
    x: np.ndarray, multiplier: np.ndarray, bias: np.ndarray, shift: int, low: np.ndarray, high: np.ndarray,
    table: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """`requantize` of frame i with the constants of table[i].

    Args:
        multiplier, bias: int64 (T, C).
        low, high: int64 (T,).
        table: int (B,).
    """
    inner = (1,) * (x.ndim - 2)
    constants = [values[table].reshape(len(x), *inner, -1) for values in (multiplier, bias, low, high)]
    return requantize(x, *constants[:2], shift, *constants[2:])


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b."""
    return a.astype(np.int64) + b


def concat(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., CA) and (..., CB) to (..., CA + CB)."""
    return np.concatenate([a, b], axis=-1)


def argmax(x: np.ndarray) -> np.ndarray:
    """(..., C) to (..., 1): the first position of the largest."""
    return x.argmax(axis=-1, keepdims=True)


def _windows(x: np.ndarray, kernel: tuple[int, int]) -> np.ndarray:
    """(B, H, W, C) to (B, OH, KH, OW, KW, C): whole windows side by side, the rest dropped."""
    batch, height, width, channels = x.shape
    out_h, out_w = height // kernel[0], width // kernel[1]
    whole = x[:, : out_h * kernel[0], : out_w * kernel[1]]
    return whole.reshape(batch, out_h, kernel[0], out_w, kernel[1], channels)


def max_pool(x: np.ndarray, kernel: tuple[int, int]) -> np.ndarray:
    """Largest element of each window; the stride is the kernel."""
    return _windows(x, kernel).max(axis=(2, 4))


def sum_pool(x: np.ndarray, kernel: tuple[int, int]) -> np.ndarray:
    """Sum of each window; the stride is the kernel."""
    return _windows(x, kernel).sum(axis=(2, 4), dtype=np.int64)
