"""What the handlers of `flow.hls.lowering` share: what is lowered so far, windows, accumulators, grids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from flow.errors import FlowError
from flow.ir import Node, RuntimeWidths, Weighted, Window, signed_width, windows

NO_PADDING = (0, 0, 0, 0)

#: hls4ml layers that can read what is to be padded
_ABSORB_PADDING = {"Conv2D", "PointwiseConv2D", "Depthwise", "ZeroPadding2D", "Clone"}


@dataclass
class Lowering:
    """What is known so far.

    Attributes:
        nodes: IR nodes by name, in order.
        produced: IR node by the name of the hls4ml tensor that it computes.
        padding: rows above, columns left, below, right that a reader of the hls4ml tensor still has to add.
        runtime: what each frame chooses, if there is anything.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    produced: dict[str, str] = field(default_factory=dict)
    padding: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    runtime: RuntimeWidths | None = None

    def source(self, layer: Any, position: int = 0) -> Node:
        """The IR node that a layer reads."""
        tensor = layer.inputs[position]
        if tensor in self.padding and layer.class_name not in _ABSORB_PADDING:
            raise FlowError(f"{layer.name}: zero padding can only stand before a convolution")
        return self.nodes[self.produced[tensor]]

    def emit(self, node: Node) -> Node:
        if node.name in self.nodes:
            raise FlowError(f"two layers are named {node.name}; rename one")
        self.nodes[node.name] = node
        return node

    def give(self, layer: Any, node: Node) -> None:
        """`node` computes the output of `layer`."""
        self.produced[layer.outputs[0]] = node.name


def pads(layer: Any) -> tuple[int, int, int, int]:
    return tuple(int(layer.get_attr(f"pad_{side}", 0)) for side in ("top", "left", "bottom", "right"))  # type: ignore[return-value]


def add_padding(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, int]:
    return tuple(x + y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def window_of(
    name: str, source: Node, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> Window:
    height, width, channels = source.output.shape
    top, left, bottom, right = padding
    if top + bottom >= kernel[0] or left + right >= kernel[1]:
        raise FlowError(
            f"{name.removesuffix('_window')}: {top + bottom} rows and {left + right} columns of zeros are padded; "
            f"a {kernel[0]}x{kernel[1]} kernel takes {kernel[0] - 1} and {kernel[1] - 1} at the most"
        )
    shape = (*windows((height, width), kernel, stride, padding), kernel[0] * kernel[1] * channels)
    return Window(name, (source.name,), replace(source.output, shape=shape), kernel, stride, padding)


def narrowest(node: Weighted, source: Node) -> Weighted:
    """`node` with the narrowest accumulator that cannot overflow."""
    width = signed_width(*node.bounds(source.output))
    return replace(node, output=replace(node.output, width_bits=width))


def check_grid(layer: Any, source: Node) -> None:
    """Whether a layer of ours reads the grid that it was made for."""
    if source.output.fraction_bits != layer.get_attr("input_fraction_bits"):
        raise FlowError(
            f"{layer.name}: was folded for {layer.get_attr('input_fraction_bits')} fraction bits, "
            f"but {source.name} has {source.output.fraction_bits}; fold again"
        )
