"""Where windows stand on an image: the one place that knows how an axis is padded and how many windows it holds."""

from __future__ import annotations

#: rows and columns
Pair = tuple[int, int]
#: rows above, columns left, rows below, columns right
Padding = tuple[int, int, int, int]
NO_PADDING: Padding = (0, 0, 0, 0)


def same_padding(size: Pair, kernel: Pair, stride: Pair) -> Padding:
    """The zeros of TensorFlow's "same": ceil(size / stride) windows, an odd zero below and right.

    >>> same_padding((32, 32), (3, 3), (1, 1)), same_padding((32, 32), (3, 3), (2, 2))
    ((1, 1, 1, 1), (0, 0, 1, 1))
    """
    rows, columns = (
        max((-(-s // step) - 1) * step + k - s, 0) for s, k, step in zip(size, kernel, stride, strict=True)
    )
    return rows // 2, columns // 2, rows - rows // 2, columns - columns // 2


def windows(size: Pair, kernel: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Pair:
    """How many windows fit on the padded image, in rows and columns.

    >>> windows((32, 32), (3, 3), (2, 2), (0, 0, 1, 1))
    (16, 16)
    """
    top, left, bottom, right = padding
    return (
        (size[0] + top + bottom - kernel[0]) // stride[0] + 1,
        (size[1] + left + right - kernel[1]) // stride[1] + 1,
    )
