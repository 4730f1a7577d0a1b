"""`flow build` of a file that somebody brought: the same stages, with samples and without."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import published
import pytest
from rich.console import Console

from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.keras_env import keras
from flow.pipeline.build import build, check, settled, stage_folder
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from flow.quantizers import SYSTEMS
from flow.quantizers.n2uq import system_of
from keras_models import MODELS


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The jet tagger as a file, and labelled samples."""
    folder, model = tmp_path_factory.mktemp("own"), published.jets()
    model.save(folder / "My jets.h5")
    x = np.random.default_rng(0).normal(0, 1.5, (120, 16)).astype(np.float32)
    np.savez(folder / "jets.npz", x=x, y=model(x).numpy().argmax(axis=1))
    return folder


def quiet() -> Reporter:
    return Reporter(Console(file=None, quiet=True))


def test_every_engine_agrees_and_the_report_says_on_what(saved, tmp_path):
    config = BuildConfig(
        model=str(saved / "My jets.h5"), samples=saved / "jets.npz", images=40, max_cycles=256, bench_frames=2,
        route=False,
    )  # fmt: skip
    check(config)
    build(config, tmp_path, quiet())
    report = json.loads((stage_folder(tmp_path, "report") / "report.json").read_text())
    exact = report["exact"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    assert (exact["keras_images"], exact["rtl_images"]) == (120, 40)
    assert report["model"] == "my_jets" and report["dataset"]["name"] == "jets"
    assert report["accuracy"]["trained"] == 1.0 and report["accuracy"]["deployed"] > 0.95
    # the layers work side by side, each for a frame's time
    assert report["latency"]["interval_cycles"] <= 256 + 24
    assert report["bits"]["weights"] == {"fc1": 6, "fc2": 6, "fc3": 6, "output_2": 6}


def test_the_hardware_gives_labels_where_they_are_asked_for(saved, tmp_path):
    config = BuildConfig(
        model=str(saved / "My jets.h5"), samples=saved / "jets.npz", images=40, max_cycles=256, bench_frames=2,
        route=False, output="argmax",
    )  # fmt: skip
    found = build(config, tmp_path, quiet(), last="simulate").stages
    values = {name: stage.result.values for name, stage in found.items()}
    assert [values[name]["differing"] for name in ("convert", "csim", "simulate")] == [0, 0, 0]
    assert values["simulate"]["scores"]["accuracy"] > 0.9
    labels = np.load(stage_folder(tmp_path, "convert") / "golden.npy")
    assert labels.shape == (120, 1) and len(np.unique(labels)) > 1
    assert np.mean(labels[:, 0] == np.load(saved / "jets.npz")["y"]) == values["fold"]["scores_deployed"]["accuracy"]


def test_without_samples_inputs_are_random_and_nothing_is_right_or_wrong(saved, tmp_path):
    config = BuildConfig(model=str(saved / "My jets.h5"), images=30, route=False)
    found = build(config, tmp_path, quiet(), last="convert").stages
    assert found["train"].result.values["source"] == "random inputs, seed 0"
    assert found["fold"].result.values["scores_deployed"] == {}
    assert found["convert"].result.values == {"images": 30, "differing": 0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantizer": "n2uq"}, "--quantizer: My jets.h5 is trained, with bits and quantizers of its own"),
        ({"bits": "4"}, "--bits: My jets.h5 is trained, with bits and quantizers of its own"),
        ({"epochs": 3}, "--epochs: My jets.h5 is trained"),
        ({"dataset": "digits"}, "--dataset: My jets.h5 is tried on --samples, or on random inputs; leave --dataset"),
        ({"data": Path("somewhere")}, "--data: My jets.h5 is tried on --samples"),
        ({"samples": "none.npz"}, "there is no such file"),
    ],
)
def test_settings_that_a_trained_file_does_not_take(saved, settings, message):
    with pytest.raises(FlowError, match=message):
        check(BuildConfig(model=str(saved / "My jets.h5"), **settings))


def test_a_network_without_quantizers_is_told_which_it_needs(tmp_path):
    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Flatten()]
    keras.Sequential(layers).save(tmp_path / "float.h5")
    with pytest.raises(FlowError, match=r"conv \(Conv2D\): has no kernel quantizer; use QConv2D"):
        check(BuildConfig(model=str(tmp_path / "float.h5"), quantizer="n2uq"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_quantizer_of_a_report_is_that_of_the_layers(system):
    assert system_of(MODELS["tiny"].build_quantized(BitsSpec.uniform(MODELS["tiny"], 2), quantizer=system)) == system


def test_options_that_leave_no_say_to_another_are_refused(tmp_path):
    (tmp_path / "mine").write_text("")
    tiny = BuildConfig(model="tiny", dataset="digits")
    for changes, message in (
        ({"checkpoint": tmp_path / "mine", "epochs": 3}, "--epochs: --checkpoint .*mine is trained already"),
        ({"folding": tmp_path / "mine", "max_cycles": 3}, "--max-cycles: --folding .*mine sets the rate already"),
        ({"folding": tmp_path / "mine", "target_fps": 3.0}, "--target-fps: --folding .*mine sets the rate already"),
    ):
        with pytest.raises(FlowError, match=message):
            check(tiny.model_copy(update=changes))


def test_a_run_keeps_the_dataset_that_auto_came_to(saved, tmp_path):
    assert settled(BuildConfig(model="tiny")).dataset == "digits"
    assert settled(BuildConfig(model="tiny", data=tmp_path)).dataset == "auto"
    assert settled(BuildConfig(model=str(saved / "My jets.h5"))).dataset == "auto"


def test_samples_are_for_files_only():
    with pytest.raises(FlowError, match="samples are for a model file"):
        check(BuildConfig(model="tiny", samples="some.npz"))
