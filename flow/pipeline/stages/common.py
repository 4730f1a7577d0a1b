"""What several stages need: the project's folders, the model, the bits and the dataset of a build."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flow
from flow.bits import BitsSpec
from flow.datasets import Dataset, load
from flow.pipeline.config import BuildConfig
from keras_models import find_model

if TYPE_CHECKING:
    from keras_models.spec import ModelSpec

PACKAGE = Path(flow.__file__).parent


def code(*names: str) -> tuple[Path, ...]:
    """Parts of the package that a stage depends on."""
    return tuple(PACKAGE / name for name in names)


def file_digest(path: Path | None) -> str | None:
    """SHA-256 of a file that the user named; None for no file or one that cannot be read (the stage will say so)."""
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return f"unreadable {path}"


def model_of(config: BuildConfig) -> ModelSpec:
    """The topology that is built."""
    return find_model(config.model)


def bits_of(config: BuildConfig) -> BitsSpec:
    """The widths of every layer."""
    return BitsSpec.parse(model_of(config), config.bits)


def dataset_name(config: BuildConfig) -> str:
    """What `auto` comes to, without loading anything."""
    from flow.datasets import cifar10

    if config.dataset != "auto":
        return config.dataset
    shape = model_of(config).input_shape
    there = shape == cifar10.IMAGE_SHAPE and cifar10.find(cifar10.places(config.data)) is not None
    return "cifar10" if there else "digits"


@lru_cache(maxsize=1)
def _load(name: str, data: Path | None, shape: tuple[int, int, int]) -> Dataset:
    return load(name, data, shape)


def dataset_of(config: BuildConfig) -> Dataset:
    """The images, read once for all stages of a run."""
    return _load(config.dataset, config.data, model_of(config).input_shape)


def network_settings(config: BuildConfig) -> dict[str, Any]:
    """What decides which network is built and on which images it is tested."""
    return {"model": config.model, "bits": bits_of(config).model_dump(), "dataset": dataset_name(config)}
