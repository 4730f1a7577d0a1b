"""One bit-width against another at equal cost: width multipliers, the plan, a study on a small network, bad input."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from flow.boards import find_board
from flow.cli.isocost import isocost
from flow.datasets import load
from flow.errors import FlowError
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, parse_widths, plan, reference
from flow.isocost.results import Row, markdown, plot
from flow.isocost.solve import Equal, breakpoints, one_width, solve_multiplier
from flow.training.config import TrainConfig
from flow.training.run import train_float
from keras_models import MODELS
from keras_models.widen import widened

BOARD = find_board("pynq-z2")
RESNET8, TINY = MODELS["resnet8"], MODELS["tiny"]


def equal_of(kind: str, spec=RESNET8, cycles: int = 16_384) -> Equal:
    return Equal.of(kind, reference(spec, 1 / 3), 8, BOARD, 0.95, cycles)


def call(*arguments: str):
    app = typer.Typer()
    app.command()(isocost)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet"])
def test_equal_bytes_within_two_percent(name: str):
    spec = MODELS[name]
    equal = equal_of("bytes", spec)
    assert reference(spec, 1 / 3).macs < 0.4 * spec.macs
    widths = []
    for bits in (1, 2, 4, 8):
        found = solve_multiplier(spec, bits, equal)
        assert found.cost == sum(w.weights for w in found.spec.weight_layers()) * bits / 8
        assert abs(found.cost / equal.target - 1) <= 0.02
        widths.append(found.multiplier)
    assert widths == sorted(widths, reverse=True), "fewer bits, more channels"
    assert 1.8 < widths[0] / widths[2] < 2.2, "channels grow with the root of the widths' ratio"


def test_equal_luts_within_five_percent():
    equal = equal_of("luts")
    for bits in (2, 8):
        found = solve_multiplier(RESNET8, bits, equal)
        assert 0.95 <= found.cost / equal.target <= 1
        assert found.cost == equal.cost(found.spec, one_width(found.spec, bits))


def test_equal_cycles_fill_the_board():
    equal = equal_of("cycles")
    assert (equal.target, equal.cycles) == (0.95 * BOARD.lut, 16_384)
    assert equal.cost(RESNET8, one_width(RESNET8, 4)) != equal.target


def test_the_multipliers_are_those_at_which_channels_change():
    shapes = [tuple(w.out_channels for w in widened(TINY, m).weight_layers()) for m in breakpoints(TINY, 2.0)]
    assert len(set(shapes)) >= len(shapes) - 1 and min(min(shape) for shape in shapes) == 1


def test_the_networks_of_a_study():
    arms = plan(RESNET8, [1, 2, 4, 8], equal_of("bytes"), seeds=2)
    assert len({arm.name for arm in arms}) == len(arms)
    first = [arm for arm in arms if arm.seed == 0]
    assert [arm.label for arm in first if arm.group == ONE_WIDTH] == ["1", "2", "4", "8"]
    assert [arm.label for arm in first if arm.group == NOT_WIDENED] == ["1", "2", "4"]
    (mixed,) = [arm for arm in first if arm.group == MIXED]
    assert mixed.bits is None and mixed.spec.name == next(a.spec.name for a in first if a.label == "4")
    assert {arm.group for arm in arms if arm.seed == 1} == {ONE_WIDTH, MIXED}


@pytest.mark.parametrize(
    ("text", "message"),
    [("4", "needs two widths"), ("1,two", "should be widths with commas"), ("0,4", "1 to 8 bits"), ("4,9", "1 to 8")],
)
def test_widths_that_are_wrong(text: str, message: str):
    with pytest.raises(FlowError, match=message):
        parse_widths(text)


def test_a_cost_out_of_reach_names_the_nearest():
    equal = Equal("bytes", 10.0, 1)
    with pytest.raises(FlowError, match=r"no width multiplier up to 4 costs 10 bytes within 2%; the nearest, [\d.]+"):
        solve_multiplier(RESNET8, 8, equal)
    with pytest.raises(FlowError, match="unknown kind of cost 'byte': did you mean 'bytes'"):
        Equal.of("byte", RESNET8, 8, BOARD, 0.95, 1)


def row(weights: str, group: str, accuracy: float, seed: int = 0) -> Row:
    found = (seed, 1.0, accuracy, 100, 24_000.0, 10**7, 10**8)
    return Row("resnet8-x1.1", group, weights, *found, 30_000.0, 2, 8.5, 100, 0, 5)


def test_a_table_and_a_plot():
    rows = [row("1", ONE_WIDTH, 0.7), row("4", ONE_WIDTH, 0.8), row("4", NOT_WIDENED, 0.6), row("mixed", MIXED, 0.81)]
    text = markdown(rows, equal_of("bytes"))
    assert "bytes of weights" in text and text.index("80.00%") < text.index("70.00%") < text.index("81.00%")
    assert plot(rows, equal_of("bytes")).count("<svg") == 1


def test_a_study_trains_and_goes_on(tmp_path):
    data = load("digits", image_shape=TINY.input_shape)
    train_float(TINY, data, TrainConfig(epochs=1, batch=32, learning_rate=0.05)).save("flow train --float", tmp_path)
    options = ["--model", "tiny", "--dataset", "digits", "--bits", "2,8", "--out", str(tmp_path)]
    options += ["--float-epochs", "1", "--search-epochs", "1", "--epochs", "1"]
    planned = call(*options, "--plan")
    assert planned.exit_code == 0 and "100.0%" in planned.output and not (tmp_path / "isocost.json").exists()
    done = call(*options)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "isocost.json").read_text())
    assert [(r["group"], r["weights"]) for r in found["rows"]] == [
        (ONE_WIDTH, "2"), (ONE_WIDTH, "8"), (MIXED, "mixed"), (NOT_WIDENED, "2"),
    ]  # fmt: skip
    assert all(r["share"] <= 1.02 for r in found["rows"])
    again = call(*options)
    assert again.exit_code == 0 and "1 epochs from the float network" not in again.output
    assert (tmp_path / "accuracy.svg").is_file() and (tmp_path / "isocost.md").read_text() in again.output
