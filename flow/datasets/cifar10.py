"""CIFAR-10 in its python-version files, plain or compressed with xz.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The files' MD5 sums
are those of the authors' archive; a file that differs is refused, never used.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import lzma
import os
import pickle
import tarfile
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from flow.datasets import Dataset
from flow.datasets.download import download as download_file
from flow.datasets.download import offline
from flow.datasets.places import keras_cache, listed, places
from flow.errors import FlowError

TITLE = "CIFAR-10"
SAMPLES = "32x32x3 images"
FILES = "the batches data_batch_1 .. 5 and test_batch (plain or .xz)"

IMAGE_SHAPE = (32, 32, 3)
FOLDER = "cifar-10-batches-py"
ARCHIVE_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE_BYTES = 170_498_071
TRAIN_FILES = tuple(f"data_batch_{index}" for index in range(1, 6))
TEST_FILE = "test_batch"
FILE_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`."""
    return shape == IMAGE_SHAPE


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return "" if batches_in(places(data_dir)) else listed(places(data_dir))


def where() -> str:
    """See `DatasetModule`."""
    folder = batches_in(places(None))
    return str(folder) if folder else "not on this machine; a build downloads it"


def batches_in(folders: list[Path]) -> Path | None:
    """The first folder that holds a batch: a place itself or its `cifar-10-batches-py`."""
    for place in folders:
        for folder in (place, place / FOLDER):
            if any(_batch_path(folder, name) for name in FILE_MD5):
                return folder
    return None


def load(
    data_dir: str | Path | None,
    shape: tuple[int, ...] = IMAGE_SHAPE,
    download: bool = True,
) -> Dataset:
    """Reads and verifies all six batches.

    Raises:
        FlowError: not found, incomplete or corrupt.
    """
    folder = batches_in(places(data_dir))
    if folder is None:
        if data_dir is not None or not download or offline():
            raise FlowError(
                f"CIFAR-10 was not found in {missing(data_dir)}: --data takes the folder with {FILES}; "
                f"--dataset digits needs no files"
            )
        folder = fetch()
    batches = [read_batch(folder, name) for name in (*TRAIN_FILES, TEST_FILE)]
    return Dataset(
        "cifar10",
        np.concatenate([images for images, _ in batches[:-1]]),
        np.concatenate([labels for _, labels in batches[:-1]]),
        *batches[-1],
        CLASS_NAMES,
        f"cifar10: found in {folder}, all checksums right",
    )


def read_batch(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one batch.

    Args:
        folder: that holds `name` or `name`.xz.
        name: key of `FILE_MD5`.

    Returns:
        Images uint8 [10000, 32, 32, 3] and labels int64 [10000].

    Raises:
        FlowError: the file is missing, unreadable, or not the authors' file.
    """
    path = _batch_path(folder, name)
    if path is None:
        raise FlowError(f"{folder}: {name} (or {name}.xz) is missing; CIFAR-10 has six batches")
    advice = "replace it with the file from the authors' archive, " + ARCHIVE_URL
    try:
        raw = path.read_bytes()
        if path.suffix == ".xz":
            raw = lzma.decompress(raw)
    except (OSError, lzma.LZMAError) as error:
        raise FlowError(f"{path}: truncated or unreadable ({error}): {advice}") from error
    digest = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if digest != FILE_MD5[name]:
        raise FlowError(f"{path}: corrupt: MD5 is {digest}, should be {FILE_MD5[name]}: {advice}")
    batch = restricted_load(io.BytesIO(raw), str(path))
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.array(batch[b"labels"], dtype=np.int64)


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays and Python's own containers, nothing that could run code."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct
        raise pickle.UnpicklingError(f"{module}.{name} has no business in a dataset")


def restricted_load(stream: BinaryIO, where: str) -> dict:
    """Unpickles a dictionary of arrays, bytes, lists and numbers.

    Raises:
        FlowError: the pickle asks for any other type, or is not a dictionary.
    """
    try:
        found = _ArrayUnpickler(stream, encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise FlowError(f"{where}: refused: {error}") from error
    if not isinstance(found, dict):
        raise FlowError(f"{where}: refused: holds {type(found).__name__}, should be a dictionary")
    return found


def fetch(url: str = ARCHIVE_URL, md5: str = ARCHIVE_MD5) -> Path:
    """Downloads the authors' archive into Keras' cache folder and verifies it.

    Returns:
        The folder with the six batches.

    Raises:
        FlowError: no network, or the archive is not the authors'.
    """
    target = keras_cache()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as temporary:
            archive = Path(temporary) / "cifar-10-python.tar.gz"
            download_file(TITLE, url, ARCHIVE_BYTES, archive)
            with archive.open("rb") as stream:
                digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if digest != md5:
                raise FlowError(f"{url}: MD5 is {digest}, should be {md5}: not used")
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
            (target / FOLDER).mkdir(exist_ok=True)
            for name in FILE_MD5:
                os.replace(Path(temporary) / FOLDER / name, target / FOLDER / name)
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        raise FlowError(
            f"CIFAR-10 is not on this machine and could not be downloaded from {url} ({error}): "
            f"give its folder with --data or $FLOW_DATA, or use --dataset digits"
        ) from error
    return target / FOLDER


def _batch_path(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.xz"):
        if path.is_file():
            return path
    return None
