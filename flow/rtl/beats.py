"""Between tensors of integers and beats on a bus."""

from __future__ import annotations

import numpy as np

from flow.ir import TensorType
from flow.rtl.network import BYTE, padded_bits


def to_bus(x: np.ndarray, kind: TensorType, lanes: int) -> np.ndarray:
    """Frames as AXI4-Stream beats: uint8 (beats, bytes), each element in whole bytes, lane 0 first.

    Args:
        x: integers (B, *kind.shape).
    """
    size = padded_bits(kind.width_bits) // BYTE
    flat = np.ascontiguousarray(x.reshape(-1), dtype="<i8")
    return flat.view(np.uint8).reshape(-1, 8)[:, :size].reshape(-1, lanes * size)


def from_bus(data: bytes, kind: TensorType) -> np.ndarray:
    """The inverse of `to_bus`: int64 (B, *kind.shape)."""
    size = padded_bits(kind.width_bits) // BYTE
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
    wide = np.zeros((len(raw), 8), dtype=np.uint8)
    wide[:, :size] = raw
    if kind.signed:
        wide[:, size:] = np.where(raw[:, -1:] & 0x80, 0xFF, 0)
    return wide.reshape(-1).view("<i8").reshape(-1, *kind.shape)


def from_stream(data: bytes, kind: TensorType, lanes: int) -> np.ndarray:
    """Beats of a packed internal stream, each padded to whole bytes, as a flat int64 array of elements."""
    bits = lanes * kind.width_bits
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, (bits + 7) // 8)
    planes = np.unpackbits(rows, axis=1, bitorder="little")[:, :bits].reshape(-1, kind.width_bits).astype(np.int64)
    weights = 1 << np.arange(kind.width_bits, dtype=np.int64)
    if kind.signed:
        weights[-1] = -weights[-1]
    return planes @ weights
