"""Writes a network as a folder of SystemVerilog: generated wiring, memory files, and the components that they use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flow import paths
from flow.files import read_json, write_json, write_whole
from flow.folding.fold import Folding
from flow.folding.schedule import fifo_depths
from flow.ir import Graph
from flow.rtl.builders import build_layers
from flow.rtl.layers import Context
from flow.rtl.network import build_network, build_top

_INSTANCE = re.compile(r"^\s*([a-z]\w*)\s+#\(", re.MULTILINE)


@dataclass(frozen=True)
class Design:
    """A written network.

    Attributes:
        folder: where the files are; tools run there, because memory files are named relative to it.
        name: the graph's name; tops are `<name>_top` (AXI4-Stream) and `<name>_network`.
        components: files from the component library, copied here.
        generated: generated files.
        memories: $readmemh files.
        layers: generated module of each node that has one, by node name.
    """

    folder: Path
    name: str
    components: tuple[str, ...]
    generated: tuple[str, ...]
    memories: tuple[str, ...]
    layers: dict[str, str]

    @property
    def sources(self) -> list[Path]:
        return [self.folder / name for name in (*self.components, *self.generated)]

    @property
    def memory_files(self) -> list[Path]:
        return [self.folder / name for name in self.memories]


def used_components(direct: set[str], library: Path) -> list[str]:
    """The library files that `direct` needs, themselves included, by following their instances."""
    known = {path.stem for path in library.glob("*.sv")}
    todo, used = sorted(direct & known), set()
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            text = (library / f"{name}.sv").read_text()
            todo += [found for found in _INSTANCE.findall(text) if found in known]
    return [f"{name}.sv" for name in sorted(used)]


def write(graph: Graph, folding: Folding, folder: Path) -> Design:
    """Writes the RTL of `graph` under `folding` into `folder`.

    Raises:
        FlowError: the folding is not legal for the graph, or the folder cannot be written.
    """
    folding.check(graph)
    folder = folder.absolute()  # tools run in other folders
    context = Context(graph, folding, fifo_depths(graph, folding))
    layers = build_layers(context)
    modules = [layer.module for layer in layers] + [build_network(context, layers), build_top(context)]
    library = paths.verilog()
    components = used_components({name for module in modules for name in module.components}, library)
    for name in components:
        write_whole(folder / name, (library / name).read_text())
    for module in modules:
        write_whole(folder / f"{module.name}.sv", module.text)
    memories = {name: text for layer in layers for name, text in layer.memories.items()}
    for name, text in memories.items():
        write_whole(folder / name, text)
    design = Design(
        folder,
        graph.name,
        tuple(components),
        tuple(f"{module.name}.sv" for module in modules),
        tuple(memories),
        {layer.node.name: layer.module.name for layer in layers},
    )
    manifest = {"name": design.name, "components": components, "generated": design.generated}
    write_json(folder / "design.json", manifest | {"memories": design.memories, "layers": design.layers})
    return design


def load_design(folder: Path) -> Design:
    """The design that `write` left in `folder`."""
    folder = folder.absolute()  # tools run in other folders
    plain = read_json(folder / "design.json")
    lists = {key: tuple(plain[key]) for key in ("components", "generated", "memories")}
    return Design(folder, plain["name"], **lists, layers=plain["layers"])
