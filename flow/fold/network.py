"""Walks a trained Keras graph and builds the deployed twin.

A table of small handlers, one per kind of layer. Each takes a `Value` per input, an exact integer tensor and what is
still pending on it (bias, scale, batch normalization, rectifier), and gives the `Value` of its output. A quantizer ends
what is pending.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.fold import between, pending, weights
from flow.fold.grids import read_grid
from flow.fold.steps import Chain
from flow.fold.survey import GLOBAL_POOLS, IDENTITIES, POOLS, check_network, is_host, output_names
from flow.fold.value import Value, as_image, codes
from flow.keras_env import keras
from flow.twin.inputs import InputGrid, pixels
from flow.twin.twin import Folded, Twin

#: hls4ml reserves the name "input" for itself
INPUT_NAME = "image"
#: hls4ml makes <layer>_t a type, which C and its own headers must not have already
C_TYPES = {
    "blkcnt", "blksize", "clock", "clockid", "data", "dev", "div", "fixed", "float", "gid", "id", "ino", "key", "ldiv",
    "max_align", "mode", "nlink", "nullptr", "off", "pid", "ptrdiff", "result", "size", "ssize", "time", "timer", "uid",
    "ulong", "wchar", "wint",
}  # fmt: skip
#: names that generated files use themselves
RESERVED = C_TYPES | {INPUT_NAME, "input", "output", "s_axis", "m_axis", "pixels", "results", "codes", "buffered"}

MAX_INPUT_BITS = 16


def fold_network(model: keras.Model, input_grid: InputGrid | None = None, argmax: bool = False) -> Twin:
    """The deployed twin of a trained network.

    A QActivation on the input defines the grid of the input, so that the hardware receives its codes.

    Args:
        model: a functional or sequential tf_keras model.
        input_grid: of an input that no QActivation quantizes; 8-bit pixels, code / 256, if not given.
        argmax: the twin gives the first position of the largest logit instead of the logits.

    Raises:
        FlowError: a layer or quantizer that has no exact integer form; all unsupported kinds of layer are named.
    """
    return Fold(model, input_grid).run(argmax)


def input_shape(model: keras.Model) -> tuple[int, ...]:
    """The shape of the twin's input: (H, W, C) or (C,). A Reshape or Flatten behind the input is the host's.

    Raises:
        FlowError: a dynamic shape, or one with more axes.
    """
    return Fold(model, None).input_shape


class Fold:
    """One run over one model.

    Attributes:
        outputs: names of the layers whose outputs are the network's.
        activations: what was folded so far.
    """

    def __init__(self, model: keras.Model, input_grid: InputGrid | None) -> None:
        config = model.get_config()
        check_network(config)
        self.model, self.given_grid = model, input_grid
        self.layers: list[dict] = config["layers"]
        self.outputs = output_names(config)
        self.activations: list[Folded] = []
        self._names: set[str] = set(RESERVED)
        self.sources = self._read_sources()
        self.input = self._find_input()
        self.input_shape = self._shape_of_input()

    def _read_sources(self) -> dict[str, list[str]]:
        """The layers that each layer reads."""
        sources: dict[str, list[str]] = {}
        previous: str | None = None
        for entry in self.layers:
            name = entry["config"]["name"]
            nodes = entry.get("inbound_nodes")
            if nodes is None:  # a Sequential model is a chain
                sources[name] = [previous] if previous else []
            elif len(nodes) > 1:
                raise FlowError(
                    f"{name}: a layer that is used {len(nodes)} times is not supported; give each use its own"
                )
            else:
                sources[name] = [tensor[0] for tensor in nodes[0]] if nodes else []
            previous = name
        return sources

    def _find_input(self) -> str:
        inputs = [entry["config"]["name"] for entry in self.layers if entry["class_name"] == "InputLayer"]
        for what, found in (("inputs", inputs), ("outputs", self.outputs)):
            if len(found) != 1:
                raise FlowError(f"the network has {len(found)} {what} ({', '.join(found)}); exactly one is supported")
        return inputs[0]

    def readers(self, name: str) -> list[dict]:
        """The layers that read a layer."""
        return [entry for entry in self.layers if name in self.sources[entry["config"]["name"]]]

    def layer(self, entry: dict) -> Any:
        """The layer object; a Sequential model does not hand out its input layer, whose shape is the model's own."""
        return self.model if entry["class_name"] == "InputLayer" else self.model.get_layer(entry["config"]["name"])

    def name(self, wanted: str, suffix: str = "") -> str:
        """A name for a layer of the twin: an identifier that no other has, `wanted` where that is one."""
        plain = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        plain = plain if re.match(r"[A-Za-z]", plain) else f"layer_{plain}"
        name, number = plain, 1
        if name.lower() in self._names and suffix:
            name = plain = plain + suffix
        while name.lower() in self._names:
            number += 1
            name = f"{plain}_{number}"
        self._names.add(name.lower())
        return name

    def run(self, argmax: bool = False) -> Twin:
        values: dict[str, Value] = {}
        grid, quantizers = self._input_grid()
        for entry in self.layers:
            name = entry["config"]["name"]
            inputs = [values[source] for source in self.sources[name]]
            if entry["class_name"] == "InputLayer":
                tensor = keras.layers.Input(grid.shape, name=INPUT_NAME, dtype="float32")
                low, high = (np.full(grid.shape[-1], end, dtype=np.int64) for end in (grid.low, grid.high))
                values[name] = Value(tensor, low, high, Chain(grid.fraction_bits), name)
            elif is_host(entry, self.outputs) or name in quantizers:
                values[name] = inputs[0]
            else:
                values[name] = HANDLERS[entry["class_name"]](self, self.layer(entry), *inputs)
        final = codes(values[self.outputs[0]], "the output")
        if argmax:
            final = between.argmax(self, final)
        twin = keras.Model(values[self.input].tensor, final.tensor, name=f"{self.model.name}_twin")
        return Twin(twin, grid, final.fraction_bits, tuple(self.activations))

    # -- the input -----------------------------------------------------------------------------------------------------

    def _shape_of_input(self) -> tuple[int, ...]:
        shape = tuple(self.model.input_shape[1:])
        if None in shape:
            raise FlowError(
                f"the input has the dynamic shape {shape}; build the model with every size but the batch's given"
            )
        entry = self._behind_input(("Reshape", "Flatten", *IDENTITIES, "QActivation"))[-1]
        if entry["class_name"] != "InputLayer":
            shape = tuple(self.layer(entry).output_shape[1:])
        if len(shape) not in (1, 2, 3):
            raise FlowError(f"the input has shape {shape}; (H, W, C), (steps, C) or (C,) are supported")
        return as_image(shape)

    def _behind_input(self, kinds: tuple[str, ...]) -> list[dict]:
        """The input and what follows it in a chain of layers of the given kinds."""
        chain = [next(entry for entry in self.layers if entry["config"]["name"] == self.input)]
        while True:
            readers = self.readers(chain[-1]["config"]["name"])
            if len(readers) != 1 or readers[0]["class_name"] not in kinds:
                return chain
            chain.append(readers[0])

    def _input_grid(self) -> tuple[InputGrid, set[str]]:
        """The grid of the input, and the QActivations that define it and become nothing."""
        last = self._behind_input(("Reshape", "Flatten", *IDENTITIES))[-1]["config"]["name"]
        readers = self.readers(last)
        kinds = {entry["class_name"] for entry in readers}
        if kinds == {"QActivation"}:
            quantizers = {entry["config"]["name"] for entry in readers}
            grids = {read_grid(name, self.model.get_layer(name).quantizer) for name in quantizers}
            if len(grids) == 1:
                (grid,) = grids
                if type(grid).__name__ == "Grid" and grid.bits <= MAX_INPUT_BITS:
                    found = InputGrid(self.input_shape, grid.bits, grid.signed, grid.fraction_bits, grid.low, grid.high)
                    return found, quantizers
        return self.given_grid or pixels(self.input_shape), set()

    # -- what follows a layer ------------------------------------------------------------------------------------------

    def quantized_later(self, name: str) -> bool:
        """Whether every use of a layer's output ends in a quantizer that can absorb what is pending."""
        readers = self.readers(name)
        if name in self.outputs or not readers:
            return False
        return all(self._quantizes(entry) or self._hands_on(entry) for entry in readers)

    def _quantizes(self, entry: dict) -> bool:
        if is_host(entry, self.outputs):
            return False
        return entry["class_name"] in ("QActivation", "N2UQActivation") or (
            entry["class_name"] in ("QAveragePooling2D", "QGlobalAveragePooling2D")
            and entry["config"].get("activation")
        )

    def _hands_on(self, entry: dict) -> bool:
        return entry["class_name"] in _ABSORBED and self.quantized_later(entry["config"]["name"])


#: every kind of layer that the fold knows, by its Keras class
HANDLERS: dict[str, Callable[..., Value]] = {
    "QConv1D": weights.conv_1d,
    "QConv2D": weights.conv_2d,
    "QConv2DBatchnorm": weights.conv_2d_batchnorm,
    "QDepthwiseConv2D": weights.depthwise_conv_2d,
    "QDepthwiseConv2DBatchnorm": weights.depthwise_conv_2d_batchnorm,
    "QSeparableConv1D": weights.separable_conv_1d,
    "QSeparableConv2D": weights.separable_conv_2d,
    "QDense": weights.dense,
    "QDenseBatchnorm": weights.dense_batchnorm,
    "BatchNormalization": pending.batchnorm,
    "QBatchNormalization": pending.batchnorm,
    "QActivation": pending.qactivation,
    "Activation": pending.activation,
    "ReLU": pending.relu,
    "LeakyReLU": pending.leaky_relu,
    "PReLU": pending.prelu,
    "N2UQActivation": pending.n2uq,
    **dict.fromkeys(IDENTITIES, pending.identity),
    "Add": between.add,
    "Concatenate": between.concatenate,
    "MaxPooling1D": between.max_pool,
    "MaxPooling2D": between.max_pool,
    "AveragePooling1D": between.average_pool,
    "AveragePooling2D": between.average_pool,
    "QAveragePooling2D": between.average_pool,
    "GlobalMaxPooling1D": between.global_max_pool,
    "GlobalMaxPooling2D": between.global_max_pool,
    "GlobalAveragePooling1D": between.global_average_pool,
    "GlobalAveragePooling2D": between.global_average_pool,
    "QGlobalAveragePooling2D": between.global_average_pool,
    "Flatten": between.flatten,
    "Reshape": between.reshape,
    "ZeroPadding1D": between.zero_pad,
    "ZeroPadding2D": between.zero_pad,
}

#: layers that hand on what is pending
_ABSORBED = {
    "BatchNormalization", "QBatchNormalization", "Activation", "ReLU", "LeakyReLU", "PReLU", "Flatten", "Reshape",
    *IDENTITIES, *POOLS, *GLOBAL_POOLS,
}  # fmt: skip
