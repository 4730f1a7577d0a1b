"""Residual networks of random integers, straight in the IR: for tests that need no training and no TensorFlow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flow.ir import (
    Add,
    Depthwise,
    Flatten,
    Fork,
    Graph,
    Input,
    Matvec,
    Node,
    Output,
    Requantize,
    SumPool,
    TensorType,
    Threshold,
    WeightCode,
    Window,
    signed_width,
    sum_type,
)


class Builder:
    """Appends nodes and remembers their types."""

    def __init__(self, name: str, source: TensorType, seed: int) -> None:
        self.name, self.rng = name, np.random.default_rng(seed)
        self.nodes: list[Node] = [Input("image", (), source)]
        self.types = {"image": source}

    def put(self, node: Node) -> str:
        self.nodes.append(node)
        self.types[node.name] = node.output
        return node.name

    def conv(self, name: str, source: str, filters: int, kernel: int, stride: int, bits: int) -> str:
        """A convolution with TensorFlow's 'same' padding."""
        if kernel > 1 or stride > 1:
            source = self.window(f"{name}_window", source, kernel, stride)
        return self.matvec(name, source, filters, bits)

    def window(self, name: str, source: str, kernel: int, stride: int) -> str:
        """A window with TensorFlow's 'same' padding."""
        kind = self.types[source]
        height, width, channels = kind.shape
        pads = []
        for size in (height, width):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append((total // 2, total - total // 2))
        padding = (pads[0][0], pads[1][0], pads[0][1], pads[1][1])
        shape = (-(-height // stride), -(-width // stride))
        element = (kind.width_bits, kind.signed, kind.fraction_bits)
        vector = TensorType((*shape, kernel * kernel * channels), *element)
        return self.put(Window(name, (source,), vector, (kernel, kernel), (stride, stride), padding))

    def depthwise(self, name: str, source: str, kernel: int, stride: int, bits: int, multiplier: int = 1) -> str:
        """Filters of one channel each, with TensorFlow's 'same' padding and biases."""
        outputs = self.types[source].channels * multiplier
        source = self.window(f"{name}_window", source, kernel, stride)
        kind = self.types[source]
        code = WeightCode.ODD if bits == 1 else WeightCode.TWOS
        weights, biases = self._weights((outputs, kernel * kernel), bits), self.rng.integers(-20, 20, outputs)
        wide = TensorType((*kind.shape[:-1], outputs), 62, True, kind.fraction_bits + bits - 1)
        draft = Depthwise(name, (source,), wide, weights, biases, bits, code, multiplier)
        exact = replace(wide, width_bits=signed_width(*draft.bounds(kind)))
        return self.put(replace(draft, output=exact))

    def _weights(self, shape: tuple[int, ...], bits: int) -> np.ndarray:
        """Every code with the same probability."""
        low, high = (WeightCode.ODD if bits == 1 else WeightCode.TWOS).bounds(bits)
        step = 2 if bits == 1 else 1
        return self.rng.integers(0, (high - low) // step + 1, shape) * step + low

    def matvec(self, name: str, source: str, outputs: int, bits: int, bias: bool = False) -> str:
        kind = self.types[source]
        code = WeightCode.ODD if bits == 1 else WeightCode.TWOS
        weights = self._weights((outputs, kind.channels), bits)
        biases = self.rng.integers(-100, 100, outputs) if bias else np.zeros(outputs, int)
        wide = TensorType((*kind.shape[:-1], outputs), 62, True, kind.fraction_bits + bits - 1)
        draft = Matvec(name, (source,), wide, weights, biases, bits, code)
        exact = TensorType(wide.shape, signed_width(*draft.bounds(kind)), True, wide.fraction_bits)
        return self.put(Matvec(name, (source,), exact, weights, biases, bits, code))

    def threshold(self, name: str, source: str, bits: int, spread: float) -> str:
        kind = self.types[source]
        count = (1 << bits) - 1
        centres = self.rng.normal(0, spread, (kind.channels, 1))
        thresholds = np.sort(np.round(centres + self.rng.normal(0, spread, (kind.channels, count))), axis=1)
        flip = self.rng.random(kind.channels) < 0.2
        return self.put(Threshold(name, (source,), TensorType(kind.shape, bits, False), thresholds, flip))

    def requantize(self, name: str, source: str, bits: int, signed: bool, spread: float) -> str:
        kind = self.types[source]
        shift = 12
        scale = (1 << bits) / (6 * spread) * (1 << shift)
        multiplier = np.round(scale * self.rng.uniform(0.5, 1.5, kind.channels)).astype(int)
        bias = np.round(self.rng.normal(0, 4, kind.channels) * (1 << shift)).astype(int) + (1 << (shift - 1))
        return self.put(Requantize(name, (source,), TensorType(kind.shape, bits, signed), multiplier, bias, shift))

    def fork(self, name: str) -> str:
        return self.put(Fork(f"{name}_fork", (name,), self.types[name]))

    def add(self, name: str, a: str, b: str) -> str:
        ta, tb = self.types[a], self.types[b]
        width = signed_width(ta.minimum + tb.minimum, ta.maximum + tb.maximum)
        return self.put(Add(name, (a, b), TensorType(ta.shape, width, True)))

    def finish(self, last: str) -> Graph:
        self.put(Output("logits", (last,), self.types[last]))
        return Graph(self.name, tuple(self.nodes))


def residual(
    name: str = "tiny", size: int = 8, filters: tuple[int, ...] = (4, 8), bits: int | tuple[int, ...] = 4, seed: int = 1
) -> Graph:
    """MLPerf Tiny's residual topology over `filters`; ResNet-8 is size 32 and filters (16, 32, 64).

    `bits` of weights: one number, or one for each 3x3 convolution after the first.
    """
    b = Builder(name, TensorType((size, size, 3), 8, False, 8), seed)
    widths = iter([bits] * 2 * len(filters) if isinstance(bits, int) else bits)
    b.conv("conv1", "image", filters[0], 3, 1, 8)
    b.requantize("conv1_relu", "conv1", 8, False, 6000)
    trunk = b.fork("conv1_relu")
    b.threshold("s1_in", trunk, 4, 60)
    last = "s1_in"
    for index, count in enumerate(filters):
        stage = f"s{index + 1}"
        own = next(widths), next(widths)
        if index:
            skip_source = last = b.fork(last)
        stride = 2 if index else 1
        b.conv(f"{stage}_conv1", last, count, 3, stride, own[0])
        b.threshold(f"{stage}_relu1", f"{stage}_conv1", 4, 200)
        b.conv(f"{stage}_conv2", f"{stage}_relu1", count, 3, 1, own[1])
        b.requantize(f"{stage}_res", f"{stage}_conv2", 8, True, 200)
        if index:
            b.conv(f"{stage}_skip", skip_source, count, 1, 2, 4)
            b.requantize(f"{stage}_skip_res", f"{stage}_skip", 8, True, 100)
            b.add(f"{stage}_add", f"{stage}_skip_res", f"{stage}_res")
        else:
            b.add(f"{stage}_add", trunk, f"{stage}_res")
        last = b.threshold(f"{stage}_out", f"{stage}_add", 4, 60)
    kind = b.types[last]
    area = kind.shape[0] * kind.shape[1]
    pooled = sum_type(kind, area, (1, 1, kind.channels), kind.fraction_bits + (area - 1).bit_length())
    b.put(SumPool("pool", (last,), pooled, kind.shape[:2]))
    b.put(Flatten("flatten", ("pool",), TensorType((pooled.channels,), pooled.width_bits, False, pooled.fraction_bits)))
    b.matvec("dense", "flatten", 10, 8, bias=True)
    return b.finish("dense")


def mobile(bits: int = 4, stride: int = 1, multiplier: int = 1) -> Graph:
    """Depthwise and 1x1 convolutions in turn, on 9x8 images of 12 channels."""
    b = Builder("mobile", TensorType((9, 8, 12), 4, False, 4), 7)
    last = b.threshold("d1_out", b.depthwise("d1", "image", 3, stride, bits, multiplier), 4, 60)
    last = b.threshold("p1_out", b.matvec("p1", last, 8, bits), 3, 150)
    last = b.threshold("d2_out", b.depthwise("d2", last, 3, 2, bits), 2, 60)
    return b.finish(b.matvec("p2", last, 3, bits))


def resnet8(bits: int = 4) -> Graph:
    """ResNet-8's topology with random weights."""
    return residual("resnet8", 32, (16, 32, 64), bits)
