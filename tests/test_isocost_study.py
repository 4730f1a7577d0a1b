"""A study of equal cost on a small network: trained in two goes, refused to another recipe, built."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flow.bits import BitsSpec
from flow.boards import find_board
from flow.cli.isocost import isocost
from flow.datasets import load
from flow.errors import FlowError
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, Arm, Folders, Recipe, plan, reference
from flow.isocost.rows import read_row
from flow.isocost.solve import Equal, one_width
from flow.isocost.subject import EqualCost, base_teacher
from flow.pipeline.build import stage_folder
from flow.report import REPORT
from flow.report import load as load_report
from flow.search.synthesized import Synthesized
from flow.study.hardware import Hardware
from flow.study.left import TimeLeft, work
from flow.training.checkpoints import read_meta
from flow.training.config import TrainConfig
from flow.training.progress import EpochRecord, Silent
from flow.training.run import train_float
from keras_models import MODELS

BOARD, TINY = find_board("pynq-z2"), MODELS["tiny"]


def call(*arguments: str):
    app = typer.Typer()
    app.command()(isocost)
    return CliRunner().invoke(app, list(arguments))


#: a common cost of a network of 4 bits
OPTIONS = ["--model", "tiny", "--dataset", "digits", "--bits", "1,4", "--share", "0.33", "--cycles", "2048"]
OPTIONS += ["--float-epochs", "1", "--search-epochs", "1", "--epochs", "3"]


def rows_of(place: Path) -> dict[tuple[str, str], dict]:
    """By network and kind."""
    rows = json.loads((place / "bytes" / "isocost.json").read_text())["rows"]
    return {(row["network"], row["group"]): row for row in rows}


def networks() -> list[Arm]:
    first = reference(TINY, 0.33)
    return plan(TINY, first, [1, 4], Equal.of("bytes", first, 4, BOARD, 2048), BOARD, 1, [4])


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """A study that was trained, first one network of it and then the others."""
    place = tmp_path_factory.mktemp("study")
    data = load("digits", image_shape=TINY.input_shape)
    train_float(TINY, data, TrainConfig(epochs=1, batch=32, learning_rate=0.05)).save("flow train --float", place)
    first = call(*OPTIONS, "--out", str(place), "--only", networks()[1].name)
    assert first.exit_code == 0 and "1 of 1 networks trained, about 0:00 left" in first.output, first.output
    assert len(json.loads((place / "bytes" / "isocost.json").read_text())["rows"]) == 1
    done = call(*OPTIONS, "--out", str(place))
    assert done.exit_code == 0 and "3 of 3 networks trained, about 0:00 left" in done.output, done.output
    return place


def test_a_plan_trains_nothing_and_says_how_long_it_takes(tmp_path):
    planned = call(*OPTIONS, "--out", str(tmp_path), "--plan")
    assert planned.exit_code == 0 and "100.0%" in planned.output and not list(tmp_path.iterdir())
    assert "training takes about" in planned.output and all(arm.name in planned.output for arm in networks())
    wrong = call(*OPTIONS, "--out", str(tmp_path), "--plan", "--only", "tiny-w9-seed-0")
    assert "unknown network 'tiny-w9-seed-0'" in str(wrong.exception)


def test_time_left_is_by_the_networks_sizes_and_then_by_the_pace():
    arms, recipe = networks(), Recipe(1, 1, 2)
    each = work(recipe, arms, 1000)
    outputs = sum(layer.macs // (layer.weights // layer.out_channels) for layer in arms[0].spec.weight_layers())
    assert each[arms[0].name] == 3 * (arms[0].spec.macs + 46 * outputs) * 1000 * 3
    assert each[arms[2].name] == 2 * each[arms[1].name] / 3, "the mixed network has the start of the one beside it"
    left = TimeLeft(Silent(), recipe, arms[:1], 1000)
    left.begin(arms[0])
    left.on_epoch(EpochRecord(1, 2, 0.0, 0.0, 0.0, 0.0, seconds=60.0, seconds_left=60.0))
    assert left.text == "about 2:00 left"
    left.end()
    assert left.text == "about 0:00 left"
    left = TimeLeft(Silent(), Recipe(10, 5, 20), arms[:1], 1000)
    left.begin(arms[0])
    left.on_epoch(EpochRecord(10, 10, 0.0, 0.0, 0.0, 0.0, seconds=60.0, seconds_left=0.0))
    assert left.text == "about 20:00 left", "nine epochs had been done before"
    left.on_epoch(EpochRecord(1, 20, 0.0, 0.0, 0.0, 0.0, seconds=60.0, seconds_left=0.0))
    assert left.text == "about 19:00 left"


def test_a_study_trains_and_goes_on(studied):
    results = studied / "bytes"
    found = json.loads((results / "isocost.json").read_text())
    assert [(r["group"], r["weights"]) for r in found["rows"]] == [
        (ONE_WIDTH, "1"), (ONE_WIDTH, "4"), (MIXED, "mixed"), (NOT_WIDENED, "1"),
    ]  # fmt: skip
    assert all(r["share"] <= 1.02 for r in found["rows"]) and len(found["gains"]) == 1
    assert all(r["share"] >= 0.98 for r in found["rows"] if r["group"] != NOT_WIDENED)
    assert found["command"].startswith("flow isocost --model tiny --bits 1,4") and found["dataset"] == "digits"
    assert found["recipe"] == {"float_epochs": 1, "search_epochs": 1, "epochs": 3} and found["tolerance"] == 0.02
    assert found["teacher"]["sha256"] == read_meta(studied / "tiny-digits-float.h5").sha256
    plot = (results / "accuracy.svg").read_bytes()
    again = call(*OPTIONS, "--out", str(studied))
    assert again.exit_code == 0, again.output
    assert (results / "accuracy.svg").read_bytes() == plot
    assert "epochs from the float" not in again.output and "network 1" not in again.output
    assert (results / "isocost.md").read_text() in again.output
    mixed = results / networks()[2].name
    assert {"bits.yaml", "search.json", "widths.svg"} <= {path.name for path in mixed.iterdir()}
    assert not list(studied.rglob("*.state")), "nothing is left of what was finished"
    for arm in networks():
        bits = arm.bits or BitsSpec.load(TINY, mixed / "bits.yaml")
        meta = read_meta(Folders(studied, "bytes").checkpoint(arm, "digits", bits))
        command = meta.command
        assert meta.config.frozen_epochs == 0 and meta.config.precise_statistics, "and not the recipe's two"
        assert command.startswith("flow isocost --model tiny --bits 1,4 --equal bytes --share 0.33 --cycles 2048")
        assert command.endswith(f"--float-epochs 1 --search-epochs 1 --epochs 3 --only {arm.name}")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (("--epochs", "4"), ".h5: was trained with another epochs"),
        (("--float-epochs", "2"), "-float.h5: was trained with another epochs"),
        (("--search-epochs", "2"), "bits.yaml: was searched with another epochs"),
    ],
)
def test_another_recipe_in_one_folder_is_refused(studied, changed, what):
    """It would overwrite what the first has trained."""
    before = {file: file.read_bytes() for file in studied.rglob("*.h5")}
    refused = call(*OPTIONS, *changed, "--out", str(studied))
    assert isinstance(refused.exception, FlowError), refused.output
    assert what in str(refused.exception) and "take another --out" in str(refused.exception)
    assert before == {file: file.read_bytes() for file in studied.rglob("*.h5")}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (("--mixed", "none"), "wmixed-seed-0: --bits, --share"),
        (("--cycles", "4096"), "of a study with cycles 2048 and not 4096; take another --out"),
        (("--board", "arty-a7-100"), "of a study with board pynq-z2 and not arty-a7-100; take another --out"),
    ],
)
def test_a_table_of_another_study_is_not_replaced(studied, changed, what):
    table = studied / "bytes" / "isocost.json"
    before = table.read_bytes()
    refused = call(*OPTIONS, *changed, "--out", str(studied))
    assert isinstance(refused.exception, FlowError) and what in str(refused.exception)
    assert table.read_bytes() == before


def test_another_teacher_in_one_folder_is_refused(studied, tmp_path):
    place = shutil.copytree(studied, tmp_path / "study")
    data = load("digits", image_shape=TINY.input_shape)
    train_float(TINY, data, TrainConfig(epochs=1, batch=32, learning_rate=0.01)).save("flow train --float", place)
    refused = call(*OPTIONS, "--out", str(place))
    assert "was trained with another teacher; take another --out" in str(refused.exception)


def test_mixed_widths_of_equal_luts_are_chosen_again_by_synthesis(studied, tmp_path, monkeypatch):
    """The cost model errs at the widths that it led to; what it may take is what 4 bits do by synthesis."""
    place, told, first = shutil.copytree(studied, tmp_path / "study"), [], reference(TINY, 0.33)
    equal = Equal.of("luts", first, 4, BOARD, 2048)
    four_bits = 1.04 * equal.target

    def luts(spec, bits, cycles, tell) -> float:
        return four_bits if bits == one_width(first, 4) else 1.15 * equal.cost(spec, bits)

    monkeypatch.setattr("flow.search.synthesized.measured_luts", luts)
    arm, synthesized = Arm(MIXED, first, None, MIXED, 0, 4), Synthesized(tmp_path / "luts.json", told.append)
    subject = EqualCost(
        [arm], load("digits", image_shape=TINY.input_shape), Hardware(equal.cycles, 5), Told(told), equal,
        place / "tiny-digits-float.h5", Recipe(1, 1, 3), Folders(place, "luts"), synthesized, "flow isocost",
    )  # fmt: skip
    assert subject.train(arm).save(subject.command(arm), subject.place(arm)) == subject.finished(arm)
    again = [text for text in told if "chosen once more" in text]
    assert float(again[0].split()[2].rstrip("%")) > 105
    taken = synthesized.known(first, subject.widths(arm), equal.cycles)
    assert 0.975 < taken / four_bits <= 1
    row = read_row(arm, subject.widths(arm), equal, subject.finished(arm), None, taken)
    assert row.share == taken / equal.target and row.measured_share is None


def test_resnet8_teaches_other_networks_of_its_classes(tmp_path, monkeypatch):
    """Its float network comes with the project; what is in the study's folder goes before it."""
    monkeypatch.setattr("flow.isocost.subject.float_checkpoint", lambda spec, *rest: Path(f"{spec.name}'s own"))
    digits, told = load("digits", image_shape=TINY.input_shape), []
    photographs = replace(digits, name="cifar10")

    def teacher(name: str, data) -> str:
        return base_teacher(MODELS[name], data, tmp_path, Told(told)).name

    assert teacher("mobilenet", photographs) == "resnet8-cifar10-float.h5"
    assert "teacher: " in told[0] and "on the test samples" in told[0]
    assert teacher("mobilenet", digits) == "mobilenet's own"
    assert teacher("lenet", photographs) == "lenet's own", "of another shape"
    for suffix in (".h5", ".json"):
        (tmp_path / f"mobilenet-cifar10-float{suffix}").touch()
    assert teacher("mobilenet", photographs) == "mobilenet's own"


class Told(Silent):
    """Keeps messages."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def on_message(self, text: str) -> None:
        self._texts.append(text)


def test_a_network_is_built_and_its_figures_stay(studied):
    """One of 1-bit weights, in the first and the last layer too, exact from Keras to RTL; figures outlast the build."""
    arm = next(arm for arm in networks() if arm.group == NOT_WIDENED)
    options = [*OPTIONS, "--out", str(studied), "--only", arm.name, "--images", "5"]
    built = call(*options, "--hardware")
    assert built.exit_code == 0, built.output
    rows, folder = rows_of(studied), Folders(studied, "bytes").build(arm, 2048)
    row, report = rows[arm.spec.name, arm.group], load_report(stage_folder(folder, "report") / REPORT)
    weights = {w.name: w.weights for w in arm.spec.weight_layers()}
    assert set(report.bits.weights.values()) == {1}
    assert row["bytes"] == sum(weights.values()) / 8
    assert row["macs"] == report.macs
    # the last layer reads the sum of a pool, which has more than 8 bits
    operations = (w.macs * w.weight_bits * min(w.input_bits, 8) for w in report.work.values())
    assert row["bit_operations"] == sum(operations)
    assert (row["differing"], row["images"], report.is_exact) == (0, 5, True)
    assert row["deployed"] == report.accuracy.deployed and row["fits"] and row["within"] is None, "it is to cost less"
    assert row["lut"] == report.resources.total.luts_used and row["dsp"] == report.resources.total.dsp
    assert row["interval_cycles"] == report.latency.interval_cycles <= 2048 + 24
    assert row["measured_share"] == pytest.approx(row["share"])
    shutil.rmtree(folder)
    assert not list(studied.rglob("report.json")), "what is kept is not taken for a build of its own"
    again = call(*options, "--hardware")
    assert again.exit_code == 0 and again.output.count("built before") == 1
    assert rows_of(studied) == rows
