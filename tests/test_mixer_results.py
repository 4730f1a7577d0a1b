"""What is recorded of the ResNet-8 whose layers change width at run time: of the shipped network, and as asked for."""

from __future__ import annotations

from pathlib import Path

from flow.bits import BitsSpec
from flow.mixer.curve import read_curve
from flow.report import load
from flow.training.checkpoints import find_checkpoint, read_meta
from keras_models import MODELS

FOLDER = Path(__file__).parents[1] / "results" / "resnet8-mixer-w234-cifar10"
WIDTHS = (2, 3, 4)


def test_the_curve_is_of_the_shipped_networks():
    curve = read_curve(FOLDER)
    assert curve.sha256 == read_meta(find_checkpoint("resnet8", "cifar10", None, runtime=WIDTHS)).sha256
    for point in curve.points:
        alone = read_meta(find_checkpoint("resnet8", "cifar10", BitsSpec.uniform(MODELS["resnet8"], point.bits)))
        assert (point.sha256, point.score) == (alone.sha256, alone.accuracy)


def test_few_points_are_lost_to_networks_of_one_width():
    curve = read_curve(FOLDER)
    summary = curve.summary()
    assert curve.test_images == 10_000 and summary["random"] >= 100
    assert summary["alone"]["4"] <= 0.015 and summary["alone"]["3"] <= 0.015 and summary["alone"]["2"] <= 0.03
    assert summary["mean_gap"] <= 0.015


def test_the_firmware_is_exact_fits_and_is_faster_at_fewer_bits():
    report, curve = load(FOLDER / "report.json"), read_curve(FOLDER)
    exact, runtime = report.exact, report.runtime
    assert (exact.golden_vs_keras, exact.golden_vs_csim, exact.golden_vs_rtl) == (0, 0, 0)
    assert runtime.compared >= 20 and exact.images >= 100 * runtime.compared
    assert report.resources.fits and report.resources.device == "xc7z020clg400-1"
    assert runtime.at(2).interval_cycles <= 0.6 * runtime.at(4).interval_cycles
    assert len([one for one in runtime.configurations if not one.network_wide]) >= 3
    assert [(one.lut is not None, one.interval_cycles is not None) for one in runtime.beside] == [(True, True)] * 3
    measured = {sample.bits: sample.score for sample in curve.samples}
    for width in WIDTHS:
        assert runtime.at(width).trained == measured[tuple(runtime.at(width).bits)]
