"""`flow study`: arms, resuming, results."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import typer
from reports import PLAIN, changed
from rich.console import Console
from typer.testing import CliRunner

from flow.bits import BitsSpec
from flow.cli.study import study
from flow.datasets import load
from flow.errors import CheckFailed, FlowError
from flow.keras_env import keras
from flow.n2uq_study.arms import plan
from flow.n2uq_study.plot import accuracy_plot, lut_plot
from flow.n2uq_study.rows import Row, gains, markdown
from flow.n2uq_study.subject import Thresholds
from flow.pipeline.build import Built
from flow.pipeline.reporter import Reporter
from flow.report import check
from flow.selection import chosen
from flow.study.hardware import Hardware, build_arm
from flow.study.loop import Study
from flow.study.subject import recipe
from flow.training.checkpoints import checkpoint_dir, read_meta
from flow.training.config import TrainConfig
from flow.training.progress import Silent
from flow.training.run import Trained, train_float
from keras_models import MODELS
from keras_models.ranges import Ranges

TINY = MODELS["tiny"]
RESULTS = Path(__file__).resolve().parent.parent / "results"


def call(*arguments: str):
    app = typer.Typer()
    app.command()(study)
    return CliRunner().invoke(app, ["--model", "tiny", "--dataset", "digits", *arguments])


def subject(folder: Path, model: str = "tiny", dataset: str = "digits", epochs: int = 1, **hardware) -> Thresholds:
    data = replace(load("digits", image_shape=TINY.input_shape), name=dataset)
    return Thresholds(plan(MODELS[model]), data, Hardware(**hardware), Silent(), epochs, folder)


def row(quantizer: str, seed: int, accuracy: float, lut: float | None = None, bits: int = 2) -> Row:
    interval = None if lut is None else 100
    return Row(f"{quantizer}-{seed}", bits, quantizer, seed, 1, accuracy, 100, 1.0, lut, interval, 0, 5)


def test_the_arms_are_those_of_the_comparison():
    arms = plan(TINY)
    found = {(arm.bits, arm.quantizer, arm.seed) for arm in arms}
    assert len(found) == len(arms) == 12
    assert {(b, q, 0) for b in (2, 3, 4) for q in ("n2uq", "uniform")} < found
    assert {(2, q, s) for q in ("n2uq", "uniform", "n2uq-thresholds", "n2uq-weights") for s in (0, 1)} < found
    assert {arm.bits for arm in arms if arm.hardware} == {2, 3, 4}
    with pytest.raises(FlowError, match="unknown arm 'n2uq-w2a2-seed-9': did you mean 'n2uq-w"):
        chosen(arms, "n2uq-w2a2-seed-9", "arm")
    with pytest.raises(FlowError, match="names no arm"):
        chosen(arms, " ,", "arm")


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


def trained(seed: int) -> Trained:
    """The first arm, not trained at all."""
    keras.utils.set_random_seed(seed)
    bits = BitsSpec.uniform(TINY, 2)
    model, ranges = TINY.build_quantized(bits, quantizer="n2uq"), Ranges.default(TINY, bits)
    config, scores = recipe(TINY, "digits", 1, 0), {"accuracy": 0.5}
    return Trained(TINY, model, "digits", config, [{"seconds": 2.0}], scores, 10, bits, ranges, "n2uq")


def test_a_build_is_of_these_weights(tmp_path, monkeypatch):
    """The study builds with the weights it trained, and takes no report of others; one that is kept is built again for
    more images only.
    """
    given, told, plain = [], [], [PLAIN]

    def build(config, folder, reporter):
        given.append(config)
        report = folder / "8_report" / "report.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(plain[-1]))
        return Built(folder, {}, 1.0)

    monkeypatch.setattr("flow.study.hardware.build", build)
    reporter, arm = Reporter(Console(quiet=True)), plan(TINY)[0]

    def study(cycles: int = 4000, images: int = 50) -> Study:
        return Study(subject(tmp_path, cycles=cycles, images=images), told.append)

    path = trained(0).save("flow study", tmp_path / "seed-0")
    assert study().rows()[0].lut is None
    for images in (50, 100):
        build_arm(study(images=images).subject, arm, path, reporter)
    (row,) = study().rows()
    assert row.lut == check(PLAIN).resources.total.luts_used and row.seconds_an_epoch == 2.0 and not told
    (config,) = given
    assert (config.checkpoint, config.quantizer, config.images) == (path, "n2uq", 50)
    assert BitsSpec.parse(TINY, config.bits) == BitsSpec.uniform(TINY, 2)
    assert config.max_cycles == 4000 and not config.route
    build_arm(study(images=101).subject, arm, path, reporter)
    build_arm(study(cycles=2000).subject, arm, path, reporter)
    assert [(config.images, config.max_cycles) for config in given[1:]] == [(101, 4000), (50, 2000)]
    plain.append(changed("resources.total.lut", 60_000))
    plain[-1]["resources"]["fits"] = False
    over = study(images=102)
    over.build([arm], reporter)
    assert over.failed == [arm.name] and over.rows()[0].fits is False
    assert "60,044 (does not fit)" in (tmp_path / "study.md").read_text()
    told_why = f"\nFailed builds:\n\n* {arm.name}: does not fit xc7z020clg400-1 by synthesis\n"
    assert (tmp_path / "study.md").read_text().endswith(told_why)
    study().results()  # another process, which has not built it
    assert (tmp_path / "study.md").read_text().endswith(told_why)
    trained(1).save("flow study", tmp_path / "seed-0")
    (row,) = study().rows()
    assert row.lut is None and "is of other weights" in told[-1]


def test_failed_builds_stop_no_other_and_end_with_1(tmp_path, monkeypatch):
    def fails(subject, arm, path, reporter):
        if arm.bits < 4:
            raise FlowError("too wide") if arm.bits == 2 else CheckFailed("not equal")

    monkeypatch.setattr("flow.study.loop.build_arm", fails)
    here = trained(0).save("flow study", tmp_path / "elsewhere")
    monkeypatch.setattr(Thresholds, "finished", lambda self, arm: here)
    monkeypatch.setattr(Study, "results", lambda self: "results")
    found = call("--hardware", "--out", str(tmp_path))
    assert isinstance(found.exception, CheckFailed), found.output
    names = ", ".join(f"{name}-w{b}a{b}-seed-0" for b in (2, 3) for name in ("n2uq", "uniform"))
    assert f"failed: {names};" in str(found.exception)
    assert "n2uq-w2a2-seed-0: too wide" in found.output and "uniform-w3a3-seed-0: not equal" in found.output


def test_a_network_that_cannot_be_trained_stops_no_other(tmp_path, monkeypatch):
    def train(self, arm):
        raise FlowError("no widths within the budget")

    monkeypatch.setattr(Thresholds, "train", train)
    names = "n2uq-w2a2-seed-0", "uniform-w3a3-seed-0"
    found = call("--out", str(tmp_path), "--only", ",".join(names))
    assert f"failed: {', '.join(names)};" in str(found.exception)
    assert all(f"{name}: no widths within the budget" in found.output for name in names)


def test_the_committed_study_is_of_its_checkpoints():
    folder = RESULTS / "n2uq-study-cifar10"
    found = Study(subject(folder, "resnet8", "cifar10", 15, cycles=16384, images=1000), pytest.fail).rows()
    assert [asdict(row) for row in found] == json.loads((folder / "study.json").read_text())["rows"]
    assert markdown(found) == (folder / "study.md").read_text()
    for bits in (2, 3, 4):
        name = f"resnet8-cifar10-n2uq-w{bits}a{bits}.h5"
        shipped, arm = (read_meta(place / name).sha256 for place in (checkpoint_dir(), folder / "seed-0"))
        assert shipped == arm


def test_a_study_trains_resumes_and_writes_what_it_found(tmp_path):
    data = load("digits", image_shape=TINY.input_shape)
    train_float(TINY, data, TrainConfig(epochs=1, batch=32, learning_rate=0.05)).save("flow train --float", tmp_path)
    options = ("--epochs", "1", "--out", str(tmp_path))
    first = call(*options, "--only", "uniform-w2a2-seed-0")
    assert first.exit_code == 0, first.output
    second = call(*options, "--only", "n2uq-w2a2-seed-0")
    assert second.exit_code == 0, second.output
    both = call(*options, "--only", "uniform-w2a2-seed-0,n2uq-w2a2-seed-0")
    assert both.exit_code == 0, both.output
    assert "tiny at w2a2" in first.output and "epoch" not in both.output
    assert "1 of 1 networks trained, about 0:00 left" in first.output
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
    assert isinstance(other.exception, FlowError) and "was trained with another start" in str(other.exception)
