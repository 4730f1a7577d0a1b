"""Processes that share a study: each network, and each float start, is trained by one of them."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from flow.boards import find_board
from flow.datasets import load
from flow.isocost import subject as isocost
from flow.isocost.arms import NOT_WIDENED, Folders, Recipe, plan
from flow.isocost.solve import Equal
from flow.study.hardware import Hardware
from flow.study.left import TimeLeft
from flow.study.loop import Study
from flow.study.table import Results
from flow.training import run
from flow.training.progress import Silent
from flow.training.run import Trained
from keras_models import MODELS

TINY, ROOT = MODELS["tiny"], Path(__file__).parents[1]
SECONDS = 0.2

#: makes a file unless it is there; says what it does, and goes on when it is told to
SCRIPT = """
import sys
from pathlib import Path
from flow.training.claim import once

made = Path(sys.argv[1]) / "made"

def say(text):
    print(text, flush=True)

def find():
    return made if made.is_file() else None

def make():
    say("makes")
    sys.stdin.readline()
    made.write_text(sys.argv[2])
    return made

once(made.parent, "start", find, make, say)
say("has " + made.read_text())
"""


def process(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(folder), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("killed", [False, True])
def test_what_two_processes_need_is_made_by_one(killed, tmp_path):
    """The other says once that it waits, and takes it; where the first is killed, it makes it."""
    with process(tmp_path, "a") as first:
        assert first.stdout.readline() == "makes\n"
        with process(tmp_path, "b") as second:
            assert second.stdout.readline() == "start: another process makes it; this one waits\n"
            if killed:
                first.kill()
                assert second.communicate("\n")[0] == "makes\nhas b\n"
            else:
                assert first.communicate("\n")[0] == "has a\n"
                assert second.communicate()[0] == "has a\n"


def at_once(*calls) -> None:
    """In threads; a lock file keeps threads apart as it does processes."""
    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(call) for call in calls]:
            done.result()


class Slow:
    """Stands for a training; counts."""

    def __init__(self, trained) -> None:
        self.trained, self.count = trained, 0

    def __call__(self, *given):
        self.count += 1
        time.sleep(SECONDS)
        return self.trained


@pytest.fixture
def train_float():
    config = isocost.float_config(TINY, "digits", 1, 0)
    history, scores = [{"seconds": 1.0}], {"accuracy": 0.5}
    return Slow(Trained(TINY, TINY.build_float(), "digits", config, history, scores, 10, teacher_sha256="t"))


def test_networks_of_one_shape_share_a_float_start(train_float, tmp_path, monkeypatch):
    """Two processes with one network each: a second start would overwrite the one that the first network is of."""
    monkeypatch.setattr(isocost, "train_float", train_float)
    monkeypatch.setattr(isocost, "weights_in", lambda path: "t")
    monkeypatch.setattr(isocost, "load_checkpoint", lambda path: (path, None))
    starts = []
    monkeypatch.setattr(isocost, "train_quantized", lambda spec, bits, data, start, *rest: starts.append(start))
    board, folders = find_board("pynq-z2"), Folders(tmp_path, "bytes")
    equal = Equal.of("bytes", TINY, 4, board, 2048)
    arms = plan(TINY, TINY, [1, 4], equal, board, 1)
    alike = [arm for arm in arms if arm.spec.name == TINY.name]
    assert [arm.group == NOT_WIDENED for arm in alike] == [False, True]
    subject = isocost.EqualCost(
        arms, load("digits", image_shape=TINY.input_shape), Hardware(2048, 5), Silent(), equal,
        tmp_path / "teacher.h5", Recipe(1, 1, 3), folders, None, "flow isocost",
    )  # fmt: skip
    at_once(*(lambda arm=arm: subject.train(arm) for arm in alike))
    assert train_float.count == 1 and starts == 2 * [tmp_path / "seed-0" / "tiny-digits-float.h5"]


def test_a_start_for_all_is_trained_once(train_float, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "train_float", train_float)
    data = load("digits", image_shape=TINY.input_shape)
    at_once(*(lambda: run.float_checkpoint(TINY, data, tmp_path) for _ in range(2)))
    assert train_float.count == 1 and run.find_float(TINY, "digits", tmp_path) == tmp_path / "tiny-digits-float.h5"


class Subject:
    """Two networks, whose weights are empty files."""

    def __init__(self, folder: Path) -> None:
        self.results_folder, self.trained = folder, []
        self.arms = [SimpleNamespace(name=name, spec=TINY) for name in ("first", "second")]

    def place(self, arm) -> Path:
        return self.results_folder

    def command(self, arm) -> str:
        return ""

    def finished(self, arm) -> Path | None:
        path = self.results_folder / arm.name
        return path if path.is_file() else None

    def train(self, arm):
        self.trained.append(arm.name)
        time.sleep(SECONDS)

        def save(command: str, place: Path) -> Path:
            (place / arm.name).touch()
            return place / arm.name

        return SimpleNamespace(accuracy=0.5, test_images=10, save=save)

    def row(self, arm, checkpoint: Path, report):
        return arm.name

    def results(self, rows) -> Results:
        return Results("found", Trained, {"rows": []}, ", ".join(rows), {})


def test_one_study_in_two_processes_trains_each_network_once(tmp_path, monkeypatch):
    for asked_of_builds in ("kept", "failure"):
        monkeypatch.setattr(f"flow.study.loop.{asked_of_builds}", lambda *given: None)
    subject, told = Subject(tmp_path), []
    recipe = SimpleNamespace(parts=lambda arm: {arm.name: 1})

    def train() -> None:
        Study(subject, told.append).train(subject.arms, TimeLeft(Silent(), recipe, subject.arms, 1))

    at_once(train, train)
    assert subject.trained == ["first", "second"] and (tmp_path / "found.md").read_text() == "first, second"
    assert any("another process makes it" in text for text in told)
