"""NumPy arrays as files."""

from __future__ import annotations

import io

import numpy as np


def array_bytes(array: np.ndarray) -> bytes:
    """`array` in NumPy's .npy format."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
