"""The graph: nodes in topological order, checked as a whole when it is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from flow.errors import FlowError
from flow.ir.configuration import Configuration, RuntimeWidths
from flow.ir.nodes import Depthwise, Fork, Input, Node, Output, Weighted, Window
from flow.ir.runtime import check_runtime
from flow.ir.types import TensorType


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of integers.

    Attributes:
        name: an identifier; the name of the generated top module starts with it.
        nodes: in topological order; one `Input` first, one `Output` last.
        runtime: the widths that each frame chooses, where there are layers that let it choose.

    Raises:
        ValueError: the name is no identifier, a node's is used twice, a source is missing, a node that is no `Fork`
            has several readers, a node's types do not follow from its inputs, a `Window` stands elsewhere than before
            a node with weights, or `runtime` does not belong to the nodes.
    """

    name: str
    nodes: tuple[Node, ...]
    runtime: RuntimeWidths | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"{self.name}: modules and functions are named by it; it should be an identifier")
        types: dict[str, TensorType] = {}
        for node in self.nodes:
            if node.name in types:
                raise ValueError(f"two nodes are named {node.name}")
            missing = [name for name in node.inputs if name not in types]
            if missing:
                raise ValueError(f"{node.name}: reads {missing[0]}, which no earlier node produces")
            node.check(*(types[name] for name in node.inputs))
            types[node.name] = node.output
        if not self.nodes or not isinstance(self.nodes[0], Input) or not isinstance(self.nodes[-1], Output):
            raise ValueError("a graph starts with its Input and ends with its Output")
        readers = Counter(name for node in self.nodes for name in node.inputs)
        for node in self.nodes[:-1]:
            if readers[node.name] != 1 and not (isinstance(node, Fork) and readers[node.name] > 1):
                raise ValueError(f"{node.name}: read {readers[node.name]} times; only a Fork is read more than once")
            if isinstance(node, Window) and not isinstance(self.readers(node.name)[0], Weighted):
                raise ValueError(f"{node.name}: a Window is read by a Matvec or a Depthwise")
            if isinstance(node, Depthwise) and not isinstance(self.by_name[node.inputs[0]], Window):
                raise ValueError(f"{node.name}: a Depthwise reads a Window")
        check_runtime(self.runtime, self.nodes)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def input(self) -> Input:
        return self.nodes[0]  # type: ignore[return-value]

    @property
    def output(self) -> Output:
        return self.nodes[-1]  # type: ignore[return-value]

    def sources(self, node: Node) -> tuple[TensorType, ...]:
        """The types of what `node` reads."""
        return tuple(self.by_name[name].output for name in node.inputs)

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read `name`, in graph order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def fields(self, configuration: Configuration | None, frames: int) -> np.ndarray | None:
        """The configuration of each frame as indices, see `RuntimeWidths.fields`; None where nothing can be chosen.

        Raises:
            FlowError: a configuration is missing, is not right, or is given where nothing can be chosen.
        """
        return fields_of(self.name, self.runtime, configuration, frames)

    def widths(self, configuration: Configuration | None, frames: int) -> np.ndarray | None:
        """The configuration of each frame in bits, int64 (frames, runtime layers); as `fields` otherwise."""
        fields = self.fields(configuration, frames)
        return None if fields is None else np.asarray(self.runtime.widths)[fields]


def fields_of(
    name: str, runtime: RuntimeWidths | None, configuration: Configuration | None, frames: int
) -> np.ndarray | None:
    """`Graph.fields` for a network of any form."""
    if (runtime is None) != (configuration is None):
        layers = "no runtime layers" if runtime is None else f"{len(runtime.layers)} runtime layers"
        came = "no" if configuration is None else "a"
        raise FlowError(f"{name} has {layers}, and {came} configuration came")
    return None if runtime is None else runtime.fields(configuration, frames)
