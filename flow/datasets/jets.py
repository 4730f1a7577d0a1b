"""hls4ml's jets: 16 features of each of 830,000 simulated jets in five classes, from a file on this machine.

J. Duarte et al., JINST 13 P07027; OpenML data set 42468, `hls4ml_lhc_jets_hlf`. No checksum of its file is known
here, so that it is not downloaded: `hls4ml_lhc_jets_hlf` with one of these endings is read from `--data`, `$FLOW_DATA`
or Keras' cache folder, and what it holds is checked:

* `.arff` or `.arff.gz`, as OpenML hands it out: the attributes `FEATURES`, in any order, and one more, the class;
* `.csv` or `.csv.gz`: the same with a line of names first;
* `.npz`: `x` with the features in the order of `FEATURES`, `y` with class names or indices.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from flow.datasets import Dataset
from flow.datasets.places import listed, places
from flow.datasets.standardize import standardized
from flow.errors import FlowError

TITLE = "hls4ml's jet data"
SAMPLES = "16 features of jets"
STEM = "hls4ml_lhc_jets_hlf"
ENDINGS = (".arff", ".arff.gz", ".csv", ".csv.gz", ".npz")
FILES = f"{STEM}, ending in {', '.join(ENDINGS)}"

FEATURES = (
    "zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt", "d2_b1_mmdt", "d2_b2_mmdt",
    "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt", "m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt", "mass_mmdt",
    "multiplicity",
)  # fmt: skip
CLASS_NAMES = ("g", "q", "t", "w", "z")
TEST_EVERY = 5


def fits(shape: tuple[int, ...]) -> bool:
    """See `DatasetModule`."""
    return shape == (len(FEATURES),)


def find(data_dir: str | Path | None) -> Path | None:
    """The first file of the name in any of the places."""
    paths = (place / f"{STEM}{ending}" for place in places(data_dir) for ending in ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def missing(data_dir: str | Path | None) -> str:
    """See `DatasetModule`."""
    return "" if find(data_dir) else listed(places(data_dir))


def where() -> str:
    """See `DatasetModule`."""
    found = find(None)
    return str(found) if found else f"not on this machine; put {STEM}.arff from openml.org/d/42468 into --data"


def load(data_dir: str | Path | None, shape: tuple[int, ...], download: bool = False) -> Dataset:
    """Reads and checks the file; every fifth jet is a test sample, features are standardized.

    Raises:
        FlowError: there is none, it cannot be read, or it does not hold what it should.
    """
    path = find(data_dir)
    if path is None:
        raise FlowError(
            f"the jets were not found in {listed(places(data_dir))}: --data takes the folder with {FILES}; "
            f"--dataset generated-jets needs no file"
        )
    try:
        x, names = _read_npz(path) if path.suffix == ".npz" else _read_text(path)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise FlowError(f"{path}: not the jets, or cut short: {' '.join(str(error).split())[:200]}") from error
    y = _class_indices(path, names)
    _check(path, x, y)
    test = np.arange(len(y)) % TEST_EVERY == TEST_EVERY - 1
    try:
        x_train, x_test = standardized(x[~test], x[test], each=True)
    except ValueError as error:
        raise FlowError(f"{path}: {FEATURES[error.args[0]]} is the same for all jets") from error
    source = f"jets: {len(y):,} jets in {path}, features standardized, every {TEST_EVERY}th a test sample"
    return Dataset("jets", x_train, y[~test], x_test, y[test], CLASS_NAMES, source)


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return archive["x"], archive["y"]


def _read_text(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features float64 [jets, 16] in the order of `FEATURES`, and class names."""
    with _opened(path) as stream:
        columns = _arff_names(stream) if ".arff" in path.suffixes else stream.readline().split(",")
        columns = [name.strip(" \t\r\n'\"").lower().removeprefix("j_") for name in columns]
        lost = [name for name in FEATURES if name not in columns]
        others = [name for name in columns if name not in FEATURES]
        if lost or len(others) != 1:
            wrong = f"column {lost[0]} is missing" if lost else f"columns {', '.join(others)} are too many"
            raise ValueError(f"{wrong}; expected {', '.join(FEATURES)} and the class")
        types = [(name, "f8" if name in FEATURES else "U16") for name in columns]
        table = np.loadtxt(stream, delimiter=",", comments="%", dtype=types, ndmin=1)
    return np.stack([table[name] for name in FEATURES], axis=1), np.char.strip(table[others[0]], " '\"")


def _arff_names(stream: TextIO) -> list[str]:
    """The attributes of an ARFF file; what follows in the stream is its data."""
    names = []
    for line in stream:
        words = line.split(None, 2)
        if words and words[0].lower() == "@attribute":
            names.append(words[1])
        elif words and words[0].lower() == "@data":
            return names
    raise ValueError("there is no @DATA")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        yield stream


def _class_indices(path: Path, names: np.ndarray) -> np.ndarray:
    """Class names, or indices already, as int64 indices."""
    if names.dtype.kind in "iu":
        indices = names.astype(np.int64)
        wrong = names[(indices < 0) | (indices >= len(CLASS_NAMES))]
    else:
        indices = np.searchsorted(CLASS_NAMES, names.astype(str)).clip(0, len(CLASS_NAMES) - 1)
        wrong = names[np.array(CLASS_NAMES)[indices] != names.astype(str)]
    if wrong.size:
        raise FlowError(f"{path}: a jet's class is {wrong.flat[0]}; the classes are {', '.join(CLASS_NAMES)}")
    return indices.astype(np.int64)


def _check(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or x.shape[1] != len(FEATURES) or x.dtype.kind not in "fiu" or y.shape != (len(x),):
        raise FlowError(
            f"{path}: features have shape {x.shape} and type {x.dtype}, classes {y.shape}; "
            f"expected (jets, {len(FEATURES)}) numbers and (jets,)"
        )
    if not np.isfinite(x).all():
        raise FlowError(f"{path}: a feature is not a finite number")
    if len(np.unique(y)) != len(CLASS_NAMES):
        raise FlowError(f"{path}: holds jets of {len(np.unique(y))} classes, not of {len(CLASS_NAMES)}: cut short?")
