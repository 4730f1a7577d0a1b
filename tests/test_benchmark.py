"""Benchmarks: what is recorded is what the recorded builds say, and a change says which way it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow import benchmark
from flow.files import read_json
from flow.folding.calibration import FILE, calibration_error

RESULTS = Path(__file__).resolve().parent.parent / "results"


def test_the_record_follows_from_the_reports():
    recorded = read_json(RESULTS / "benchmarks.json")
    assert set(recorded) == set(benchmark.UNITS) | set(benchmark.builds(RESULTS))
    for name, figures in benchmark.builds(RESULTS).items():
        assert recorded[name] == figures


def test_the_cost_model_s_error_follows_from_the_reports():
    recorded = benchmark.calibration(RESULTS)
    assert read_json(FILE) == recorded
    w2, w8 = (recorded[f"resnet8-w{bits}a{bits}-cifar10"] for bits in (2, 8))
    assert 1.15 < w2["estimate"] / w2["measured"] < 1.2 and abs(w8["estimate"] / w8["measured"] - 1) < 0.01
    error = calibration_error()
    assert error.builds == len(recorded) and error.total[0] < 1 < error.total[1]
    assert error.layers[0] <= error.total[0] and error.total[1] <= error.layers[1]
    assert f"{error.total[1] - 1:+.0%} off those of synthesis" in error.text


def test_the_four_bit_unit_is_small_and_has_no_dsp():
    unit = read_json(RESULTS / "benchmarks.json")["matvec_4x4"]
    assert unit["lut_per_mac"] <= 30 and unit["dsp"] == 0


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_odd_weights_cost_at_most_a_tenth_more(bits: int):
    recorded = read_json(RESULTS / "benchmarks.json")
    odd, plain = recorded[f"matvec_{bits}x{bits}_odd"], recorded[f"matvec_{bits}x{bits}"]
    assert plain["lut"] < odd["lut"] <= 1.10 * plain["lut"] and odd["dsp"] == 0


def test_the_record_is_of_the_rtl_that_is_here():
    """Synthesized now: a change of the unit without a new record is seen."""
    name = "matvec_2x2_odd"
    assert benchmark.units([name]) == {name: read_json(RESULTS / "benchmarks.json")[name]}


def test_changes_name_their_direction():
    before = {"a": {"lut_per_mac": 20.0, "images_per_second": 30.0}, "b": {"lut": 5}}
    after = {"a": {"lut_per_mac": 21.0, "images_per_second": 40.0}, "c": {"lut": 6}}
    assert benchmark.changes(before, after) == [
        "a lut_per_mac: 20 -> 21, worse",
        "a images_per_second: 30 -> 40, better",
        "b lut: gone, 5",
        "c lut: new, 6",
    ]
    assert not benchmark.changes(before, before)
    # the time of one machine varies
    assert not benchmark.changes({"a": {"seconds": 100.0}}, {"a": {"seconds": 105.0}})
