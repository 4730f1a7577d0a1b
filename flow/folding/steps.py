"""The steps of a sliding window: when each window is complete, what waits in front of it, how long a frame takes.

`window.sv` shifts one pixel in with every step. A window is complete at the step that brings its last tap, where the
image is one long line of pixels: at the right edge that tap is the first pixel of the next row, masked. After the last
pixel, steps without input push the last windows out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from flow.ir import Window


def completions(node: Window, source_shape: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The step, from 0, that completes each window, rows first; and the number of steps of a frame."""
    height, width, _ = source_shape
    rows = np.arange(node.output.shape[0]) * node.stride[0] - node.padding[0] + node.kernel[0] - 1
    columns = np.arange(node.output.shape[1]) * node.stride[1] - node.padding[1] + node.kernel[1] - 1
    steps = (rows[:, None] * width + columns[None, :]).ravel()
    return steps, max(int(steps[-1]) + 1, height * width)


def _in_beats(steps: np.ndarray, total: int, beats: int) -> tuple[np.ndarray, int]:
    """Steps and their number where each takes `beats`, of which each completes a part of the window."""
    return (steps[:, None] * beats + np.arange(beats)).ravel(), total * beats


def frame_cycles(node: Window, source_shape: tuple[int, ...], window_cycles: int, beats: int = 1) -> int:
    """Cycles between frames of a window whose reader takes `window_cycles` for each beat, when input never lacks.

    The shifting runs ahead of the reader by one beat, so that only steps beyond `window_cycles` between two
    are waited for.

    Args:
        beats: of a pixel and of a window.
    """
    lengths, counts = _gaps(node, source_shape, beats)
    return int(np.maximum(lengths, window_cycles) @ counts)


@lru_cache(maxsize=1024)  # of each of a solver's many folds one is asked for
def _gaps(node: Window, source_shape: tuple[int, ...], beats: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps from one beat of a window to the next, over a frame and into the following: which, and how often."""
    steps, total = _in_beats(*completions(node, source_shape), beats)
    return np.unique(np.diff(steps, append=total + steps[0]), return_counts=True)


def backlog(node: Window, source_shape: tuple[int, ...], window_cycles: int, beats: int = 1) -> int:
    """Beats that wait in front of a window at most, when they come at a constant rate; one is a pixel, or a part of it.

    Nothing is taken while the last windows are pushed out, and little in rows that complete many windows. What
    comes meanwhile must be stored, or the layers in front stand still and the time is lost.
    """
    steps, total = _in_beats(*completions(node, source_shape), beats)
    pixels, complete = source_shape[0] * source_shape[1] * beats, np.zeros(total, dtype=bool)
    complete[steps] = True
    spacing = max(frame_cycles(node, source_shape, window_cycles, beats), total) / pixels
    time = reader_free = 0.0
    deepest = 0
    for frame in range(2):  # the second frame finds what the first left
        for step in range(total):
            if step < pixels:
                number = frame * pixels + step
                deepest, time = max(deepest, int(time / spacing) - number), max(time, number * spacing)
            time += 1
            if complete[step]:
                time = max(time, reader_free)
                reader_free = time + window_cycles
    return deepest
