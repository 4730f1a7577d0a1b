"""How deep the FIFOs between the layers of the Vitis project are.

hls4ml gives every stream the depth of a whole frame. A layer that reads one stream takes what comes and passes on what
is complete, so that a row of pixels is room enough for it. A layer that joins two streams waits for both: the one from
the shorter branch has to hold what the longer one keeps back to fill its windows, which follows from their geometry.
A token is one pixel with all its channels.

A frame's configuration is one token, read before the frame's first pixel, and is left out of this: whoever waits for
one has all earlier frames behind it, so that no depth locks up. The depth is how many frames can be under way between
the copies and a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.twin.inputs import CONFIGURATION

if TYPE_CHECKING:
    from hls4ml.model.graph import ModelGraph

#: the least depth
LEAST = 2

#: frames whose configuration a stream of them has room for
FRAMES = 4


@dataclass(frozen=True)
class Stage:
    """A layer as tokens see it.

    Attributes:
        inputs: names of the streams it reads.
        outputs: names of its streams, equal copies.
        reads: for each input, int64 (tokens of a frame that it makes,): how many it has read when it makes each.
        row: tokens of a row of its output.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reads: tuple[np.ndarray, ...]
    row: int

    @property
    def joins(self) -> bool:
        return len(self.inputs) > 1


def set_depths(model: ModelGraph) -> None:
    """Replaces the depth of every stream of `model` by what its reader needs."""
    found, apart = depths(stages(model)), configurations(model)
    for layer in model.get_layers():
        for name, variable in layer.variables.items():
            pragma = getattr(variable, "pragma", None)
            if isinstance(pragma, tuple) and pragma[0] == "stream":
                if name in apart:
                    variable.pragma = ("stream", FRAMES)
                    continue
                # no FIFO has to hold more than a frame; a stream that leaves the network has no reader here
                variable.pragma = ("stream", min(found.get(name, LEAST), max(int(pragma[1]), LEAST)))


def depths(layers: list[Stage]) -> dict[str, int]:
    """Tokens that each stream between two layers has room for, by its name: what can wait there, and a row."""
    producer = {name: stage for stage in layers for name in stage.outputs}
    needed: dict[str, np.ndarray] = {}  # tokens of the network's input that each token of a stream needs
    found = {}
    for stage in layers:
        behind = [np.concatenate([[0], needed[name]])[read] for name, read in zip(stage.inputs, stage.reads)]
        own = np.max(behind, axis=0) if behind else stage.reads[0]
        for name, read in zip(stage.inputs, stage.reads):
            waiting = 1
            if stage.joins:
                before = np.concatenate([[0], read[:-1]])
                waiting = int((np.searchsorted(needed[name], own, side="right") - before).max())
            found[name] = max(LEAST, waiting + producer[name].row)
        needed |= dict.fromkeys(stage.outputs, own)
    return found


def configurations(model: ModelGraph) -> set[str]:
    """Names of the streams that carry a configuration."""
    found: set[str] = set()
    for layer in model.get_layers():
        source = layer.class_name == "Input" and layer.name == CONFIGURATION
        if source or (layer.class_name in ("Clone", "PassThrough") and layer.inputs[0] in found):
            found.update(layer.outputs)
    return found


def stages(model: ModelGraph) -> list[Stage]:
    """The layers of hls4ml's graph, in its order; reshapes of one token are passed over, configurations left out."""
    alias: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    apart, found = configurations(model), []
    for layer in model.get_layers():
        if apart.issuperset(layer.outputs):
            continue
        shape = tuple(int(size) for size in layer.get_output_variable().shape)
        shapes |= dict.fromkeys(layer.outputs, shape)
        if layer.class_name == "Input":
            count = _tokens(shape)
            found.append(Stage((), tuple(layer.outputs), (np.arange(1, count + 1),), _row(shape)))
            continue
        inputs = tuple(alias.get(name, name) for name in layer.inputs if name not in apart)
        if getattr(layer.get_output_variable(), "pragma", None) is None:  # the same stream by another name
            alias |= dict.fromkeys(layer.outputs, inputs[0])
            continue
        reads = tuple(_read(layer, shapes[name], shape) for name in inputs)
        found.append(Stage(inputs, tuple(layer.outputs), reads, _row(shape)))
    return found


def _tokens(shape: tuple[int, ...]) -> int:
    return prod(shape[:-1])


def _row(shape: tuple[int, ...]) -> int:
    return shape[-2] if len(shape) > 1 else 1


def _read(layer: Any, source: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """What a layer reads of one input, from its geometry; see `Stage`."""
    if len(source) == len(shape) == 3:
        rows = _reached(layer, "height", "pad_top", source[0], shape[0])
        columns = _reached(layer, "width", "pad_left", source[1], shape[1])
        above = np.maximum(rows - 1, 0) * source[1]  # whole rows over the last one
        tokens = above[:, None] + np.where(rows[:, None] > 0, columns, 0)
        return np.maximum.accumulate(tokens.reshape(-1))  # what has been read stays read
    given, made = _tokens(source), _tokens(shape)
    # a global pool or a dense layer takes all before it gives anything; else in proportion
    return -(-np.arange(1, made + 1) * given // made)


def _reached(layer: Any, side: str, pad: str, given: int, made: int) -> np.ndarray:
    """Along one axis, how many of `given` rows or columns each output position has read; a window of 1 if none."""
    size = _attribute(layer, f"filt_{side}", _attribute(layer, f"pool_{side}", 1))
    stride = _attribute(layer, f"stride_{side}", size)
    return np.clip(np.arange(made) * stride + size - _attribute(layer, pad, 0), 0, given)


def _attribute(layer: Any, name: str, default: int) -> int:
    value = layer.get_attr(name)
    return default if value is None else int(value)
