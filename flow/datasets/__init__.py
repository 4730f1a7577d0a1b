"""Image classification datasets: raw uint8 images, exactly what the hardware receives.

    data = load("auto", image_shape=(32, 32, 3))
    data.x_test      # uint8 [images, height, width, channels]

`cifar10` is looked for in `--data`, `$FLOW_DATA` and Keras' cache folder, and downloaded with a
checksum otherwise; `digits` comes with scikit-learn. `auto` takes CIFAR-10 where it is already
on this machine, else the digits, and says which and why in `Dataset.source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.errors import FlowError, unknown

__all__ = ["DATASETS", "Dataset", "load"]

DATASETS = ("auto", "cifar10", "digits")


@dataclass(frozen=True)
class Dataset:
    """Training and test images of one dataset.

    Attributes:
        name: ``"cifar10"`` or ``"digits"``.
        x_train, x_test: uint8 [images, height, width, channels], 0..255.
        y_train, y_test: int64 [images], class indices.
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


def load(
    name: str,
    data_dir: str | Path | None = None,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    download: bool = True,
) -> Dataset:
    """Loads a dataset in the image shape of a model.

    Args:
        name: one of `DATASETS`.
        data_dir: where to look first (`--data`).
        image_shape: height, width, channels that the model takes.
        download: whether `cifar10` may be downloaded when it is nowhere on this machine.

    Raises:
        FlowError: unknown name, nothing found, a corrupt file, or a shape the dataset cannot have.
    """
    from flow.datasets import cifar10, digits

    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    if name == "digits":
        return digits.load(image_shape, "digits: asked for; they come with scikit-learn")
    if name == "cifar10":
        return cifar10.load(data_dir, image_shape, download)
    if image_shape != cifar10.IMAGE_SHAPE:
        size = "x".join(map(str, image_shape))
        return digits.load(image_shape, f"auto: digits, since the model takes {size} images")
    places = cifar10.places(data_dir)
    if cifar10.find(places) is not None:
        return cifar10.load(data_dir, image_shape, download=False)
    if data_dir is not None:
        raise FlowError(
            f"--data {data_dir}: no CIFAR-10 batches there; give the folder that holds "
            f"data_batch_1 .. 5 and test_batch (plain or .xz), or --dataset digits"
        )
    looked = ", ".join(str(place) for place in places)
    return digits.load(image_shape, f"auto: digits, since CIFAR-10 was not found in {looked}")
