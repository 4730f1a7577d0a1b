"""One bit-width against another at equal cost: width multipliers, the plan, a study on a small network, bad input."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from flow.bits import BitsSpec
from flow.boards import find_board
from flow.cli.isocost import isocost
from flow.errors import FlowError
from flow.folding import estimate
from flow.folding.solve import for_cycles
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, Recipe, parse_mixed, parse_widths, plan, reference
from flow.isocost.measure import equal_measured
from flow.isocost.plot import plot
from flow.isocost.rows import About, Row, equal_text, gains, markdown, means
from flow.isocost.solve import Equal, breakpoints, check_fits, networks_about, one_width, solve_multiplier
from flow.search.budget import Budget
from flow.search.costs import Costs, costs
from flow.search.repair import candidates
from flow.search.skeleton import skeleton
from flow.search.synthesized import Synthesized, SynthesizedBudget, measured_luts
from flow.selection import chosen
from keras_models import MODELS
from keras_models.widen import widened

BOARD = find_board("pynq-z2")
RESNET8, TINY = MODELS["resnet8"], MODELS["tiny"]


def equal_of(kind: str, spec=RESNET8, cycles: int = 16_384) -> Equal:
    return Equal.of(kind, reference(spec, 0.2), 8, BOARD, cycles)


def estimated(spec, bits: int, cycles: int = 16_384):
    graph = skeleton(spec, one_width(spec, bits))
    return estimate(graph, for_cycles(graph, cycles))


def call(*arguments: str):
    app = typer.Typer()
    app.command()(isocost)
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet"])
def test_equal_bytes_within_two_percent(name: str):
    spec = MODELS[name]
    equal = equal_of("bytes", spec)
    assert reference(spec, 0.2).macs < 0.25 * spec.macs
    widths = []
    for bits in (1, 2, 4, 8):
        found = solve_multiplier(spec, bits, equal)
        assert found.cost == sum(w.weights for w in found.spec.weight_layers()) * bits / 8
        assert abs(found.cost / equal.target - 1) <= 0.02
        widths.append(found.multiplier)
    assert widths == sorted(widths, reverse=True), "fewer bits, more channels"
    assert 1.8 < widths[0] / widths[2] < 2.2, "channels grow with the root of the widths' ratio"


def test_a_network_of_equal_bytes_folds_well():
    """Four more bytes in a thousand: 80 and 159 channels for 79, a prime number, and 159, which take four times the
    LUTs and more DSP blocks than the board has.
    """
    spec = MODELS["mobilenet"]
    equal = equal_of("bytes", spec)
    nearest, found = widened(spec, 1.2384), solve_multiplier(spec, 1, equal).spec
    assert 79 in {w.out_channels for w in nearest.weight_layers()}
    assert estimated(nearest, 1).lut > 4 * estimated(found, 1).lut and estimated(found, 1).lut < 0.5 * BOARD.lut
    check_fits([(found, one_width(found, 1))], BOARD, 16_384)
    message = r"16384 cycles .* pynq-z2: mobilenet-x1\.2384 at 1 bits: .*lut 62,\d+ of .*; --cycles 32768 would do"
    with pytest.raises(FlowError, match=message):
        check_fits([(found, one_width(found, 1)), (nearest, one_width(nearest, 1))], BOARD, 16_384)


def test_a_plan_that_does_not_fit_is_refused_before_anything_is_trained():
    refused = call("--model", "mobilenet", "--cycles", "1024", "--plan")
    assert isinstance(refused.exception, FlowError) and "--cycles" in str(refused.exception)


def test_the_network_that_sets_the_cost_costs_it():
    """Also where the common cost is an estimate times a measured ratio, which rounding may leave an ulp below."""
    first = reference(RESNET8, 0.2)
    equal = equal_of("luts")
    below = equal.measured(float(np.nextafter(equal.target, 0)), {})
    assert solve_multiplier(RESNET8, 8, below).spec.name == first.name
    assert equal_of("bytes").cost(first, one_width(first, 8)) == equal_of("bytes").target


def test_equal_cycles_fill_the_board():
    """The widest width's network sets them; one with fewer bits has more channels at the same cycles, and fits."""
    equal = equal_of("cycles")
    first = reference(RESNET8, 0.2)
    assert equal.target == equal.cycles == equal.cost(first, one_width(first, 8)) and equal.lut < 0.95 * BOARD.lut
    found = solve_multiplier(RESNET8, 4, equal)
    assert 0.95 <= found.cost / equal.target <= 1 and found.spec.macs > 1.5 * first.macs
    assert equal.cost(RESNET8, one_width(RESNET8, 8)) == float("inf"), "it does not fit"
    assert equal.share(RESNET8, one_width(RESNET8, 8)) > 1.1
    assert 0.8 < equal.share(found.spec, one_width(found.spec, 4)) <= 1, "of the LUTs that all take"
    assert equal.share(first, one_width(first, 1)) < 0.7, "at equal cycles too, not widened is less"


def test_equal_luts_as_synthesis_counts_them(tmp_path, monkeypatch):
    """A cost model that errs by a tenth at 4 bits leads to a network of a tenth less by its count."""
    equal, asked = equal_of("luts"), []

    def luts(spec, bits, cycles, tell):
        asked.append((spec.name, bits))
        return equal.cost(spec, bits) * (1.1 if 4 in bits.weights.values() else 0.95)

    monkeypatch.setattr("flow.search.synthesized.measured_luts", luts)
    first, told = reference(RESNET8, 0.2), []
    synthesized = Synthesized(tmp_path / "measured.json", told.append)
    found, networks = equal_measured(RESNET8, first, [4, 8], equal, synthesized, told.append)
    assert found.target == pytest.approx(0.95 * equal.target) and found.ratios == pytest.approx({4: 1.1, 8: 0.95})
    assert networks[8].name == first.name
    share = synthesized.known(networks[4], one_width(networks[4], 4), 16_384) / found.target
    assert abs(share - 1) <= 0.025
    four = solve_multiplier(RESNET8, 4, found)
    assert 0.95 <= equal.cost(four.spec, one_width(four.spec, 4)) * 1.1 / found.target <= 1
    assert four.cost == found.cost(four.spec, one_width(four.spec, 4))
    assert any("synthesizing, before anything is trained on" in text for text in told)
    two = solve_multiplier(RESNET8, 2, equal)
    assert 0.95 <= two.cost / equal.target <= 1, "and without any measurement"
    count = len(asked)
    again = equal_measured(RESNET8, first, [4, 8], equal, synthesized, told.append)
    assert again == (found, networks) and len(asked) == count, "what was measured is kept"
    options = ["--bits", "4,8", "--equal", "luts", "--plan"]
    planned = call(*options, "--out", str(tmp_path / "new"))
    assert "networks by the cost model" in planned.output and not (tmp_path / "new").exists()
    (tmp_path / "known" / "luts").mkdir(parents=True)
    shutil.copy(tmp_path / "measured.json", tmp_path / "known" / "luts")
    planned = call(*options, "--out", str(tmp_path / "known"))
    assert "by the cost model" not in planned.output and f"{networks[4].name}-w4-seed-0" in planned.output
    assert len(asked) == count, "a plan synthesizes nothing"
    mixed = one_width(four.spec, 4).model_copy(update={"weights": {**one_width(four.spec, 4).weights, "conv1": 7}})
    assert synthesized.known(four.spec, mixed, equal.cycles) is None, "widths of its own are another network"
    assert found.share(four.spec, mixed, found.target / 2) == 0.5


@pytest.mark.parametrize(("kind", "seed"), [("luts", 0), ("luts", 1), ("cycles", 1)])
def test_a_cost_model_that_errs_by_each_network(kind: str, seed: int, tmp_path, monkeypatch):
    """By as much as 4 % either way beside what it errs by at a width: all are within the tolerance by synthesis."""
    equal, model = equal_of(kind), Equal("luts", 1.0, equal_of(kind).cycles)

    def luts(spec, bits, cycles, tell):
        error = 0.04 * np.random.default_rng((seed, *spec.name.encode())).uniform(-1, 1)
        return model.cost(spec, bits) * (1 + error) * (0.85 if 2 in bits.weights.values() else 1)

    monkeypatch.setattr("flow.search.synthesized.measured_luts", luts)
    first = reference(RESNET8, 0.2)
    synthesized = Synthesized(tmp_path / "measured.json", lambda text: None)
    found, networks = equal_measured(RESNET8, first, [2, 4, 8], equal, synthesized, lambda text: None)
    taken = {bits: synthesized.known(spec, one_width(spec, bits), equal.cycles) for bits, spec in networks.items()}
    assert all(abs(luts / found.luts - 1) <= 0.05 for luts in taken.values()), "each was synthesized, and is near"
    arms = plan(RESNET8, first, [2, 4, 8], found, BOARD, 1, [4], networks)
    assert {arm.label: arm.spec for arm in arms if arm.group == ONE_WIDTH} == {str(b): s for b, s in networks.items()}
    shares = [found.share(spec, one_width(spec, bits), taken[bits]) for bits, spec in networks.items()]
    assert all(abs(share - 1) <= 0.05 for share in shares)


def test_no_network_within_the_tolerance_is_refused(tmp_path, monkeypatch):
    """Synthesis that has nothing to do with the cost model."""
    equal = equal_of("luts")
    monkeypatch.setattr(
        "flow.search.synthesized.measured_luts",
        lambda spec, bits, cycles, tell: equal.target * (1 if 8 in bits.weights.values() else 1.2),
    )
    synthesized = Synthesized(tmp_path / "measured.json", lambda text: None)
    with pytest.raises(FlowError, match=r"resnet8 at 4 bits: no width multiplier was found .* takes 120.0%"):
        equal_measured(RESNET8, reference(RESNET8, 0.2), [4, 8], equal, synthesized, lambda text: None)
    little = replace(equal, target=1.0, cycles=64)
    with pytest.raises(FlowError, match=r"resnet8 at 4 bits: no width multiplier leads near .* at 64 cycles"):
        equal_measured(RESNET8, reference(RESNET8, 0.2), [4, 8], little, synthesized, lambda text: None)


@cache
def luts_of_resnet8() -> Costs:
    """With a budget of uniform 4 bits."""
    tables = costs(RESNET8, Budget("luts", 1.0), BOARD, 0.95, 16_384)
    return replace(tables, budget=tables.of(BitsSpec.uniform(RESNET8, 4)))


def budget_of(tmp_path, monkeypatch, errors: Iterable[float]) -> SynthesizedBudget:
    """Synthesis counts what the cost model does times an error, one for each network."""
    error, tables = iter(errors), luts_of_resnet8()
    monkeypatch.setattr(
        "flow.search.synthesized.measured_luts", lambda spec, bits, cycles, tell: tables.of(bits) * next(error)
    )
    synthesized = Synthesized(tmp_path / "m.json", lambda text: None)
    low = one_width(RESNET8, 1).model_copy(update={"activations": BitsSpec.uniform(RESNET8, 4).activations})
    return SynthesizedBudget(RESNET8, tables, 16_384, tables.budget, 0.95, low, synthesized, lambda text: None)


def best_within(tables: Costs) -> BitsSpec:
    learned = {"weights": {w.name: 4.4 for w in RESNET8.weight_layers()}, "activations": {}}
    return candidates(learned, BitsSpec.uniform(RESNET8, 4), tables)[0]


@pytest.mark.parametrize("errors", [
    (1.12, 1.12, 1.12), (0.85, 0.85, 0.85), (1.04, 0.96, 1.05, 0.97), (0.93, 1.09, 1.08, 1.07, 1.09, 1.1, 1.1),
    (1.03, 1.06, 1.08, 1.09, 1.06, 0.9),
])  # fmt: skip
def test_widths_are_within_the_budget_by_synthesis(errors, tmp_path, monkeypatch):
    """Chosen again while they take too much or leave too much; of those within it, the ones that use most of it."""
    budget, given, shares = budget_of(tmp_path, monkeypatch, list(errors)), [], []

    def chosen(tables: Costs) -> BitsSpec:
        given.append(tables.budget)
        bits = best_within(tables)
        shares.append(budget.share(bits))
        return bits

    found = budget.choose(chosen)
    within = [share for share in shares if share <= 1]
    assert budget.share(found) == max(within) and len(set(given)) == len(given) <= 6
    too_much = [given[n] for n, share in enumerate(shares) if share > 1]
    assert given[-1] <= min(too_much, default=float("inf")), "what was too much is not asked for again"


def test_widths_that_never_fit_are_refused(tmp_path, monkeypatch):
    budget = budget_of(tmp_path, monkeypatch, (1.5 * 2**n for n in range(9)))
    with pytest.raises(FlowError, match=r"were found take 1\d\d\.\d% of the budget by synthesis.*allow more"):
        budget.choose(best_within)


def test_widths_that_are_known_to_fit_are_taken_before_none(tmp_path, monkeypatch):
    four = one_width(RESNET8, 4)
    budget = replace(budget_of(tmp_path, monkeypatch, (1.5 * 2**n for n in range(9))), fallback=four)
    assert budget.choose(best_within) is four


def test_the_lowest_widths_are_synthesized_where_they_may_be_too_much(tmp_path, monkeypatch):
    budget = budget_of(tmp_path, monkeypatch, [1.2])
    assert budget.checked() is budget  # by far enough: not synthesized
    assert not (tmp_path / "m.json").exists()
    little = 1.1 * budget.costs.of(budget.lowest)
    tight = replace(budget, luts=little, costs=replace(budget.costs, budget=little))
    with pytest.raises(FlowError, match=r"out of reach: the lowest widths take [\d,]+ LUTs by synthesis, 109\.1% of"):
        tight.checked()


def test_a_budget_that_only_the_cost_model_misses_is_not_refused(tmp_path, monkeypatch):
    """By the cost model the lowest widths take a ninth more, by synthesis a ninth less."""
    budget = budget_of(tmp_path, monkeypatch, [0.8, *[0.85] * 9])
    little = 0.9 * budget.costs.of(budget.lowest)
    tight = replace(budget, luts=little, costs=replace(budget.costs, budget=little))
    tight.costs.check(tight.lowest, Budget("luts", little))
    reachable = tight.checked()
    assert reachable.costs.budget == pytest.approx(little / 0.8)
    bits = reachable.choose(best_within)
    assert tight.costs.of(bits) * 0.85 <= little
    with pytest.raises(FlowError, match=r"out of reach: the lowest widths cost [\d,]+"):
        tight.costs.check(tight.lowest, Budget("bytes", little))


def test_luts_by_another_version_are_kept_and_told_of(tmp_path, monkeypatch):
    file, told = tmp_path / "measured.json", []
    monkeypatch.setattr("flow.search.synthesized.measured_luts", lambda *rest: 7.0)
    Synthesized(file, told.append).luts(TINY, one_width(TINY, 2), 512)
    assert Synthesized(file, told.append).known(TINY, one_width(TINY, 2), 512) == 7.0
    assert not any("another version" in text for text in told)
    monkeypatch.setattr("flow.search.synthesized._maker", lambda: "other")
    assert Synthesized(file, told.append).known(TINY, one_width(TINY, 2), 512) == 7.0
    assert "1 network(s) were synthesized by another version of the RTL" in told[-1]


def test_a_network_is_synthesized_before_it_is_trained():
    spec = widened(MODELS["jets"], 0.25)
    told, graph = [], skeleton(spec, one_width(spec, 2))
    luts = measured_luts(spec, one_width(spec, 2), 256, told.append)
    assert "modules synthesized" in told[-1]
    assert 0.7 < luts / estimate(graph, for_cycles(graph, 256)).lut < 1.0


def test_the_multipliers_are_those_at_which_channels_change():
    shapes = [tuple(w.out_channels for w in widened(TINY, m).weight_layers()) for m in breakpoints(TINY, 2.0)]
    assert len(set(shapes)) >= len(shapes) - 1 and min(min(shape) for shape in shapes) == 1


def test_the_networks_of_a_study():
    arms = plan(RESNET8, reference(RESNET8, 0.2), [1, 2, 4, 8], equal_of("bytes"), BOARD, seeds=2, mixed=[4])
    assert len({arm.name for arm in arms}) == len(arms)
    first = [arm for arm in arms if arm.seed == 0]
    assert [arm.label for arm in first if arm.group == ONE_WIDTH] == ["1", "2", "4", "8"]
    assert [arm.label for arm in first if arm.group == NOT_WIDENED] == ["1", "2", "4"]
    (mixed,) = [arm for arm in first if arm.group == MIXED]
    assert mixed.bits is None and mixed.beside == 4
    assert mixed.spec.name == next(a.spec.name for a in first if a.label == "4")
    assert {arm.group for arm in arms if arm.seed == 1} == {ONE_WIDTH, MIXED}
    assert chosen(arms, None, "network") == arms
    assert chosen(arms, f"{arms[3].name}, {arms[0].name}", "network") == [arms[0], arms[3]]
    with pytest.raises(FlowError, match="unknown network 'mixed'"):
        chosen(arms, "mixed", "network")
    with pytest.raises(FlowError, match="names no network"):
        chosen(arms, ",", "network")


@pytest.mark.parametrize(
    ("text", "message"),
    [("4", "needs two widths"), ("1,two", "should be widths with commas"), ("0,4", "1 to 8 bits"), ("4,9", "1 to 8")],
)
def test_widths_that_are_wrong(text: str, message: str):
    with pytest.raises(FlowError, match=message):
        parse_widths(text)


def test_beside_which_widths_a_mixed_network_stands():
    assert parse_mixed("4", [1, 2, 4, 8]) == [4] and parse_mixed("8,2", [1, 2, 4, 8]) == [2, 8]
    assert parse_mixed("4", [1, 8]) == [8], "nothing can be searched below 1 bit"
    with pytest.raises(
        FlowError, match=r"--mixed 1: no layer can have fewer than 1 bit; name one of \[2, 4\], or none"
    ):
        parse_mixed("1", [1, 2, 4])
    with pytest.raises(FlowError, match="should be widths with commas between"):
        parse_mixed("four", [1, 2, 4])
    for wrong in ("9", "0", "2,-3"):
        with pytest.raises(FlowError, match=f"--mixed {wrong}: widths are 1 to 8 bits"):
            parse_mixed(wrong, [1, 2, 4])


def test_networks_are_found_between_the_points_of_a_coarse_scan():
    """Few channels: from one such point to the next they are five times as many."""
    first = reference(TINY, 0.2)
    equal = Equal.of("luts", first, 8, BOARD, 2048)
    found = solve_multiplier(TINY, 6, equal)
    assert 0.95 <= found.cost / equal.target <= 1
    assert found.spec in networks_about(TINY, 6, equal)


def test_two_widths_of_one_network():
    """A mixed network stands beside that of its own width, though another has as many channels."""
    rows = [row("6", ONE_WIDTH, 0.70), row("7", ONE_WIDTH, 0.75), replace(mixed(0.76), beside="7")]
    (gain,) = gains(rows)
    assert gain.beside == "7" and gain.points == pytest.approx(1.0)
    networks = {bits: widened(TINY, 1.5) for bits in (6, 7)}
    with pytest.raises(FlowError, match=r"--mixed: 6 and 7 bits have one network here, tiny-x1\.5; name one"):
        plan(TINY, TINY, [6, 7, 8], equal_of("bytes"), BOARD, 1, [6, 7], networks)


def test_a_cost_out_of_reach_names_the_nearest():
    equal = Equal("bytes", 10.0, 1)
    with pytest.raises(FlowError, match=r"no width multiplier up to 4 costs 10 bytes within 2%; the nearest, [\d.]+"):
        solve_multiplier(RESNET8, 8, equal)
    with pytest.raises(FlowError, match="unknown kind of cost 'byte': did you mean 'bytes'"):
        Equal.of("byte", RESNET8, 8, BOARD, 1)


def row(weights: str, group: str, accuracy: float, seed: int = 0) -> Row:
    found = (seed, 1.0, accuracy, 100, 24_000.0, 10**7, 10**8)
    return Row("resnet8-x1.1", group, weights, *found, 30_000.0, 2, 8.5, 100, 0, 5, 0.987)


def mixed(accuracy: float, seed: int = 0) -> Row:
    return replace(row("mixed", MIXED, accuracy, seed), beside="4")


def about() -> About:
    equal, teacher = equal_of("bytes"), {"network": "resnet8", "accuracy": 0.9, "sha256": "a" * 64}
    return About("flow isocost", "cifar10", Recipe(10, 6, 20), teacher, "pynq-z2", equal)


def test_a_table_and_a_plot():
    rows = [row("1", ONE_WIDTH, 0.7), row("4", ONE_WIDTH, 0.8), row("4", NOT_WIDENED, 0.6), mixed(0.81)]
    rows[0] = replace(rows[0], within=False, fits=False, deployed=0.701)
    text = markdown(rows, about())
    assert "bytes of weights, within 2%; board: pynq-z2" in text and "| 98.7% |" in text
    assert "Teacher: the float resnet8, 90.00%" in text and "\n    flow isocost\n" in text
    assert "Trained on cifar10; epochs: 10 of a float start, 20 quantized, 6 of these in a search" in text
    assert "| 70.00% | 70.10% | 100.0% | 98.7% | no |" in text and "| 30,000 (does not fit) | 2 | 8.5 |" in text
    assert text.count("does not fit") == 1
    assert text.index("80.00%") < text.index("70.00%") < text.index("81.00%")
    picture = plot([*rows, replace(mixed(0.77), beside="2")], equal_text(equal_of("bytes")))
    assert picture.count("<svg") == 1
    assert all(f"as {bits} bits" in picture for bits in (2, 4)), "mixed networks by the channels that they have"


def test_seeds_and_what_mixed_widths_gain():
    rows = [row("4", ONE_WIDTH, 0.80), row("4", ONE_WIDTH, 0.83, 1), mixed(0.81)]
    (gain,) = gains(rows)
    assert gain.seeds == (0,) and gain.points == pytest.approx(1.0) and gain.spread is None
    rows.append(mixed(0.84, 1))
    (gain,) = gains(rows)
    assert gain.seeds == (0, 1) and gain.points == pytest.approx(1.0) and gain.spread == pytest.approx(3.0)
    four = next(mean for mean in means(rows) if mean.weights == "4")
    assert four.accuracy == pytest.approx(0.815) and four.spread == pytest.approx(3.0)
    text = markdown(rows, about())
    assert "Searched widths against 4 bits for all layers" in text and "+1.00 points; spread of the seeds 3.00" in text


def test_a_search_must_leave_epochs():
    with pytest.raises(FlowError, match="--epochs 1: must be more than the 1 of a search"):
        Recipe(1, 1, 1)
