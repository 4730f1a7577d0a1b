"""How far each layer is unrolled: what a folding is, its rules and its cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from math import ceil, gcd

from flow import adders
from flow.errors import FlowError, unknown
from flow.folding.steps import frame_cycles
from flow.ir import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Flatten,
    Fork,
    Graph,
    Input,
    Matvec,
    MaxPool,
    Node,
    Output,
    Requantize,
    RequantizeTable,
    SerialMatvec,
    SumPool,
    TensorType,
    Threshold,
    Weighted,
    Window,
)


class Memory(str, Enum):
    """Where a layer's weights are kept."""

    AUTO = "auto"
    LUT = "lut"
    BLOCK = "block"


class Style(str, Enum):
    """How a threshold unit counts: all comparators at once, or one comparator per output bit in a pipeline."""

    PARALLEL = "parallel"
    BINARY = "binary"


class Arithmetic(str, Enum):
    """How products are made: bit planes of weights from a memory, or a graph of adders for constant weights."""

    PLANES = "planes"
    ADDERS = "adders"


@dataclass(frozen=True)
class Fold:
    """The hardware of one node.

    Attributes:
        lanes: elements per beat of the node's output, or of an Argmax's input; for a Matvec or Depthwise this is PE,
            the output channels at once.
        simd: inputs of each output channel at once (Matvec and Depthwise only).
        memory: where the weights are (Matvec and Depthwise only).
        style: how thresholds are counted (Threshold only).
        arithmetic: how products are made (Matvec only); adders only where nothing is folded.
    """

    lanes: int
    simd: int = 1
    memory: Memory = Memory.AUTO
    style: Style = Style.BINARY
    arithmetic: Arithmetic = Arithmetic.PLANES

    @property
    def pe(self) -> int:
        return self.lanes


#: the widest dot products that `matvec` and `serial_matvec` build
MAX_SIMD, MAX_SERIAL_SIMD = 128, 150

#: the widest bus from the host, in bits, where a beat need not be a pixel
MAX_BUS_BITS = 512

#: nodes whose fold somebody chooses; the others follow from their neighbours
CHOSEN = (Matvec, Depthwise, Threshold, Requantize, RequantizeTable, Add, Concat, MaxPool, SumPool, Argmax)


@dataclass(frozen=True)
class Folding:
    """A fold for every chosen node of a graph, by name.

    Attributes:
        bits: the configuration that cycles are counted for: widths by runtime layer, the widest where none is named.
    """

    folds: dict[str, Fold]
    bits: Mapping[str, int] = field(default_factory=dict)

    def with_fold(self, name: str, **changes: object) -> Folding:
        """The same folding with one node changed."""
        return replace(self, folds={**self.folds, name: replace(self.folds[name], **changes)})

    def at(self, bits: Mapping[str, int]) -> Folding:
        """The same folding, its cycles counted for another configuration."""
        return replace(self, bits=dict(bits))

    def uniform(self, graph: Graph) -> list[Folding]:
        """The same folding with all runtime layers at one width, for each width; itself where there are none."""
        if graph.runtime is None:
            return [self]
        return [self.at(graph.runtime.network_wide(width)) for width in graph.runtime.widths]

    def input_lanes(self, graph: Graph, node: Node) -> int:
        """Elements per beat that `node` takes."""
        source = graph.sources(node)[0]
        if isinstance(node, Window):
            return source.channels // self.window_beats(graph, node)
        if isinstance(node, Depthwise):
            return node.mw * self.folds[node.name].pe // node.multiplier
        if isinstance(node, Matvec):
            return node.mw
        if isinstance(node, (Fork, Flatten, Output)):
            return self.output_lanes(graph, graph.by_name[node.inputs[0]])
        return self.folds[node.name].lanes

    def output_lanes(self, graph: Graph, node: Node) -> int:
        """Elements per beat that `node` gives."""
        if isinstance(node, Input):
            return bus_lanes(node.output)
        if isinstance(node, Window):
            return node.output.channels // self.window_beats(graph, node)
        if isinstance(node, (Fork, Flatten, Output)):
            return self.input_lanes(graph, node)
        return 1 if isinstance(node, Argmax) else self.folds[node.name].lanes

    def buffers(self, graph: Graph, node: Matvec) -> bool:
        """Whether a vector is collected while the one before it is still worked on.

        So it is where both in turn would take longer than a frame may, and where a vector comes, element by element,
        out of another matrix times a vector.
        """
        source = graph.by_name[node.inputs[0]]
        if isinstance(source, Window) or self.vector_cycles(node) == 1:
            return False
        beats = node.mw // self.output_lanes(graph, source)
        if node.output.positions > 1:
            return beats > 1 and (beats + self.vector_cycles(node)) * node.output.positions > self.interval(graph)
        flattened = graph.sources(source)[0] if isinstance(source, Flatten) else source.output
        while not isinstance(source, (Input, Weighted)):
            source = graph.by_name[source.inputs[0]]
        if isinstance(source, Input) or source.output.positions == 1:
            return True
        # an image comes while the layer that makes it works, the sum of one in a few beats
        coming = source.output.positions * self.vector_cycles(source) if flattened.positions > 1 else beats
        return coming + self.vector_cycles(node) > self.interval(graph)

    def window_beats(self, graph: Graph, node: Window) -> int:
        """Beats in which a pixel comes into a window, and a window leaves it: channel groups of a Depthwise."""
        (reader,) = graph.readers(node.name)
        return reader.mh // self.folds[reader.name].pe if isinstance(reader, Depthwise) else 1

    def vector_cycles(self, node: Weighted) -> int:
        """Cycles that a unit with weights takes for one position."""
        return vector_cycles(node, self.folds[node.name], self._width(node))

    def _width(self, node: Weighted) -> int | None:
        return self.bits.get(node.select) if isinstance(node, SerialMatvec) else None

    def cycles(self, graph: Graph, node: Node) -> int:
        """Cycles per frame that `node` is busy when nothing stalls it."""
        if isinstance(node, Weighted):
            return weighted_cycles(graph, node, self.folds[node.name], self._width(node))
        if isinstance(node, Input):
            return node.output.elements // bus_lanes(node.output)
        return self.unit_cycles(graph, node, self.input_lanes(graph, node))

    def unit_cycles(self, graph: Graph, node: Node, lanes: int) -> int:
        """Cycles per frame of a unit without weights that takes so many elements a beat.

        Behind a convolution positions come as the window gives them, with a stride in bursts. Nothing stores what the
        unit has not yet taken, so it is as if the unit itself read the window.
        """
        if isinstance(node, Concat):
            return node.output.elements // lanes
        kind, source = graph.sources(node)[0], graph.by_name[node.inputs[0]]
        window = graph.by_name[source.inputs[0]] if isinstance(source, Weighted) else None
        if not isinstance(window, Window):
            return kind.elements // lanes
        beats = self.window_beats(graph, window)
        return frame_cycles(window, graph.sources(window)[0].shape, max(kind.channels // lanes // beats, 1), beats)

    def interval(self, graph: Graph) -> int:
        """Cycles between frames: those of the busiest node."""
        return max(self.cycles(graph, node) for node in graph.nodes)

    def check(self, graph: Graph) -> None:
        """Raises FlowError, with what would divide, unless every fold is legal."""
        chosen = {n.name for n in graph.nodes if isinstance(n, CHOSEN)}
        if missing := sorted(chosen - set(self.folds)):
            raise FlowError(f"folding: no entry for layer '{missing[0]}'")
        for name, fold in self.folds.items():
            if name not in chosen:
                raise unknown("layer in the folding", name, chosen)
            node = graph.by_name[name]
            _divides(name, "pe" if isinstance(node, Weighted) else "lanes", fold.lanes, divided_channels(graph, node))
            if isinstance(node, Depthwise) and fold.pe % node.multiplier:
                raise FlowError(
                    f"folding: layer '{name}': pe {fold.pe} is not a multiple of {node.multiplier}, "
                    "the filters of a channel"
                )
            if isinstance(node, Weighted):
                _divides(name, "simd", fold.simd, node.mw)
                if fold.arithmetic is Arithmetic.ADDERS:
                    _check_adders(node, fold)
                elif fold.simd > max_simd(node):
                    raise FlowError(f"folding: layer '{name}': simd {fold.simd} exceeds {max_simd(node)}")
            source = graph.by_name[node.inputs[0]]
            self._check_neighbours(graph, source if isinstance(source, Window) else node)

    def _check_neighbours(self, graph: Graph, node: Node) -> None:
        """A width converter joins two streams only if one's lanes divide the other's."""
        taken = self.input_lanes(graph, node)
        for name in node.inputs:
            given = self.output_lanes(graph, graph.by_name[name])
            if given % taken and taken % given:
                raise FlowError(
                    f"folding: layer '{node.name}' takes {taken} elements a beat and '{name}' gives {given}: "
                    "one must divide the other"
                )


def divided_channels(graph: Graph, node: Node) -> int:
    """What the lanes of a node divide: its channels; of a Concat or an Argmax, those of all that it reads."""
    if isinstance(node, (Concat, Argmax)):
        return gcd(*(kind.channels for kind in graph.sources(node)))
    return node.output.channels


def driver(graph: Graph, name: str) -> Node:
    """The node whose module drives the stream `name`: a window is inside its reader, a flatten is wires."""
    node = graph.by_name[name]
    return driver(graph, node.inputs[0]) if isinstance(node, (Window, Flatten)) else node


def bus_lanes(kind: TensorType) -> int:
    """Elements that the host sends in a beat: a pixel, or of a vector as many as divide it and fit the bus."""
    if kind.positions > 1:
        return kind.channels
    most = max(MAX_BUS_BITS // (8 * ceil(kind.width_bits / 8)), 1)
    return max(lanes for lanes in divisors(kind.channels) if lanes <= most)


def max_simd(node: Weighted) -> int:
    """Inputs that a unit with weights can take at once."""
    return MAX_SERIAL_SIMD if isinstance(node, SerialMatvec) else MAX_SIMD


def vector_cycles(node: Weighted, fold: Fold, width_bits: int | None = None) -> int:
    """Cycles that a unit with weights takes for one position.

    Args:
        width_bits: of a SerialMatvec's weights, the widest without; it takes so many bit planes one by one.
    """
    planes = (width_bits or node.weight_bits) if isinstance(node, SerialMatvec) else 1
    return (node.mw // fold.simd) * (node.mh // fold.pe) * planes


def weighted_cycles(graph: Graph, node: Weighted, fold: Fold, width_bits: int | None = None) -> int:
    """Cycles per frame of a unit with weights, its window included; `width_bits` as of `vector_cycles`."""
    source = graph.by_name[node.inputs[0]]
    if isinstance(source, Window):
        beats = node.mh // fold.pe if isinstance(node, Depthwise) else 1
        cycles = vector_cycles(node, fold, width_bits) // beats
        return frame_cycles(source, graph.sources(source)[0].shape, cycles, beats)
    return node.output.positions * vector_cycles(node, fold, width_bits)


def divisors(n: int) -> list[int]:
    """All divisors of n, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


def _check_adders(node: Weighted, fold: Fold) -> None:
    if not isinstance(node, Matvec) or isinstance(node, SerialMatvec) or (fold.pe, fold.simd) != (node.mh, node.mw):
        raise FlowError(
            f"folding: layer '{node.name}': arithmetic adders takes the whole matrix at once: "
            f"pe {node.mh}, simd {node.mw}, and no depthwise layer"
        )
    if not adders.available():
        raise FlowError(
            f"folding: layer '{node.name}': arithmetic adders needs the package da4ml: pip install '{adders.EXTRA}'; "
            "or leave arithmetic out"
        )


def _divides(layer: str, what: str, value: int, whole: int) -> None:
    if value < 1 or whole % value:
        legal = ", ".join(map(str, divisors(whole)))
        raise FlowError(f"folding: layer '{layer}': {what} {value} does not divide {whole}; it may be one of {legal}")
