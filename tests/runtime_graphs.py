"""Networks with runtime layers, of random integers, straight in the IR: residual, strided, forked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from graphs import Builder

from flow.ir import (
    Flatten,
    Graph,
    Output,
    RequantizeTable,
    RuntimeWidths,
    SerialMatvec,
    SumPool,
    TensorType,
    signed_width,
    sum_type,
)

SHIFT = 14


class RuntimeBuilder(Builder):
    """A `Builder` whose layers choose from `widths`; `odd` as of a `SerialMatvec`."""

    def __init__(
        self, name: str, source: TensorType, seed: int, widths: tuple[int, ...] = (2, 3, 4), odd: bool = False
    ) -> None:
        super().__init__(name, source, seed)
        self.widths, self.layers, self.odd = widths, [], odd

    def serial(self, name: str, source: str, filters: int, kernel: int = 1, stride: int = 1) -> str:
        """A convolution that is a runtime layer; its result uses about as many bits at each width."""
        if kernel > 1 or stride > 1:
            source = self.window(f"{name}_window", source, kernel, stride)
        kind, bits = self.types[source], self.widths[-1]
        weights = self._weights((filters, kind.channels), bits)
        wide = TensorType((*kind.shape[:-1], filters), 62, True)
        bias = np.zeros(filters, int)
        draft = SerialMatvec(name, (source,), wide, weights, bias, bits, widths=self.widths, select=name, odd=self.odd)
        self.layers.append(name)
        return self.put(replace(draft, output=replace(wide, width_bits=signed_width(*draft.bounds(kind)))))

    def table(self, name: str, source: str, select: tuple[str, ...], spread: float, reader: str | None = None) -> str:
        """A quantizer whose constants `select` chooses, for the runtime layer `reader`, or for an add: signed."""
        kind, top = self.types[source], self.widths[-1]
        tables = len(self.widths) ** len(select)
        # the reader's width is the last of the digits
        maximum = np.array([(1 << self.widths[t % len(self.widths)]) - 1 for t in range(tables)])
        if reader is None:
            maximum = np.full(tables, 127)
        shape = (tables, kind.channels)
        scale = (maximum[:, None] + 1) / (3 * spread) * (1 << SHIFT)
        multiplier = np.round(scale * self.rng.uniform(0.3, 2.0, shape) * self.rng.choice([1, 1, 1, -1], shape))
        bias = np.round(self.rng.normal(0.3, 0.4, shape) * maximum[:, None] * (1 << SHIFT)) + (1 << (SHIFT - 1))
        output = TensorType(kind.shape, 8 if reader is None else top, reader is None)
        node = RequantizeTable(
            name, (source,), output, multiplier.astype(int), bias.astype(int), maximum, SHIFT, self.widths, select
        )
        return self.put(node)

    def finish(self, last: str) -> Graph:
        self.put(Output("logits", (last,), self.types[last]))
        return Graph(self.name, tuple(self.nodes), RuntimeWidths(self.widths, tuple(self.layers)))


def mixer(
    name: str = "mixer", size: int = 8, filters: tuple[int, ...] = (4, 8), seed: int = 1,
    widths: tuple[int, ...] = (2, 3, 4), odd: bool = False,
) -> Graph:  # fmt: skip
    """ResNet-8's topology over `filters`, all but the first and the last layer with widths of their own."""
    b = RuntimeBuilder(name, TensorType((size, size, 3), 8, False, 8), seed, widths, odd)
    b.conv("conv1", "image", filters[0], 3, 1, 8)
    b.requantize("conv1_relu", "conv1", 8, False, 6000)
    trunk, before = b.fork("conv1_relu"), None
    for index, count in enumerate(filters):
        stage, stride = f"s{index + 1}", 2 if index else 1
        one, two, skip = (f"{stage}_{layer}" for layer in ("conv1", "conv2", "skip"))
        select = (before, one) if before else (one,)
        b.table(f"{stage}_in", trunk, (one,), 60, one)
        b.serial(one, f"{stage}_in", count, 3, stride)
        b.table(f"{stage}_relu1", one, (*select, two), 100, two)
        b.serial(two, f"{stage}_relu1", count, 3)
        b.table(f"{stage}_res", two, (one, two), 100)
        if index:
            b.table(f"{stage}_skip_in", trunk, (skip,), 60, skip)
            b.serial(skip, f"{stage}_skip_in", count, 1, 2)
            b.table(f"{stage}_skip_res", skip, (before, skip), 60)
            trunk = b.add(f"{stage}_add", f"{stage}_skip_res", f"{stage}_res")
        else:
            trunk = b.add(f"{stage}_add", trunk, f"{stage}_res")
        before = two
        if index < len(filters) - 1:
            trunk = b.fork(trunk)
    last = b.requantize("out", trunk, 8, False, 60)
    kind = b.types[last]
    area = kind.shape[0] * kind.shape[1]
    pooled = sum_type(kind, area, (1, 1, kind.channels), kind.fraction_bits + (area - 1).bit_length())
    b.put(SumPool("pool", (last,), pooled, kind.shape[:2]))
    b.put(Flatten("flatten", ("pool",), TensorType((pooled.channels,), pooled.width_bits, False, pooled.fraction_bits)))
    b.matvec("dense", "flatten", 10, 8, bias=True)
    return b.finish("dense")


def configurations(graph: Graph, frames: int, seed: int) -> np.ndarray:
    """Bits of each runtime layer, random in each frame: int64 (frames, layers)."""
    return np.random.default_rng(seed).choice(graph.runtime.widths, (frames, len(graph.runtime.layers)))
