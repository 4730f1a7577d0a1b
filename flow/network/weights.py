"""The arrays of a model file into a network that was built from its configuration: by layer name, shapes checked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flow.errors import FlowError
from flow.keras_env import keras


def load_weights(model: keras.Model, path: Path) -> None:
    """Reads the weights of every layer.

    Raises:
        FlowError: a layer's weights are missing, of another shape, or not finite.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
                _from_paths(model, file, path)
        else:
            with h5py.File(path, "r") as file:
                if "layers" in file or "_layer_checkpoint_dependencies" in file:
                    _from_paths(model, file, path)
                else:
                    _from_names(model, file.get("model_weights", file), path)
    except (KeyError, OSError) as error:
        raise FlowError(f"--model {path}: its weights cannot be read ({error}); it may be cut short") from error
    for layer in model.layers:
        for variable in layer.weights:
            if not np.isfinite(variable.numpy()).all():
                raise FlowError(f"--model {path}: {layer.name}: {variable.name} has values that are not finite")


def _from_names(model: keras.Model, file: Any, path: Path) -> None:
    """The .h5 layout: a group for each layer, whose attribute lists its arrays in order."""
    for layer in model.layers:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        if not variables:
            continue
        if layer.name not in file:
            raise FlowError(f"--model {path}: there are no weights of layer {layer.name}")
        group = file[layer.name]
        names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]]
        _assign(layer.name, variables, [np.asarray(group[name]) for name in names], path)


def _from_paths(model: keras.Model, file: Any, path: Path) -> None:
    """The .keras layout: layers/<class>[_<number>]/vars/<number>, and sublayers below their attribute's name."""
    used: dict[str, int] = {}
    places = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    for layer in model.layers:
        kind = keras.src.utils.generic_utils.to_snake_case(type(layer).__name__)
        number = used[kind] = used.get(kind, -1) + 1
        if not layer.weights:
            continue
        place = next((name for name in (layer.name, f"{kind}_{number}" if number else kind) if name in places), None)
        if place is None:
            raise FlowError(f"--model {path}: there are no weights of layer {layer.name}")
        _own(layer.name, layer, places[place], path)


def _own(name: str, layer: Any, group: Any, path: Path) -> None:
    """The layer's own variables, then those of its sublayers."""
    stored = group.get("vars", {})
    arrays = [np.asarray(stored[key]) for key in sorted(stored, key=int)]
    _assign(name, [*layer._trainable_weights, *layer._non_trainable_weights], arrays, path)
    for key in group:
        sublayer = getattr(layer, key, None)
        if key != "vars" and isinstance(sublayer, keras.layers.Layer):
            _own(f"{name}.{key}", sublayer, group[key], path)


def _assign(name: str, variables: list[Any], arrays: list[np.ndarray], path: Path) -> None:
    have, want = [array.shape for array in arrays], [tuple(variable.shape) for variable in variables]
    if have != want:
        raise FlowError(
            f"--model {path}: the weights of layer {name} have shapes {have}; its configuration means {want}"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
