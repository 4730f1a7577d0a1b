"""Reads a model file that somebody else wrote, without running anything that it brings.

Only the JSON configuration and the arrays are read. Every class name is looked up in our own table; a name that is not
there is refused, so that nothing is imported, unmarshalled or evaluated on the file's behalf. What only training needs
(initializers, regularizers, constraints, the optimizer, the loss) is dropped.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.errors import FlowError
from flow.fold.survey import check_network

if TYPE_CHECKING:
    from flow.keras_env import keras

SUFFIXES = (".h5", ".hdf5", ".keras", ".json")
#: what follows the name of a .json in the name of the file with its weights
WEIGHTS_SUFFIXES = ("_weights.h5", ".weights.h5", ".h5")
LFS = b"version https://git-lfs"


def is_model_file(model: str) -> bool:
    """Whether `--model` names a file and not one of the project's networks."""
    return Path(model).suffix.lower() in SUFFIXES or os.sep in model or Path(model).is_file()


def network_name(model: str) -> str:
    """An identifier made from a file's name."""
    plain = re.sub(r"\W", "_", Path(model).stem, flags=re.ASCII).strip("_").lower()
    return plain if re.match(r"[a-z]", plain) else f"net_{plain}".rstrip("_")


def read_configuration(path: Path) -> dict:
    """The configuration of a file's network, checked: everything that cannot be deployed is named at once.

    Returns:
        the inner configuration of a functional or sequential model, in the form of Keras 2.

    Raises:
        FlowError: not a model file, code instead of a configuration, or layers that cannot be deployed.
    """
    outer = _read_json(path)
    if not isinstance(outer, dict) or not isinstance(outer.get("config"), (dict, list)):
        raise FlowError(f"--model {path}: its configuration is not that of a Keras model")
    kind = outer.get("class_name")
    if kind not in ("Sequential", "Functional", "Model"):
        raise FlowError(
            f"--model {path}: it is a model of the class {kind}, which is code; "
            "only sequential and functional models can be read without running it"
        )
    from flow.network.configuration import plain_configuration

    try:
        config = plain_configuration(outer["config"])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise FlowError(f"--model {path}: its configuration is damaged ({type(error).__name__}: {error})") from error
    if not config["layers"]:
        raise FlowError(f"--model {path}: the network has no layers")
    try:
        check_network(config)
    except FlowError as error:
        raise FlowError(f"--model {path}: {error}") from error
    return config


def _read_json(path: Path) -> Any:
    if path.is_dir():
        raise FlowError(
            f"--model {path}: a folder; a SavedModel holds code, so write model.save('name.h5') or '.keras'"
        )
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS))
    except OSError as error:
        raise FlowError(f"--model {path}: {error.strerror or error}") from error
    if head == LFS:
        raise FlowError(f"--model {path}: a pointer of Git LFS and not the file itself; fetch it with `git lfs pull`")
    if path.suffix.lower() == ".json":
        text = path.read_bytes()
    else:
        text = _from_zip(path) if head.startswith(b"PK") else _from_h5(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise FlowError(f"--model {path}: its configuration is not JSON ({error})") from error


def _from_zip(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise FlowError(f"--model {path}: not a .keras file ({error})") from error


def _from_h5(path: Path) -> str:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            weights_only = text is None and ("layer_names" in file.attrs or "model_weights" in file)
    except OSError as error:
        raise FlowError(f"--model {path}: not a Keras model file (.h5 or .keras), or cut short") from error
    if text is None:
        why = "holds weights only" if weights_only else "holds no Keras model"
        raise FlowError(
            f"--model {path}: {why}; write the whole model with model.save(...), "
            "or give the .json of model.to_json() with the weights beside it"
        )
    return text.decode() if isinstance(text, bytes) else text


def load_model_file(path: Path) -> keras.Model:
    """The network of a file, with its weights.

    Raises:
        FlowError: as `read_configuration`, or weights that do not fit the layers.
    """
    config = read_configuration(path)
    from flow.network.build import build_network
    from flow.network.weights import load_weights

    model = build_network(config, network_name(str(path)))
    load_weights(model, weights_file(path))
    return model


def weights_file(path: Path) -> Path:
    """The file with the weights: the model file itself, or what lies beside a .json, which holds none.

    Raises:
        FlowError: nothing lies there.
    """
    if path.suffix.lower() != ".json":
        return path
    places = [path.with_name(path.stem + suffix) for suffix in WEIGHTS_SUFFIXES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        names = ", ".join(place.name for place in places)
        raise FlowError(f"--model {path}: a configuration only; its weights are looked for beside it as {names}")
    return found
