"""Samples of a user: an .npz with the array `x`, and `y` where accuracy is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.twin.inputs import PIXEL_FRACTION_BITS, InputGrid, pixels

#: bits of a real input that no quantizer of the network and no option gives a grid
DEFAULT_INPUT_BITS = 16
#: what hls4ml takes for such an input: fixed<16,6>
DEFAULT_FRACTION_BITS = 10


@dataclass(frozen=True)
class Samples:
    """What a network is tried on.

    Attributes:
        x: (N, ...) uint8 pixels, which are the numbers pixel / 256, or real numbers.
        labels: int64 (N,), or None.
        name: of the dataset or file.
        source: a sentence: what was found where.
        task: what the network is to do with them, see `flow.tasks`.
    """

    x: np.ndarray
    labels: np.ndarray | None
    name: str
    source: str
    task: str = "classification"

    @property
    def numbers(self) -> np.ndarray:
        """The real numbers that the samples stand for, float32 or wider: pixel / 256 for uint8, else themselves."""
        return self.x.astype(np.float32) / (1 << PIXEL_FRACTION_BITS) if self.x.dtype == np.uint8 else self.x

    def grid(self, shape: tuple[int, ...]) -> InputGrid:
        """The grid of an input that the network itself gives none: pixels, or 16 bits that reach the largest sample."""
        image = len(shape) == 3 and shape[0] > 1
        if self.x.dtype == np.uint8 or (image and self.x.min() >= 0 and self.x.max() <= 1):
            return pixels(shape)
        magnitude = float(np.abs(self.x).max(initial=0))
        return real_grid(shape, int(np.ceil(np.log2(magnitude + 2.0**-30))) if magnitude else 0)


def real_grid(shape: tuple[int, ...], integer_bits: int = DEFAULT_INPUT_BITS - DEFAULT_FRACTION_BITS - 1) -> InputGrid:
    """Signed, of 16 bits, reaching 2**integer_bits."""
    top = 1 << (DEFAULT_INPUT_BITS - 1)
    return InputGrid(shape, DEFAULT_INPUT_BITS, True, DEFAULT_INPUT_BITS - 1 - integer_bits, -top, top - 1)


def load_samples(path: Path, shape: tuple[int, ...]) -> Samples:
    """Reads `--samples`.

    Args:
        path: an .npz file.
        shape: that the network takes, without the batch.

    Raises:
        FlowError: not such a file, no `x`, another shape, or values that are no finite numbers.
    """
    where = f"--samples {path}"
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("a single array")
            arrays = {name: archive[name] for name in archive.files if name in ("x", "y")}
            names = list(archive.files)
    except FileNotFoundError:
        raise FlowError(f"{where}: there is no such file") from None
    except Exception as error:  # zipfile and numpy each have errors of their own for a broken file
        raise FlowError(
            f"{where}: not an .npz of plain arrays ({error}); write it with np.savez(file, x=..., y=...)"
        ) from error
    if "x" not in arrays:
        raise FlowError(
            f"{where}: holds {', '.join(names) or 'nothing'}, no array x; write it with np.savez(file, x=..., y=...)"
        )
    x = arrays["x"]
    if x.dtype.kind not in "fiub":
        raise FlowError(f"{where}: x has dtype {x.dtype}; uint8 pixels or real numbers are expected")
    if x.shape[1:] != tuple(shape) or len(x) == 0:
        wanted = ", ".join(map(str, shape))
        raise FlowError(
            f"{where}: x has shape {x.shape}; the network takes (samples, {wanted}), with a sample at least"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise FlowError(f"{where}: x has values that are not finite")
    labels = _labels(arrays["y"], len(x), where) if "y" in arrays else None
    said = "with labels" if labels is not None else "without labels"
    return Samples(x, labels, path.stem, f"{path.name}: {len(x):,} samples {said}")


def _labels(y: np.ndarray, count: int, where: str) -> np.ndarray:
    """Class indices, from indices or from one-hot rows."""
    if len(y) != count or y.ndim > 2 or y.dtype.kind not in "fiub":
        raise FlowError(
            f"{where}: y has shape {y.shape} and dtype {y.dtype}; expected {count} class indices or one-hot rows"
        )
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    y = y.reshape(count)
    if not np.array_equal(y, np.rint(y)):
        raise FlowError(f"{where}: y are not class indices; leave it out where there are no classes")
    return y.astype(np.int64)
