"""The whole path on a small network of mixed widths: every engine exact, stages skipped, planted bugs caught.

One build of the `tiny` network is shared by all tests of this file; each works on a copy of its folder.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from flow import golden, paths
from flow.bits import BitsSpec
from flow.errors import CheckFailed, FlowError
from flow.pipeline.build import build, stage_folder
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from keras_models import MODELS


def quiet() -> Reporter:
    return Reporter(Console(file=None, quiet=True))


def recorded() -> tuple[Reporter, Console]:
    console = Console(record=True, width=200, force_terminal=False, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    return Reporter(console), console


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def config(place) -> BuildConfig:
    """Widths that differ from layer to layer, 1 bit among them."""
    spec = MODELS["tiny"]
    bits = BitsSpec.uniform(spec, 4).model_dump()
    for index, name in enumerate(bits["weights"]):
        bits["weights"][name] = (8, 3, 1, 2, 5, 8)[index % 6]
    names = [name for name, width in bits["activations"].items() if width == 4]
    bits["activations"] |= dict(zip(names, (3, 5, 4, 2, 6)))
    (place / "bits.yaml").write_text(yaml.safe_dump(bits))
    return BuildConfig(
        model="tiny", bits=str(place / "bits.yaml"), dataset="digits", epochs=2, images=40, max_cycles=2000,
        bench_frames=2, route=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def complete(place, config) -> Path:
    with contextlib.chdir(place):  # a folder named from where one is, as on a command line
        build(config, Path("run"), quiet())
    return place / "run"


@pytest.fixture
def copy(complete, tmp_path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "run"))


def test_every_engine_agrees_on_every_integer(complete, config):
    report = json.loads((stage_folder(complete, "report") / "report.json").read_text())
    exact = report["exact"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    assert exact["images"] == 40
    assert exact["keras_images"] == report["dataset"]["images"] > 300
    widths = yaml.safe_load(Path(config.bits).read_text())
    assert report["bits"] == widths
    assert len(set(widths["weights"].values())) > 3


def test_the_measured_interval_is_the_folding_s(complete):
    report = json.loads((stage_folder(complete, "report") / "report.json").read_text())
    planned = max(layer["cycles"] for layer in report["folding"].values())
    assert planned <= report["latency"]["interval_cycles"] <= planned + 24
    assert report["latency"]["interval_cycles"] <= 2000 + 24


def test_the_report_says_what_each_layer_computes(complete):
    report = json.loads((stage_folder(complete, "report") / "report.json").read_text())
    layers = {layer.name: layer for layer in MODELS["tiny"].weight_layers()}
    assert {name: work["macs"] for name, work in report["work"].items()} == {
        name: layer.macs for name, layer in layers.items()
    }
    for name, work in report["work"].items():
        assert work["weight_bits"] == report["bits"]["weights"][name]
        source = layers[name].source
        if source in report["bits"]["activations"] and name != "dense":
            assert work["input_bits"] == report["bits"]["activations"][source]
    assert report["work"]["conv1"]["input_bits"] == 8


def test_nothing_runs_when_nothing_changed(copy, config):
    built = build(config, copy, quiet())
    assert all(stage.skipped for stage in built.stages.values())
    assert built.seconds < 10


def test_a_changed_setting_runs_what_depends_on_it(copy, config):
    built = build(config.model_copy(update={"images": 30}), copy, quiet(), last="csim")
    assert [name for name, stage in built.stages.items() if not stage.skipped] == ["convert", "csim"]


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(p.read_bytes()[:-7]), lambda p: p.unlink()])
def test_a_damaged_artefact_is_named_and_made_again(copy, config, damage):
    graph = stage_folder(copy, "convert") / "graph.npz"
    good = graph.read_bytes()
    damage(graph)
    reporter, console = recorded()
    built = build(config, copy, reporter, last="convert")
    assert not built.stages["convert"].skipped
    assert built.stages["fold"].skipped
    assert str(graph) in console.export_text()
    assert len(graph.read_bytes()) == len(good)


def test_a_deleted_part_of_the_vitis_project_is_written_again(copy, config):
    firmware = stage_folder(copy, "convert") / "vitis" / "firmware"
    right = (firmware / "network.cpp").read_text()
    shutil.rmtree(firmware)
    built = build(config, copy, quiet(), last="csim")
    assert [name for name, stage in built.stages.items() if not stage.skipped] == ["convert"]
    assert (firmware / "network.cpp").read_text() == right


def test_a_damaged_record_is_not_trusted(copy, config):
    (stage_folder(copy, "rtl") / "done.json").write_text('{"digest": ')
    built = build(config, copy, quiet(), last="rtl")
    assert not built.stages["rtl"].skipped


def test_a_stage_that_was_killed_runs_again(copy, config, monkeypatch):
    folder = stage_folder(copy, "rtl")
    (folder / "done.json").unlink()
    built = build(config, copy, quiet(), last="rtl")
    assert [name for name, stage in built.stages.items() if not stage.skipped] == ["rtl"]


def test_from_needs_what_comes_before(tmp_path, config):
    with pytest.raises(FlowError, match=r"stage 'train' in .* is missing or out of date"):
        build(config, tmp_path / "new", quiet(), first="rtl")


def test_one_build_at_a_time(copy, config):
    import fcntl

    with (copy / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(FlowError, match="another build is running"):
            build(config, copy, quiet())


def test_an_off_by_one_in_golden_s_thresholds_stops_the_build(copy, config, monkeypatch):
    right = golden.functions.threshold
    monkeypatch.setattr(golden.functions, "threshold", lambda x, t, flip, offset: right(x, t + 1, flip, offset))
    (stage_folder(copy, "convert") / "done.json").unlink()
    with pytest.raises(
        CheckFailed, match=r"Keras twin and golden: [\d,]+ of 3,590 integers differ; the first in layer"
    ):
        build(config, copy, quiet())


def _patched(folder: Path, copy_to: Path, file: str, old: str, new: str) -> Path:
    """A copy of one of the project's folders with one change in one file."""
    shutil.copytree(folder, copy_to)
    text = (copy_to / file).read_text()
    assert old in text
    (copy_to / file).write_text(text.replace(old, new, 1))
    return copy_to


def _use(monkeypatch, name: str, folder: Path) -> None:
    """Lets every module that reads the shared folder `name` find `folder` instead."""
    right = paths.shared
    monkeypatch.setattr(paths, "shared", lambda asked: folder if asked == name else right(asked))


def test_an_off_by_one_in_a_verilog_module_stops_the_build(copy, config, tmp_path, monkeypatch):
    folder = _patched(
        paths.verilog(), tmp_path / "verilog", "add.sv", "OUT_WIDTH'(a) +", "OUT_WIDTH'(a) + OUT_WIDTH'(1) +"
    )
    _use(monkeypatch, "verilog", folder)
    (stage_folder(copy, "rtl") / "done.json").unlink()
    with pytest.raises(CheckFailed) as caught:
        build(config, copy, quiet())
    message = str(caught.value)
    assert "RTL and golden" in message
    # the layer that is wrong is named, with index, expected and actual
    assert "the first in layer 's1_add' at (0, 0, 0, 0): expected" in message


def test_an_off_by_one_in_the_hls_template_stops_the_build(copy, config, tmp_path, monkeypatch):
    folder = _patched(
        paths.hls_templates(), tmp_path / "hls", "threshold.h", "CONFIG_T::offset)", "CONFIG_T::offset + 1)"
    )
    _use(monkeypatch, "hls_templates", folder)
    for stage in ("convert", "csim"):
        (stage_folder(copy, stage) / "done.json").unlink()
    with pytest.raises(CheckFailed, match=r"C simulation and golden: [\d,]+ of 400 integers differ"):
        build(config, copy, quiet(), last="csim")


def test_a_network_that_does_not_fit_says_by_how_much(copy, config, tmp_path):
    board = {"name": "small", "part": "none", "lut": 900, "ff": 2000, "dsp": 0, "bram36": 1, "lutram": 100}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(board))
    small = config.model_copy(update={"board": str(tmp_path / "small.yaml")})
    with pytest.raises(FlowError, match=r"does not fit.* LUT [\d,]+ of \d+"):
        build(small, copy, quiet(), last="rtl")
    left_to_synthesis = build(small.model_copy(update={"estimate_refuses": False}), copy, quiet(), last="rtl")
    assert left_to_synthesis.stages["rtl"].folder.joinpath("folding.yaml").is_file()


def test_an_edited_folding_is_built(copy, config, tmp_path):
    folding = yaml.safe_load((stage_folder(copy, "rtl") / "folding.yaml").read_text())
    styles = [entry for entry in folding.values() if "style" in entry]
    assert styles
    for entry in styles:
        entry["style"] = "parallel" if entry["style"] == "binary" else "binary"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(folding))
    mine = config.model_copy(update={"folding": tmp_path / "mine.yaml"})
    with pytest.raises(FlowError, match=r"--max-cycles: --folding .* sets the rate already"):
        build(mine, copy, quiet())
    built = build(mine.model_copy(update={"max_cycles": None}), copy, quiet(), last="rtl")
    assert not built.stages["rtl"].skipped
    assert yaml.safe_load((built.stages["rtl"].folder / "folding.yaml").read_text()) == folding


def test_outputs_are_compared_per_image(complete):
    expected = np.load(stage_folder(complete, "convert") / "golden.npy")
    assert expected.dtype == np.int64
    assert expected.shape[1] == 10
