"""Graphs on disk: one .npz with the structure as JSON and every integer array beside it."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from flow.errors import FlowError
from flow.files import write_whole
from flow.ir.configuration import RuntimeWidths
from flow.ir.graph import Graph
from flow.ir.kinds import KINDS
from flow.ir.nodes import Node, WeightCode
from flow.ir.types import TensorType

FORMAT = 1


def _node_to_json(node: Node) -> dict:
    plain: dict = {"kind": type(node).__name__}
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, TensorType):
            plain[f.name] = asdict(value)
        elif not isinstance(value, np.ndarray):
            plain[f.name] = value.value if isinstance(value, WeightCode) else value
    return plain


def _node_from_json(plain: dict, arrays: dict[str, np.ndarray]) -> Node:
    cls = KINDS[plain["kind"]]
    kwargs: dict = {}
    for f in fields(cls):
        if f.name not in plain:
            kwargs[f.name] = arrays[f"{plain['name']}.{f.name}"]
        elif f.name == "output":
            kwargs[f.name] = TensorType(**{**plain["output"], "shape": tuple(plain["output"]["shape"])})
        elif f.name == "weight_code":
            kwargs[f.name] = WeightCode(plain[f.name])
        else:
            value = plain[f.name]
            kwargs[f.name] = tuple(value) if isinstance(value, list) else value
    return cls(**kwargs)


def save(graph: Graph, path: Path) -> None:
    """Writes `graph` to `path` (.npz), whole or not at all."""
    structure = {"format": FORMAT, "name": graph.name, "nodes": [_node_to_json(n) for n in graph.nodes]}
    if graph.runtime:
        structure["runtime"] = asdict(graph.runtime)
    arrays = {f"{n.name}.{k}": v for n in graph.nodes for k, v in n.arrays().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, structure=np.array(json.dumps(structure)), **arrays)
    write_whole(path, buffer.getvalue())


def load(path: Path) -> Graph:
    """Reads a graph that `save` wrote.

    Raises:
        FlowError: the file is missing, truncated, or of another format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        structure = json.loads(str(arrays.pop("structure")))
        if structure["format"] != FORMAT:
            raise ValueError(f"format {structure['format']}, expected {FORMAT}")
        runtime = structure.get("runtime")
        if runtime:
            runtime = RuntimeWidths(tuple(runtime["widths"]), tuple(runtime["layers"]))
        return Graph(structure["name"], tuple(_node_from_json(n, arrays) for n in structure["nodes"]), runtime)
    except Exception as error:  # zipfile, json and numpy each have errors of their own for a broken file
        raise FlowError(f"{path} is not a graph that this version wrote ({error}); build it again") from error
