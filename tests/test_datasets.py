"""Datasets: found, verified, refused when they are not what they should be. No network."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import pickle
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from flow.datasets import DATASETS, cifar10, content_digest, digits, jets, load, resolve
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
    monkeypatch.delenv("FLOW_OFFLINE")

    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
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
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_a, **_k: io.BytesIO(raw))
    with pytest.raises(FlowError, match="not used"):
        cifar10.fetch()
    assert cifar10.batches_in(cifar10.places(None)) is None
    folder = cifar10.fetch(md5=hashlib.md5(raw).hexdigest())
    assert cifar10.batches_in(cifar10.places(None)) == folder
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


def test_auto_downloads_what_fits_first(batches, nothing, monkeypatch, capsys):
    raw = archive(batches, nothing)
    md5, right = hashlib.md5(raw).hexdigest(), cifar10.fetch
    asked = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_a, **_k: asked.append(1) or io.BytesIO(raw))
    monkeypatch.setattr(cifar10, "fetch", lambda: right(md5=md5))
    assert resolve("auto", None, (8, 8, 3)) == "digits" and not asked
    assert resolve("auto", nothing, (32, 32, 3)) == "digits" and not asked, "a folder was given"
    assert resolve("auto", None, (32, 32, 3), download=False) == "digits" and not asked
    assert resolve("auto", None, (32, 32, 3)) == "cifar10" == load("auto").name
    assert len(asked) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("CIFAR-10 is not on this machine: downloading ")


def test_without_a_network_auto_says_so_once(nothing, capsys):
    assert resolve("auto", None, (32, 32, 3)) == "digits" == load("auto").name
    said = capsys.readouterr().err
    assert said.count("could not be downloaded") == said.count("going on without it") == 1


def test_nothing_is_downloaded_where_one_says_so(nothing, monkeypatch, capsys):
    monkeypatch.setenv("FLOW_OFFLINE", "1")
    assert load("auto").name == "digits"
    with pytest.raises(FlowError, match="was not found"):
        load("cifar10")
    assert not capsys.readouterr().err


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


def test_digits_with_a_border():
    large, bordered = (load("digits", image_shape=(size, size, 1)).x_test for size in (24, 28))
    assert (bordered[:, 2:26, 2:26] == large).all()
    assert bordered.sum(dtype=np.int64) == large.sum(dtype=np.int64)


def test_upscale_is_linear_interpolation():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (1, 8, 8)).astype(np.uint8)
    large = digits.upscale(image, 4)
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    rows = np.stack([np.interp(at, np.arange(8), row) for row in image[0].astype(float)])
    both = np.stack([np.interp(at, np.arange(8), column) for column in rows.T]).T
    assert np.abs(large[0] - both).max() <= 0.5
    assert (digits.upscale(np.full((1, 8, 8), 200, np.uint8), 4) == 200).all()


# Generated data


@pytest.mark.parametrize(("name", "shape"), [("jets", (16,)), ("sounds", (640,)), ("keywords", (49, 10, 1))])
def test_generated_data_are_the_same_every_time_and_say_what_they_are(name, shape):
    data, again = (load(f"generated-{name}", image_shape=shape) for _ in range(2))
    assert data.x_train.shape[1:] == data.x_test.shape[1:] == shape and data.x_train.dtype == np.float32
    assert (data.x_train == again.x_train).all() and (data.y_test == again.y_test).all()
    assert "GENERATED data" in data.source and data.name == f"generated-{name}"
    assert set(data.y_test) == set(range(len(data.class_names)))
    assert abs(float(data.x_train.mean())) < 1e-3 and abs(float(data.x_train.std()) - 1) < 1e-2
    assert set(data.y_train) == ({0} if name == "sounds" else set(data.y_test))


# Jets


def jet_table(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(5, 3, (count, 16)).astype(np.float32), np.arange(count) % 5


def as_text(x: np.ndarray, y: np.ndarray, header: str) -> str:
    """Rows with the class first and the features in reverse order: names decide, not places."""
    rows = [",".join([f"'{jets.CLASS_NAMES[k]}'", *map(repr, map(float, row[::-1]))]) for row, k in zip(x, y)]
    return header + "\n".join(rows) + "\n"


NAMES = ["class", *reversed(jets.FEATURES)]
ARFF = "% a comment\n@RELATION jets\n\n" + "".join(
    f"@ATTRIBUTE {name} {'{g,q,t,w,z}' if name == 'class' else 'REAL'}\n" for name in NAMES
) + "\n@DATA\n"  # fmt: skip
CSV = ",".join(f"j_{name}" if name != "class" else name for name in NAMES) + "\n"


def write_jets(folder: Path, ending: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = jet_table()
    path = folder / f"{jets.STEM}{ending}"
    if ending == ".npz":
        np.savez(path, x=x, y=np.array(jets.CLASS_NAMES)[y])
    else:
        text = as_text(x, y, ARFF if ".arff" in ending else CSV).encode()
        path.write_bytes(gzip.compress(text) if ending.endswith(".gz") else text)
    return x, y


@pytest.mark.parametrize("ending", jets.ENDINGS)
def test_jets_are_read_in_every_format(nothing, ending):
    x, y = write_jets(nothing, ending)
    data = load("auto", nothing, (16,))
    assert data.name == "jets" and str(nothing) in data.source
    assert (data.y_test == y[4::5]).all() and len(data.y_train) == 48
    train = np.delete(x, np.s_[4::5], axis=0).astype(np.float64)
    np.testing.assert_allclose(data.x_test, (x[4::5] - train.mean(axis=0)) / train.std(axis=0), rtol=1e-4, atol=1e-5)
    assert load("jets", nothing, (16,)).class_names == ("g", "q", "t", "w", "z")


def test_another_file_of_jets_is_another_dataset_to_a_build(nothing):
    from flow.pipeline.config import BuildConfig
    from flow.pipeline.subject import subject_of

    settings = []
    for ending in (".arff", ".csv"):
        write_jets(nothing, ending)
        settings.append(subject_of(BuildConfig(model="jets", data=nothing)).settings())
        (nothing / f"{jets.STEM}{ending}").unlink()
    first, second = settings
    assert first["dataset"] == second["dataset"] == "jets" and first["data"] != second["data"]
    assert content_digest("digits", nothing) is None


def test_without_jets_there_is_generated_data_and_it_says_so(nothing):
    data = load("auto", image_shape=(16,))
    assert data.name == "generated-jets"
    assert "jet data was not found in" in data.source and "GENERATED data, no jets" in data.source
    with pytest.raises(FlowError, match=r"not found in .*--dataset generated-jets"):
        load("jets", image_shape=(16,))
    with pytest.raises(FlowError, match=r"is not there; .*hls4ml_lhc_jets_hlf.*or --dataset generated-jets"):
        load("auto", nothing, (16,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("multiplicity", "number"), "column multiplicity is missing"),
        (lambda text: text.replace("'w'", "'h'"), "class is h; the classes are g, q, t, w, z"),
        (lambda text: text[:-30], "not the jets, or cut short"),
        (lambda text: text.replace("@DATA", "@DTA"), "there is no @DATA"),
        (lambda text: text[: text.index("'q'")], "jets of 1 classes, not of 5"),
        (lambda text: text.replace("'q',", "'q',nan,0*", 1).replace("0*", ""), "not the jets|not a finite number"),
    ],
)
def test_a_file_that_is_not_the_jets_is_refused(nothing, change, message):
    (nothing / f"{jets.STEM}.arff").write_text(change(as_text(*jet_table(), ARFF)))
    with pytest.raises(FlowError, match=message) as caught:
        load("jets", nothing, (16,))
    assert str(nothing) in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((10, 15)), "y": np.arange(10) % 5}, r"shape \(10, 15\)"),
        ({"x": np.zeros((10, 16)), "y": np.arange(10)}, "class is 5"),
        ({"x": np.full((10, 16), np.inf), "y": np.arange(10) % 5}, "not a finite number"),
        ({"x": np.ones((10, 16)), "y": np.arange(10) % 5}, "zlogz is the same for all jets"),
        ({"features": np.ones((10, 16))}, "not the jets"),
    ],
)
def test_arrays_that_are_not_the_jets_are_refused(nothing, arrays, message):
    np.savez(nothing / f"{jets.STEM}.npz", **arrays)
    with pytest.raises(FlowError, match=message):
        load("jets", nothing, (16,))
