"""Datasets: found, verified, refused when they are not what they should be. No network."""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import pickle
import tarfile
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from flow.datasets import DATASETS, cifar10, digits, load
from flow.errors import FlowError

IMAGES = 4


@pytest.fixture
def batches(tmp_path, monkeypatch) -> Path:
    """A folder with six small batches whose checksums the project is made to expect."""
    folder = tmp_path / "somewhere" / cifar10.FOLDER
    folder.mkdir(parents=True)
    sums = {}
    for index, name in enumerate(cifar10.FILE_MD5):
        data = np.random.default_rng(index).integers(0, 256, (IMAGES, 3072), np.uint8)
        labels = [int(label) for label in data[:, 0] % 10]
        raw = pickle.dumps({b"data": data, b"labels": labels, b"batch_label": b"x"}, protocol=4)
        (folder / name).write_bytes(raw)
        sums[name] = hashlib.md5(raw).hexdigest()
    monkeypatch.setattr(cifar10, "FILE_MD5", sums)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FLOW_DATA", raising=False)
    return folder


@pytest.fixture
def nothing(tmp_path, monkeypatch) -> Path:
    """A machine without CIFAR-10 and without a network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("FLOW_DATA", raising=False)

    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(cifar10.urllib.request, "urlopen", refuse)
    return tmp_path


def compress(folder: Path) -> None:
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_cifar10_is_read_plain_and_packed(batches, packed, inside):
    raw = pickle.loads((batches / "data_batch_2").read_bytes())
    if packed:
        compress(batches)
    data = load("cifar10", batches if inside else batches.parent)
    assert data.x_train.shape == (5 * IMAGES, 32, 32, 3) and data.x_train.dtype == np.uint8
    assert data.x_test.shape == (IMAGES, 32, 32, 3)
    # The second image of the second batch: a plane of red, one of green, one of blue, row by row.
    image, flat = data.x_train[IMAGES + 1], raw[b"data"][1]
    assert image[3, 5, 0] == flat[3 * 32 + 5]
    assert image[3, 5, 2] == flat[2 * 1024 + 3 * 32 + 5]
    assert data.y_train[IMAGES + 1] == raw[b"labels"][1]
    assert str(batches) in data.source


def test_cifar10_is_found_by_environment_and_in_keras_cache(batches, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOW_DATA", str(batches.parent))
    assert load("auto").name == "cifar10"
    monkeypatch.delenv("FLOW_DATA")
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    os.rename(batches, cache / cifar10.FOLDER)
    assert load("auto").name == "cifar10"


def test_data_option_comes_before_the_environment(batches, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOW_DATA", str(tmp_path))
    assert cifar10.places(batches)[0] == batches
    assert load("cifar10", batches).name == "cifar10"


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_batch_is_named_and_refused(batches, damage, packed):
    if packed:
        compress(batches)
    path = batches / ("data_batch_3.xz" if packed else "data_batch_3")
    raw = bytearray(path.read_bytes())
    if damage == "truncated":
        raw = raw[: len(raw) // 2]
    else:
        raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(FlowError, match=r"data_batch_3.*(MD5|truncated)") as caught:
        load("cifar10", batches)
    assert cifar10.ARCHIVE_URL in str(caught.value)


def test_a_missing_batch_is_named(batches):
    (batches / "test_batch").unlink()
    with pytest.raises(FlowError, match=r"test_batch.*missing"):
        load("cifar10", batches)


class Evil:
    def __reduce__(self):
        return os.getenv, ("HOME",)


def test_a_pickle_that_runs_code_is_refused(batches, monkeypatch):
    raw = pickle.dumps({b"data": Evil()}, protocol=4)
    (batches / "data_batch_1").write_bytes(raw)
    monkeypatch.setitem(cifar10.FILE_MD5, "data_batch_1", hashlib.md5(raw).hexdigest())
    with pytest.raises(FlowError, match="getenv has no business"):
        load("cifar10", batches)


def test_a_pickle_of_another_type_is_refused():
    with pytest.raises(FlowError, match="list"):
        cifar10.restricted_load(io.BytesIO(pickle.dumps([1])), "here")


def archive(batches: Path, folder: Path) -> bytes:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(batches, cifar10.FOLDER)
    return path.read_bytes()


def test_download_is_verified_and_kept(batches, nothing, monkeypatch):
    raw = archive(batches, nothing)
    monkeypatch.setattr(cifar10.urllib.request, "urlopen", lambda *_a, **_k: io.BytesIO(raw))
    with pytest.raises(FlowError, match="not used"):
        cifar10.fetch()
    assert cifar10.find(cifar10.places(None)) is None
    folder = cifar10.fetch(md5=hashlib.md5(raw).hexdigest())
    assert cifar10.find(cifar10.places(None)) == folder
    assert load("cifar10").name == "cifar10"


def test_nothing_found_says_where_and_what_helps(nothing):
    with pytest.raises(FlowError, match=r"could not be downloaded.*--dataset digits"):
        load("cifar10")
    with pytest.raises(FlowError, match=r"was not found.*--dataset digits"):
        load("cifar10", nothing)
    with pytest.raises(FlowError, match=r"CIFAR-10 is not there; .*the batches .*--dataset digits"):
        load("auto", nothing)


def test_auto_falls_back_to_digits_and_says_why(nothing):
    data = load("auto")
    assert data.name == "digits" and "was not found in" in data.source
    assert str(nothing / "keras") in data.source


def test_auto_takes_digits_for_another_image_size(batches, monkeypatch):
    monkeypatch.setenv("FLOW_DATA", str(batches))
    data = load("auto", image_shape=(8, 8, 3))
    assert data.name == "digits" and "8x8x3" in data.source
    with pytest.raises(FlowError, match="8x8x3"):
        load("cifar10", image_shape=(8, 8, 3))


def test_unknown_dataset_gets_the_nearest():
    with pytest.raises(FlowError, match="did you mean 'cifar10'"):
        load("cifar-10")
    assert "auto" in DATASETS


@pytest.mark.parametrize("size", [8, 32])
def test_digits(size):
    data = load("digits", image_shape=(size, size, 3))
    assert data.x_train.shape == (1438, size, size, 3) and data.x_test.shape == (359, size, size, 3)
    assert data.x_train.dtype == np.uint8 and data.x_train.max() == 255 and data.x_train.min() == 0
    assert (data.x_train[..., 0] == data.x_train[..., 2]).all()
    assert set(data.y_test) == set(range(10))
    again = load("digits", image_shape=(size, size, 3))
    assert (again.x_test == data.x_test).all() and (again.y_test == data.y_test).all()


def test_digits_train_and_test_images_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    raw = load_digits()
    data = load("digits", image_shape=(8, 8, 1))
    assert (data.y_test == raw.target[4::5]).all()
    assert (data.x_test[..., 0] == np.rint(raw.images[4::5] * 255 / 16)).all()


def test_digits_of_an_impossible_size():
    with pytest.raises(FlowError, match="multiple of 8"):
        load("digits", image_shape=(30, 30, 3))


def test_upscale_is_linear_interpolation():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (1, 8, 8)).astype(np.uint8)
    large = digits.upscale(image, 4)
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    rows = np.stack([np.interp(at, np.arange(8), row) for row in image[0].astype(float)])
    both = np.stack([np.interp(at, np.arange(8), column) for column in rows.T]).T
    assert np.abs(large[0] - both).max() <= 0.5
    assert (digits.upscale(np.full((1, 8, 8), 200, np.uint8), 4) == 200).all()
