"""Proofs that take long: `make long-test`. Those with real images need CIFAR-10, and say so where it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from flow.bits import BitsSpec
from flow.pipeline.build import build, stage_folder
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from keras_models import MODELS

pytestmark = pytest.mark.long


def reported(config: BuildConfig, folder: Path) -> dict:
    build(config, folder, Reporter(Console(quiet=True)))
    return json.loads((stage_folder(folder, "report") / "report.json").read_text())


def test_every_test_image_through_c_simulation_and_rtl(tmp_path, real_images):
    """The shipped ResNet-8 on all 10,000 CIFAR-10 test images, every row of every layer routed."""
    report = reported(BuildConfig(dataset="cifar10", images=10_000, route_rows=0, route_seconds=0), tmp_path / "run")
    exact = report["exact"]
    assert exact["images"] == exact["keras_images"] == 10_000
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    assert report["timing"]["fmax_mhz"] >= 100
    assert report["accuracy"]["rtl"] == report["accuracy"]["deployed"] >= 0.86


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_learned_thresholds_on_real_images(bits, tmp_path, real_images):
    """The shipped N2UQ networks: 1,000 images through C simulation and RTL, 10,000 through Keras."""
    config = BuildConfig(dataset="cifar10", bits=str(bits), quantizer="n2uq", max_cycles=16_384, route=False)
    report = reported(config, tmp_path / "run")
    exact, codes = report["exact"], report["odd_codes"]
    assert exact["images"] == 1_000 and exact["keras_images"] == 10_000
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    assert codes["uniform_lut"] < codes["lut"] <= 1.1 * codes["uniform_lut"]


def test_run_time_widths_on_real_images(tmp_path, real_images):
    """The shipped network: 23 configurations in turn through all engines, 100 images each."""
    report = reported(BuildConfig(dataset="cifar10", runtime_bits="2,3,4", images=2300, route=False), tmp_path / "run")
    exact, runtime = report["exact"], report["runtime"]
    assert exact["images"] == 2300 and runtime["compared"] == 23 and report["resources"]["fits"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    narrow, _, wide = (one["interval_cycles"] for one in runtime["configurations"][:3])
    assert narrow <= 0.6 * wide


@pytest.mark.parametrize(
    ("model", "board", "max_cycles"),
    [
        ("jets", "pynq-z2", 16),
        ("lenet", "pynq-z2", 16_384),
        ("autoencoder", "pynq-z2", 16_384),
        ("dscnn", "pynq-z2", 65_536),
    ],
)
def test_a_model_of_its_own_size(model, board, max_cycles, tmp_path):
    """Trained on digits or generated data."""
    config = BuildConfig(model=model, board=board, max_cycles=max_cycles, images=100, route=False)
    exact = reported(config, tmp_path / "run")["exact"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0


def test_resnet8_of_mixed_widths_on_the_digits(tmp_path):
    """Every width from 1 to 8 somewhere among weights and activations."""
    bits = BitsSpec.uniform(MODELS["resnet8"], 4).model_dump()
    for group, widths in (
        ("weights", (8, 1, 2, 3, 5, 6, 7, 4, 2, 8)),
        ("activations", (8, 5, 1, 8, 3, 2, 6, 7, 4, 3, 8, 8, 4)),
    ):
        bits[group] = dict(zip(bits[group], widths, strict=True))
    (tmp_path / "bits.yaml").write_text(yaml.safe_dump(bits))
    config = BuildConfig(bits=str(tmp_path / "bits.yaml"), dataset="digits", epochs=2, max_cycles=70_000, route=False)
    exact = reported(config, tmp_path / "run")["exact"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
