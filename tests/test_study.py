"""`flow study`: arms, resuming, results."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import typer
from reports import PLAIN
from typer.testing import CliRunner

from flow.bits import BitsSpec
from flow.cli.study import study
from flow.datasets import load
from flow.errors import FlowError
from flow.keras_env import keras
from flow.pipeline.build import Built
from flow.report import check
from flow.selection import chosen
from flow.study.arms import ARMS
from flow.study.build import build_arm
from flow.study.plot import accuracy_plot, lut_plot
from flow.study.results import Row, gains, markdown, read_rows
from flow.study.train import recipe
from flow.training.checkpoints import checkpoint_dir, read_meta
from flow.training.config import TrainConfig
from flow.training.run import Trained, train_float
from keras_models import MODELS
from keras_models.ranges import Ranges

RESULTS = Path(__file__).resolve().parent.parent / "results"


def call(*arguments: str):
    app = typer.Typer()
    app.command()(study)
    return CliRunner().invoke(app, ["--model", "tiny", "--dataset", "digits", *arguments])


def row(quantizer: str, seed: int, accuracy: float, lut: float | None = None, bits: int = 2) -> Row:
    interval = None if lut is None else 100
    return Row(f"{quantizer}-{seed}", bits, quantizer, seed, 1, accuracy, 100, 1.0, lut, interval, 0, 5)


def test_the_arms_are_those_of_the_comparison():
    found = {(arm.bits, arm.quantizer, arm.seed) for arm in ARMS}
    assert len(found) == len(ARMS) == 12
    assert {(b, q, 0) for b in (2, 3, 4) for q in ("n2uq", "uniform")} < found
    assert {(2, q, s) for q in ("n2uq", "uniform", "n2uq-thresholds", "n2uq-weights") for s in (0, 1)} < found
    assert {arm.bits for arm in ARMS if arm.hardware} == {2, 3, 4}
    with pytest.raises(FlowError, match="unknown arm 'n2uq-w2a2-seed-9': did you mean 'n2uq-w"):
        chosen(ARMS, "n2uq-w2a2-seed-9", "arm")
    with pytest.raises(FlowError, match="names no arm"):
        chosen(ARMS, " ,", "arm")


def test_gains_are_differences_of_equal_seeds_and_their_spread():
    rows = [row("uniform", 0, 0.70, 1000), row("uniform", 1, 0.71), row("n2uq", 0, 0.73, 1050), row("n2uq", 1, 0.76),
            row("n2uq-weights", 1, 0.72), row("n2uq", 0, 0.9, bits=3)]  # fmt: skip
    both, weights = gains(rows)
    assert both.seeds == (0, 1) and both.points == pytest.approx(4.0)
    assert both.by_seed == pytest.approx((3.0, 5.0)) and both.spread == pytest.approx(3.0)
    assert both.lut_ratio == pytest.approx(1.05)
    assert weights.seeds == (1,) and weights.points == pytest.approx(1.0) and weights.spread is None
    assert "+4.00 points" in markdown(rows) and "1.050" in markdown(rows)


def test_plots_show_what_there_is():
    rows = [row("uniform", 0, 0.70), row("n2uq", 0, 0.73)]
    assert accuracy_plot(rows).count("<svg") == 1
    built = [row("uniform", 0, 0.70, 1000), row("n2uq", 0, 0.73, 1050), row("n2uq-weights", 0, 0.72)]
    text = lut_plot(built)
    assert text.count("2 bits") == 2 and "n2uq-weights" not in text and "n2uq" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "autoencoder"], "autoencoder: a study compares accuracies"),
        (["--hardware", "--only", "n2uq-w2a2-seed-1"], "none of these is built with --hardware"),
        (["--only", "uniform"], "unknown arm 'uniform'"),
        (["--model", "tinny"], "did you mean 'tiny'"),
    ],
)
def test_what_a_study_cannot_do_is_said_before_training(arguments, message, tmp_path):
    found = call(*arguments, "--out", str(tmp_path))
    assert isinstance(found.exception, FlowError) and message in str(found.exception)
    assert not any(tmp_path.iterdir())


def test_a_build_is_of_these_weights(tmp_path, monkeypatch):
    """The study builds with the weights it trained, and takes no report of others."""
    given, told = [], []

    def build(config, folder, reporter):
        given.append(config)
        report = folder / "8_report" / "report.json"
        report.parent.mkdir(parents=True)
        report.write_text(json.dumps(PLAIN))
        return Built(folder, {}, 1.0)

    monkeypatch.setattr("flow.study.build.build", build)
    arm, tiny = chosen(ARMS, "n2uq-w2a2-seed-0", "arm")[0], MODELS["tiny"]
    config = recipe(tiny, "digits", 1, 0)
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        bits = BitsSpec.uniform(tiny, 2)
        model = tiny.build_quantized(bits, quantizer="n2uq")
        trained = Trained(tiny, model, "digits", config, [{"seconds": 2.0}], {"accuracy": 0.5}, 10, bits,
                          Ranges.default(tiny, bits), "n2uq")  # fmt: skip
        path = trained.save("flow study", tmp_path / "seed-0")
        if seed == 0:
            assert read_rows(tiny, "digits", 1, tmp_path, told.append)[0].lut is None
            build_arm(arm, path, tmp_path, "tiny", "digits", None, 4000, 50, None)
            (row,) = read_rows(tiny, "digits", 1, tmp_path, told.append)
            assert row.lut == check(PLAIN).resources.total.luts_used and row.seconds_an_epoch == 2.0 and not told
    (config,) = given
    assert (config.checkpoint, config.quantizer, config.bits, config.images) == (path, "n2uq", "2", 50)
    assert config.max_cycles == 4000 and not config.route
    (row,) = read_rows(tiny, "digits", 1, tmp_path, told.append)
    assert row.lut is None and "is of other weights" in told[0]


def test_the_committed_study_is_of_its_checkpoints():
    folder = RESULTS / "n2uq-study-cifar10"
    found = read_rows(MODELS["resnet8"], "cifar10", 15, folder, pytest.fail)
    assert [asdict(row) for row in found] == json.loads((folder / "study.json").read_text())["rows"]
    assert markdown(found) == (folder / "study.md").read_text()
    for bits in (2, 3, 4):
        name = f"resnet8-cifar10-n2uq-w{bits}a{bits}.h5"
        shipped, arm = (read_meta(place / name).sha256 for place in (checkpoint_dir(), folder / "seed-0"))
        assert shipped == arm


def test_a_study_trains_resumes_and_writes_what_it_found(tmp_path):
    tiny, data = MODELS["tiny"], load("digits", image_shape=MODELS["tiny"].input_shape)
    train_float(tiny, data, TrainConfig(epochs=1, batch=32, learning_rate=0.05)).save("flow train --float", tmp_path)
    options = ("--epochs", "1", "--out", str(tmp_path))
    first = call(*options, "--only", "uniform-w2a2-seed-0")
    assert first.exit_code == 0, first.output
    second = call(*options, "--only", "n2uq-w2a2-seed-0")
    assert second.exit_code == 0, second.output
    both = call(*options, "--only", "uniform-w2a2-seed-0,n2uq-w2a2-seed-0")
    assert both.exit_code == 0, both.output
    assert "tiny at w2a2" in first.output and "epoch" not in both.output
    meta = read_meta(tmp_path / "seed-0" / "tiny-digits-n2uq-w2a2.h5")
    assert meta.quantizer == "n2uq" and meta.label == "n2uq-w2a2"
    assert meta.command == "flow train --model tiny --bits 2 --quantizer n2uq --dataset digits --epochs 1 --seed 0"
    found = json.loads((tmp_path / "study.json").read_text())
    assert [entry["arm"] for entry in found["rows"]] == ["n2uq-w2a2-seed-0", "uniform-w2a2-seed-0"]
    assert len(found["gains"]) == 1
    with (tmp_path / "study.csv").open() as file:
        assert [float(entry["accuracy"]) for entry in csv.DictReader(file)] == [e["accuracy"] for e in found["rows"]]
    assert (tmp_path / "accuracy.svg").read_text().count("<svg") == 1
    other = call("--epochs", "2", "--out", str(tmp_path), "--only", "n2uq-w2a2-seed-0")
    assert isinstance(other.exception, FlowError) and "another epochs" in str(other.exception)
    description = tmp_path / "seed-0" / "tiny-digits-n2uq-w2a2.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"start_sha256": "0" * 64}))
    other = call(*options, "--only", "uniform-w2a2-seed-0")
    assert isinstance(other.exception, FlowError) and "started from different float networks" in str(other.exception)
