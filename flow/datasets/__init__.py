"""Datasets: training and test samples, exactly what a network is given.

    data = load("auto", image_shape=(32, 32, 3))
    data.x_test      # uint8 [images, height, width, channels]

Each dataset is a module of this package (`DatasetModule`) and says which samples it has. Real ones
are looked for in `--data`, `$FLOW_DATA` and Keras' cache folder; those called `generated-...` are
made up from a seed and stand in where a model's real data is not at hand. `auto` takes the first
dataset with samples of the model's shape that is on this machine or, where no folder was given, can
be downloaded; it says which and why in `Dataset.source`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flow.datasets.download import offline, say
from flow.datasets.places import keras_cache
from flow.errors import FlowError, unknown

if TYPE_CHECKING:
    import numpy as np

__all__ = ["AUTO", "DATASETS", "Dataset", "DatasetModule", "content_digest", "fitting", "load", "module_of", "resolve"]

#: each dataset's module, those with real data first: `auto` takes the first that fits and is there
_MODULES = {
    "cifar10": "cifar10",
    "digits": "digits",
    "jets": "jets",
    "generated-jets": "generated_jets",
    "generated-sounds": "generated_sounds",
    "generated-keywords": "generated_keywords",
}
#: the first that fits and can be had
AUTO = "auto"
DATASETS = (AUTO, *_MODULES)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Dataset:
    """Training and test samples of one dataset.

    Attributes:
        name: one of `DATASETS`.
        x_train, x_test: uint8 [images, height, width, channels], 0..255, which stand for pixel / 256; or
            float32 [samples, ...], real numbers.
        y_train, y_test: int64 [samples], class indices; of sounds 0 for normal, 1 for an anomaly.
        class_names: by class index.
        source: a sentence: what was found, where, and why it was taken.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    source: str


class DatasetModule(Protocol):
    """What a module of this package has for its dataset.

    One that can be downloaded has `fetch()` as well, one whose file no checksum here fixes `find(data_dir)`.

    Attributes:
        TITLE: as one writes it in a sentence.
        SAMPLES: what its samples are, in a few words.
        FILES: what `--data` should hold; empty where nothing is looked for.
    """

    TITLE: str
    SAMPLES: str
    FILES: str

    def fits(self, shape: Shape) -> bool:
        """Whether it has samples of a shape."""

    def missing(self, data_dir: str | Path | None) -> str:
        """The places where it was looked for in vain; empty where it is there."""

    def where(self) -> str:
        """Where it is, or how to get it, in a few words."""

    def load(self, data_dir: str | Path | None, shape: Shape, download: bool) -> Dataset:
        """Reads and checks it; raises FlowError where it is missing or not what it should be."""


def module_of(name: str) -> DatasetModule:
    """The module of a dataset.

    Raises:
        FlowError: no such dataset; the nearest name is given.
    """
    if name not in _MODULES:
        raise unknown("dataset", name, DATASETS)
    return import_module(f"flow.datasets.{_MODULES[name]}")


def fitting(shape: Shape) -> list[str]:
    """The datasets with samples of a shape, in the order in which `auto` tries them."""
    return [name for name in _MODULES if module_of(name).fits(tuple(shape))]


def resolve(name: str, data_dir: str | Path | None, shape: Shape, download: bool = True) -> str:
    """The dataset that is meant, without loading it: what `auto` comes to, or `name` itself.

    Args:
        name: one of `DATASETS`.
        data_dir: where to look first (`--data`); where one is given, `auto` downloads nothing.
        shape: that the model takes.
        download: whether `auto` may download one.

    Raises:
        FlowError: unknown name, or a dataset without samples of the shape; the message says which fit.
    """
    fit = fitting(shape)
    if name == AUTO:
        if not fit:
            raise FlowError(f"no dataset has samples of {_size(shape)}: known: {', '.join(_MODULES)}")
        may = download and data_dir is None and not offline()
        return next((option for option in fit if _is_there(option, data_dir, may)), fit[-1])
    module = module_of(name)
    if name not in fit:
        others = f"use {' or '.join(fit)}" if fit else "none fits"
        raise FlowError(f"{name} has {module.SAMPLES}; the model takes {_size(shape)}: {others}")
    return name


def _is_there(name: str, data_dir: str | Path | None, download: bool) -> bool:
    """Whether a dataset is on this machine, now that it was downloaded where it may be."""
    module = module_of(name)
    if module.missing(data_dir) and download and hasattr(module, "fetch"):
        _try_to_fetch(name, keras_cache())
    return not module.missing(data_dir)


@cache
def _try_to_fetch(name: str, place: Path) -> None:
    """Downloads a dataset, or says that it could not be; tried once in a run."""
    try:
        module_of(name).fetch()
    except FlowError as error:
        say(f"{error}; going on without it")


def content_digest(name: str, data_dir: str | Path | None) -> str | None:
    """SHA-256 of the file that a dataset is read from; None where checksums, a seed or a package fix its content.

    Args:
        name: one of `DATASETS` but auto.
        data_dir: where to look first (`--data`).
    """
    module = module_of(name)
    path = module.find(data_dir) if hasattr(module, "find") else None
    if path is None:
        return None
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    """Read once in a run, for all stages."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(
    name: str,
    data_dir: str | Path | None = None,
    image_shape: Shape = (32, 32, 3),
    download: bool = True,
) -> Dataset:
    """Loads a dataset in the shape that a model takes.

    Args:
        name: one of `DATASETS`.
        data_dir: where to look first (`--data`).
        image_shape: height, width, channels that the model takes; or features.
        download: whether a dataset whose checksums are known may be downloaded when it is nowhere on this machine.

    Raises:
        FlowError: unknown name, nothing found, a corrupt file, or a shape the dataset cannot have.
    """
    shape = tuple(image_shape)
    found = resolve(name, data_dir, shape, download)
    if name != AUTO:
        return module_of(found).load(data_dir, shape, download)
    reasons = [f"the model takes {_size(shape)}"]
    for other in fitting(shape):
        if other == found:
            break
        module = module_of(other)
        if data_dir is not None:
            raise FlowError(
                f"--data {data_dir}: {module.TITLE} is not there; give the folder with {module.FILES}, "
                f"or --dataset {found}"
            )
        reasons.append(f"{module.TITLE} was not found in {module.missing(data_dir)}")
    data = module_of(found).load(data_dir, shape, download=False)
    return replace(data, source=f"auto: {found}, since {' and '.join(reasons)}; {data.source}")


def _size(shape: Shape) -> str:
    return f"{shape[0]} values" if len(shape) == 1 else f"{'x'.join(map(str, shape))} samples"
