"""A model's saved configuration in one plain form, whichever version of Keras wrote it.

Keras 2 writes edges as nested lists, Keras 3 as arguments of calls; Keras 3 also wraps types and shapes. What comes
out are entries {"class_name", "config", "inbound_nodes"} in the form of Keras 2, without what only training needs.
"""

from __future__ import annotations

from typing import Any

#: what a trained network does not need
DROPPED = ("_initializer", "_regularizer", "_constraint")
DROPPED_KEYS = {"trainable", "dtype", "build_config", "compile_config", "synchronized", "autocast", "registered_name"}


def plain_configuration(config: dict | list) -> dict:
    """The configuration of a functional or sequential model."""
    if isinstance(config, list):  # a Sequential model of early Keras 2
        config = {"layers": config}
    layers = config["layers"]
    if "output_layers" not in config:
        return {"name": config.get("name", "model"), "layers": _sequential(layers, config.get("build_input_shape"))}
    plain = [_entry(layer, _edges(layer.get("inbound_nodes", []))) for layer in layers]
    outputs = config["output_layers"]
    outputs = [outputs] if outputs and isinstance(outputs[0], str) else outputs
    return {"name": config.get("name", "model"), "layers": plain, "output_layers": [list(entry) for entry in outputs]}


def _sequential(layers: list[dict], built_shape: Any) -> list[dict]:
    """A chain that starts with its input layer."""
    plain = [_entry(layer, None) for layer in layers]
    if plain and plain[0]["class_name"] != "InputLayer":
        first = plain[0]["config"]
        shape = first.pop("batch_input_shape", None) or first.pop("batch_shape", None) or built_shape
        if shape is None:
            raise ValueError("the input's shape is not in the file: build the model before it is saved")
        plain.insert(
            0, {"class_name": "InputLayer", "config": {"name": "input_of_the_file", "batch_input_shape": shape}}
        )
    for entry in plain:
        entry.pop("inbound_nodes", None)
    return plain


def _entry(layer: dict, edges: list | None) -> dict:
    kind = layer["class_name"]
    config = dict(layer["config"])
    config.setdefault("name", layer.get("name", kind))
    if kind == "InputLayer":
        shape = config.get("batch_input_shape") or config.get("batch_shape")
        return {
            "class_name": kind,
            "config": {"name": config["name"], "batch_input_shape": list(shape)},
            "inbound_nodes": [],
        }
    kept = {key: value for key, value in config.items() if not key.endswith(DROPPED) and key not in DROPPED_KEYS}
    own = kind.startswith(("QKeras>", "qkeras>", "flow>"))
    return {"class_name": kind.rpartition(">")[2] if own else kind, "config": kept, "inbound_nodes": edges}


def _edges(nodes: list) -> list:
    """Edges as [[[layer, node, tensor], ...]]."""
    found = []
    for node in nodes:
        if isinstance(node, dict):
            tensors = list(_tensors(node.get("args", [])))
        elif node and isinstance(node[0], str):  # a single tensor without the list around it
            tensors = [node]
        else:
            tensors = node
        found.append([[tensor[0], int(tensor[1]), int(tensor[2])] for tensor in tensors])
    return found


def _tensors(value: Any):
    """The tensors in the arguments of a call, as Keras 3 writes them."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"]
        return
    for inner in value if isinstance(value, list) else []:
        yield from _tensors(inner)
