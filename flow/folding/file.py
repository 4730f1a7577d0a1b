"""folding.yaml: a folding that a person can read, edit and feed back."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from flow.errors import FlowError, unknown
from flow.files import write_whole
from flow.folding.fold import CHOSEN, Arithmetic, Fold, Folding, Memory, Style, divided_channels
from flow.ir import Concat, Depthwise, Graph, Node, Threshold, Weighted


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Lanes(_Entry):
    lanes: PositiveInt

    def fold(self) -> Fold:
        return Fold(lanes=self.lanes)


class _ThresholdEntry(_Entry):
    lanes: PositiveInt
    style: Style = Style.BINARY

    def fold(self) -> Fold:
        return Fold(lanes=self.lanes, style=self.style)


class _WeightedEntry(_Entry):
    pe: PositiveInt
    simd: PositiveInt
    memory: Memory = Memory.AUTO
    arithmetic: Arithmetic = Arithmetic.PLANES

    def fold(self) -> Fold:
        return Fold(lanes=self.pe, simd=self.simd, memory=self.memory, arithmetic=self.arithmetic)


def _entry_type(node: Node) -> type[_Entry]:
    if isinstance(node, Weighted):
        return _WeightedEntry
    return _ThresholdEntry if isinstance(node, Threshold) else _Lanes


def _comment(graph: Graph, node: Node, cycles: int) -> str:
    if isinstance(node, Depthwise):
        rows = f"{node.mh} outputs (pe divides them)"
        if node.multiplier > 1:
            rows = f"{node.channels} channels of {node.multiplier} filters (pe: all filters of some channels)"
        return f"{rows}, {node.mw} taps (simd divides them); {cycles:,} cycles a frame"
    if isinstance(node, Weighted):
        return f"MH {node.mh} (pe divides it), MW {node.mw} (simd divides it); {cycles:,} cycles a frame"
    if isinstance(node, Concat):
        given = " and ".join(str(kind.channels) for kind in graph.sources(node))
        return f"{given} channels (lanes divides {divided_channels(graph, node)}); {cycles:,} cycles a frame"
    return f"{divided_channels(graph, node)} channels (lanes divides them); {cycles:,} cycles a frame"


def dump(graph: Graph, folding: Folding) -> str:
    """The folding as commented YAML."""
    lines = [
        f"# Folding of {graph.name}: {folding.interval(graph):,} cycles between frames.",
        "# Edit it and build again with --folding FILE. pe: output channels at once; simd: inputs at once;",
        "# lanes: elements at once; memory: auto, lut or block; style: binary or parallel;",
        "# arithmetic: planes, or adders where pe and simd are the whole matrix.",
    ]
    for node in graph.nodes:
        if not isinstance(node, CHOSEN):
            continue
        fold = folding.folds[node.name]
        if isinstance(node, Weighted) and fold.arithmetic is Arithmetic.ADDERS:
            text = f"{{pe: {fold.pe}, simd: {fold.simd}, arithmetic: {fold.arithmetic.value}}}"
        elif isinstance(node, Weighted):
            text = f"{{pe: {fold.pe}, simd: {fold.simd}, memory: {fold.memory.value}}}"
        elif isinstance(node, Threshold):
            text = f"{{lanes: {fold.lanes}, style: {fold.style.value}}}"
        else:
            text = f"{{lanes: {fold.lanes}}}"
        lines.append(f"{node.name + ':':<16} {text:<40} # {_comment(graph, node, folding.cycles(graph, node))}")
    return "\n".join(lines) + "\n"


def save(graph: Graph, folding: Folding, path: Path) -> None:
    """Writes the folding to `path`, whole or not at all."""
    write_whole(path, dump(graph, folding))


def load(graph: Graph, path: Path) -> Folding:
    """Reads a folding for `graph`.

    Raises:
        FlowError: not readable, not YAML, an unknown or missing layer, a value that is not legal: names the layer.
    """
    try:
        plain = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FlowError(f"cannot read the folding file {path}: {' '.join(str(error).split())}") from error
    if not isinstance(plain, dict):
        raise FlowError(f"{path}: expected lines such as 'conv1: {{pe: 2, simd: 9}}'")
    folds = {}
    for name, entry in plain.items():
        node = graph.by_name.get(str(name))
        if not isinstance(node, CHOSEN):
            raise unknown(f"layer in {path}", str(name), (n.name for n in graph.nodes if isinstance(n, CHOSEN)))
        try:
            folds[node.name] = _entry_type(node).model_validate(entry).fold()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "entry"
            raise FlowError(f"{path}: layer '{name}': {where}: {first['msg']}") from error
    folding = Folding(folds)
    folding.check(graph)
    return folding
