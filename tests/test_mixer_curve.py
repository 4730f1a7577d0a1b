"""`flow mixer` and `flow pick`: sampling, resuming, summary, choice."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import typer
from mixers import PLAN, WIDTHS, random_network
from typer.testing import CliRunner

from flow.bits import BitsSpec
from flow.cli.mixer import mixer
from flow.cli.pick import pick as pick_command
from flow.datasets import load
from flow.errors import FlowError
from flow.mixer.config import default_mixer_config
from flow.mixer.curve import Curve, Point, Sample, measure, read_curve, sample_configurations
from flow.mixer.pick import pick, with_cycles
from flow.mixer.plot import curve_plot
from flow.tasks import ERROR
from flow.training.config import default_config
from flow.training.run import Trained
from keras_models import MODELS
from keras_models.build_runtime import top_bits
from keras_models.ranges import Ranges
from keras_models.runtime import plan_runtime

TINY = MODELS["tiny"]
EMPTY = Curve(
    model="tiny", dataset="digits", sha256="0", widths=WIDTHS, layers=PLAN.layers, metric="accuracy", seed=0,
    test_images=10,
)  # fmt: skip


def sample(bits: tuple[int, ...], score: float, cycles: int | None = None) -> Sample:
    positions = PLAN.indices(bits)
    return Sample(
        bits=bits, average_bits=PLAN.average(positions), score=score, word=PLAN.word(positions), cycles=cycles
    )


SAMPLES = (sample((2, 2, 2), 0.6), sample((4, 4, 4), 0.9), sample((3, 3, 3), 0.8),
           sample((2, 4, 3), 0.85), sample((4, 2, 3), 0.7), sample((2, 2, 3), 0.66))  # fmt: skip
CURVE = EMPTY.model_copy(update={"samples": SAMPLES})


# -- sampling ----------------------------------------------------------------------------------------------------------


def test_configurations_are_different_spread_and_the_shorter_list_begins_the_longer_one():
    plan = plan_runtime(MODELS["resnet8"], WIDTHS)
    found = sample_configurations(plan, 200, 1)
    assert found[:3] == [(0,) * 8, (1,) * 8, (2,) * 8] and len(set(found)) == len(found) == 203
    assert found[:53] == sample_configurations(plan, 50, 1) != sample_configurations(plan, 50, 2)
    averages = [plan.average(positions) for positions in found]
    assert np.mean(np.array(averages) < 2.6) > 0.15 and np.mean(np.array(averages) > 3.4) > 0.15
    assert len(sample_configurations(PLAN, 100, 0)) == 27, "all that there are"


def test_the_register_has_a_field_for_each_layer_the_first_in_the_low_bits():
    assert (PLAN.runtime.field_bits, plan_runtime(TINY, (2, 4)).runtime.field_bits) == (2, 1)
    assert PLAN.word(PLAN.indices({"s1_conv1": 4, "s1_conv2": 2, "s1_skip": 3})) == 0b01_00_10


def test_what_is_measured_is_not_measured_again(tmp_path):
    configurations, asked = sample_configurations(PLAN, 6, 0), []

    def score(positions) -> float:
        asked.append(positions)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return sum(positions) / 6

    told = []
    with pytest.raises(KeyboardInterrupt):
        measure(EMPTY, PLAN, configurations, score, tmp_path, lambda *what: told.append(what))
    assert len(read_curve(tmp_path).samples) == 3
    curve = measure(EMPTY, PLAN, configurations, score, tmp_path, lambda *what: told.append(what))
    assert asked == [*configurations[:4], *configurations[3:]] and [number for _, number, _ in told] == [*range(1, 10)]
    assert curve == read_curve(tmp_path) and len(curve.samples) == 9
    other = EMPTY.model_copy(update={"seed": 1})
    with pytest.raises(FlowError, match=r"is of other weights, data or another seed"):
        measure(other, PLAN, configurations, score, tmp_path, lambda *what: None)


def test_the_summary_is_that_of_random_configurations():
    summary = CURVE.summary()
    assert summary["random"] == 3
    assert summary["bins"] == [
        {"average_bits": 2.25, "mean": 0.66, "best": 0.66, "worst": 0.66, "configurations": 1},
        {"average_bits": 3.0, "mean": pytest.approx(0.775), "best": 0.85, "worst": 0.7, "configurations": 2},
    ]
    # network-wide 0.8 at 3 bits; at 7/3 bits a third of the way from 0.6 to 0.8
    assert summary["mean_gap"] == pytest.approx(np.mean([-0.05, 0.1, 0.6 + 0.2 / 3 - 0.66]))
    assert EMPTY.summary() == {"bins": [], "mean_gap": None, "random": 0, "alone": {}}
    points = Point(bits=4, score=0.91, sha256=""), Point(bits=8, score=1, sha256="")
    beside = CURVE.model_copy(update={"points": points})
    assert beside.summary()["alone"] == {"4": pytest.approx(0.01)}


def test_the_plot_shows_all_that_was_measured():
    text = curve_plot(CURVE.model_copy(update={"points": (Point(bits=4, score=0.91, sha256=""),)}))
    assert text.count("<svg") == 1
    for words in ("3 layer-wise configurations", "their mean", "one width for all layers", "trained for one width"):
        assert words in text
    assert curve_plot(EMPTY).count("<svg") == 1


# -- choice ------------------------------------------------------------------------------------------------------------


def test_the_best_within_the_budget_is_picked():
    assert pick(CURVE, average_bits=4).bits == (4, 4, 4)
    assert pick(CURVE, average_bits=3).bits == (2, 4, 3)
    assert pick(CURVE, average_bits=2.5).bits == (2, 2, 3)
    errors = CURVE.model_copy(update={"metric": ERROR})
    assert pick(errors, average_bits=3).bits == (2, 2, 2), "of an error the least is the best"
    timed = with_cycles(CURVE, lambda bits: 100 * sum(bits.values()))
    assert [s.cycles for s in timed.samples] == [600, 1200, 900, 900, 900, 700]
    assert pick(timed, budget_cycles=899).bits == (2, 2, 3)
    ties = CURVE.model_copy(update={"samples": (sample((3, 3, 3), 0.8), sample((2, 2, 3), 0.8))})
    assert pick(ties, average_bits=4).bits == (2, 2, 3), "the narrower of two equal ones"


@pytest.mark.parametrize(
    ("curve", "budget", "message"),
    [
        (CURVE, {}, "give one budget"),
        (CURVE, {"average_bits": 3, "budget_cycles": 3}, "give one budget"),
        (CURVE, {"average_bits": 1.5}, "--avg-bits 1.5: no configuration is within it; the least has 2 bits"),
        (CURVE, {"budget_cycles": 10}, "the cycles of no configuration are known"),
        (with_cycles(CURVE, lambda bits: 1000), {"budget_cycles": 10}, "the least has 1,000 cycles"),
        (EMPTY, {"average_bits": 3}, "no configuration was measured"),
    ],
)
def test_no_choice(curve, budget, message: str):
    with pytest.raises(FlowError, match=message):
        pick(curve, **budget)


def call(command, *arguments: str):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments))


def test_the_choice_is_printed_as_the_registers_take_it(tmp_path):
    CURVE.write(tmp_path)
    result = call(pick_command, str(tmp_path), "--avg-bits", "3")
    assert result.output.splitlines()[:3] == ["s1_conv1: 2", "s1_conv2: 4", "s1_skip: 3"]
    assert "85.00%" in result.output and "registers: 0x40 = 2, 0x44 = 4, 0x48 = 3" in result.output
    assert "port: 0x18" in result.output
    for damage in ("{", "[]", '{"model": 1}'):
        (tmp_path / "curve.json").write_text(damage)
        assert "no measured configurations" in str(call(pick_command, str(tmp_path), "--avg-bits", "3").exception)
    assert "flow mixer" in str(call(pick_command, str(tmp_path / "none"), "--avg-bits", "3").exception)


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Checkpoints of untrained networks: one with run-time widths, one of 3 bits."""
    place = tmp_path_factory.mktemp("checkpoints")
    bits = BitsSpec.uniform(TINY, 3)
    record = [{"epoch": 1, "loss": 0.0}]
    shared = {"spec": TINY, "dataset": "digits", "history": record, "test_images": 359}
    Trained(
        **shared, model=random_network(), config=default_mixer_config("digits", TINY.input_shape),
        scores={"accuracy": 0.1}, ranges=Ranges.default(PLAN.spec, top_bits(PLAN)), runtime=WIDTHS,
    ).save("flow train --runtime-bits", place)  # fmt: skip
    Trained(
        **shared, model=TINY.build_quantized(bits), config=default_config("digits", TINY.input_shape, True),
        scores={"accuracy": 0.25}, bits=bits, ranges=Ranges.default(TINY, bits),
    ).save("flow train --bits 3", place)  # fmt: skip
    return place


def test_the_command_measures_and_checks(folder, tmp_path):
    options = ("--model", "tiny", "--dataset", "digits", "--points", str(folder), "--out", str(tmp_path))
    first = call(mixer, *options, "--samples", "2", "--check", "5")
    assert first.exit_code == 0, first.output
    again = call(mixer, *options, "--samples", "3", "--check", "0")
    assert again.output.count(" bits  ") == 1, "only the new one"
    curve = read_curve(tmp_path)
    assert len(curve.samples) == 6 and curve.check.images == 5 and curve.check.configurations == 5
    assert curve.check.labels == 0 and curve.check.activations <= 1e-4 * curve.check.total
    assert [(point.bits, point.score) for point in curve.points] == [(3, 0.25)]
    assert (tmp_path / "curve.svg").read_text().count("<svg") == 1
    assert json.loads((tmp_path / "curve.json").read_text())["summary"]["random"] == 3
    # the scores are those of the network at these widths
    data = load("digits", image_shape=TINY.input_shape)
    model = random_network()
    for one in curve.samples:
        model.set_bits(one.bits)
        logits = model(data.x_test.astype(np.float32) / 256).numpy()
        assert one.score == pytest.approx(np.mean(logits.argmax(axis=1) == data.y_test), abs=0.003)
    assert any(left.score != right.score for left, right in pairwise(curve.samples))


def test_mistakes(folder, tmp_path):
    options = ("--model", "tiny", "--dataset", "digits", "--out", str(tmp_path))
    missing = call(mixer, *options, "--runtime-bits", "2,5")
    assert "tiny-digits-mixer-w25.h5: no such checkpoint; `flow train" in str(missing.exception)
    static = call(mixer, *options, "--checkpoint", str(folder / "tiny-digits-w3a3.h5"))
    assert "has no run-time widths; `flow train --runtime-bits" in str(static.exception)
