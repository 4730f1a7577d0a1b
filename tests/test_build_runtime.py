"""`flow build --runtime-bits` on a small network: every engine exact with other widths in every frame, and what the
report says of the widths. One build is shared by the tests of this file; its network has random values."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import networks
import numpy as np
import pytest
from mixers import TINY, WIDTHS, random_network
from reports import build_of, finished_run
from test_build import _patched, _use, quiet
from typer.testing import CliRunner

from flow import golden, ir, paths
from flow.cli.main import app
from flow.cli.pick import _with_cycles_of
from flow.errors import CheckFailed, FlowError
from flow.handoff import vitis, vivado
from flow.handoff.finished import finished
from flow.mixer.config import default_mixer_config
from flow.mixer.curve import Curve, Sample, read_curve
from flow.pipeline.build import build, stage_folder
from flow.pipeline.config import BuildConfig, make_config
from flow.pipeline.subject import subject_of
from flow.pipeline.widths import configurations, frame_widths
from flow.report import check, markdown
from flow.report.summary import summary_rows
from flow.tools import verilator
from flow.training.checkpoints import read_meta
from flow.training.run import Trained

CONFIG = BuildConfig(
    model="tiny", runtime_bits="2,3,4", dataset="digits", images=46, max_cycles=3000, bench_frames=2, route=False
)
#: that choose their width, in `tiny`
LAYERS = 3
RUNTIME = ir.RuntimeWidths((2, 3, 4), ("a", "b", "c", "d"))


def untrained(nesting: str = "floor") -> Trained:
    scores = {"accuracy": 0.1} | {f"accuracy at {width} bits": 0.1 for width in WIDTHS}
    recipe = default_mixer_config("digits", TINY.input_shape, 3).model_copy(update={"nesting": nesting})
    network = random_network(nesting=nesting)
    return Trained(TINY, network, "digits", recipe, [{"loss": 2.0}], scores, 359, runtime=WIDTHS)


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> BuildConfig:
    """With a checkpoint that has a name of its own."""
    folder = tmp_path_factory.mktemp("checkpoint")
    trained = untrained().save("flow train", folder)
    for path in folder.glob(f"{trained.stem}.*"):
        path.rename(folder / f"mine{path.suffix}")
    return CONFIG.model_copy(update={"checkpoint": folder / "mine.h5"})


@pytest.fixture(scope="session")
def complete(tmp_path_factory, config) -> Path:
    folder = tmp_path_factory.mktemp("runtime") / "run"
    build(config, folder, quiet())
    return folder


@pytest.fixture(scope="session")
def plain(complete) -> dict:
    return json.loads((stage_folder(complete, "report") / "report.json").read_text())


def test_every_engine_agrees_with_other_widths_in_every_frame(plain):
    exact, runtime = plain["exact"], plain["runtime"]
    assert exact["golden_vs_keras"] == exact["golden_vs_csim"] == exact["golden_vs_rtl"] == 0
    assert exact["images"] == 46 and exact["keras_images"] > 300
    assert runtime["compared"] == 23 and runtime["widths"] == [2, 3, 4]


def test_fewer_bits_take_fewer_measured_cycles(plain):
    timed = {tuple(one["bits"]): one for one in plain["runtime"]["configurations"]}
    layers = len(plain["runtime"]["layers"])
    two, three, four = (timed[(width,) * layers]["interval_cycles"] for width in (2, 3, 4))
    assert two < three < four and two <= 0.6 * four
    assert plain["latency"]["interval_cycles"] == four
    mixed = [one for bits, one in timed.items() if len(set(bits)) > 1]
    assert len(mixed) == 5
    for one in mixed:
        assert two <= one["interval_cycles"] <= four
        assert one["planned_cycles"] <= one["interval_cycles"] <= 1.1 * one["planned_cycles"] + 24


def test_words_are_those_that_the_hardware_takes(plain):
    for one in plain["runtime"]["configurations"]:
        assert one["word"] == sum((bits - 2) << 2 * number for number, bits in enumerate(one["bits"]))


def test_scores_are_those_of_each_width(plain):
    runtime = check(plain).runtime
    assert plain["accuracy"]["deployed"] == runtime.at(4).deployed
    assert all(abs(runtime.at(width).trained - runtime.at(width).deployed) <= 0.02 for width in (2, 3, 4))
    assert runtime.mixed_deployed is not None and runtime.mixed_rtl is not None
    assert "widths of its own" in plain["not_measured"]["accuracy.rtl"]
    assert runtime.nesting == "floor" and 0 <= runtime.differing_activations < runtime.total_activations / 1000


def test_a_reader_finds_the_widths(plain):
    report = check(plain)
    rows = dict(summary_rows(report))
    cycles = [f"{report.runtime.at(width).interval_cycles:,}" for width in (2, 3, 4)]
    assert rows["cycles between frames, all layers at 2, 3, 4 bits"] == ", ".join(cycles)
    assert "cycles between frames, all layers at 4 bits" in rows and "cycles between frames" not in rows
    assert rows["accuracy, RTL, 23 configurations in turn"].endswith(" of 46 images")
    text = markdown.markdown(report, {})
    assert "nested by their floor" in text
    assert "## Widths that each frame chooses" in text and "| all 2 |" in text
    without = {key: value for key, value in plain.items() if key != "runtime"}
    assert "Widths that each frame" not in markdown.markdown(check(without), {})


def test_firmwares_of_one_width_stand_beside_it(complete, config, tmp_path):
    run = Path(shutil.copytree(complete, tmp_path / "run"))
    static = finished_run(tmp_path / "tiny-4", build_of(4, accuracy=0.95, interval=700, lut=3_000))
    built = build(config.model_copy(update={"beside": (static,)}), run, quiet())
    assert [name for name, stage in built.stages.items() if not stage.skipped] == ["report"]
    folder = stage_folder(run, "report")
    (found,) = check(json.loads((folder / "report.json").read_text())).runtime.beside
    assert (found.name, found.interval_cycles, found.deployed) == ("tiny-4", 700, 0.95) and found.lut >= 3_000
    text = (folder / "report.md").read_text()
    assert "| this one |" in text and "| tiny-4 |" in text
    with pytest.raises(FlowError, match=r"beside: .*nothing is not the folder of a build"):
        build(config.model_copy(update={"beside": (tmp_path / "nothing",)}), run, quiet())
    other = finished_run(tmp_path / "other", build_of(4, dataset__name="other"))
    with pytest.raises(FlowError, match=r"beside: .*other is of another dataset: other, not digits"):
        build(config.model_copy(update={"beside": (other,)}), run, quiet())
    with pytest.raises(FlowError, match="chooses its widths too; name builds of one width each"):
        build(config.model_copy(update={"beside": (complete,)}), run, quiet())
    with pytest.raises(FlowError, match="beside: is for a build with --runtime-bits"):
        build(BuildConfig(model="tiny", dataset="digits", beside=(static,)), run, quiet())


def test_nothing_runs_when_nothing_changed(complete, config):
    assert all(stage.skipped for stage in build(config, complete, quiet()).stages.values())


def test_a_handed_off_vivado_project_runs_at_both_ends(complete, tmp_path):
    """Its test bench, at the widest and, by its registers, at the narrowest; what the host gets has each frame's."""
    vivado.write(finished(complete), tmp_path)
    environment = {**os.environ, **verilator.environment()}
    command = ["./run.sh", "verilator"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: 4 frames three times" in done.stdout
    work = tmp_path / "build" / "verilator"
    (work / "narrowest.hex").write_text((work / "expected.hex").read_text())
    wrong = subprocess.run(["obj/Vtestbench"], cwd=work, check=False, capture_output=True, text=True)
    assert wrong.returncode and "FAILED: frame 0, word 0" in wrong.stdout + wrong.stderr
    images, expected, widths = (np.load(tmp_path / "host" / f"{name}.npy") for name in ("images", "expected", "widths"))
    assert len(np.unique(widths, axis=0)) > 20 and set(widths.flat) == set(WIDTHS)
    graph = finished(complete).graph
    for image, result, row in zip(images[:3], expected, widths):
        np.testing.assert_array_equal(golden.run(graph, image[None], configuration=list(row)), result[None])


def test_a_handed_off_vitis_project_runs_with_each_frames_widths(complete, tmp_path):
    vitis.write(finished(complete), tmp_path)
    assert "among 2, 3, 4 bits, in the order\ns1_conv1, s1_conv2, s1_skip." in (tmp_path / "README.md").read_text()
    done = subprocess.run(["./run.sh", "g++"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    vectors = tmp_path / "tb_data" / "csim_images.bin"
    images = np.fromfile(vectors, "<i4").reshape(-1, 8 * 8 * 3 + LAYERS)
    assert len(np.unique(images[:, -LAYERS:], axis=0)) > 20
    images[7, -1] = (images[7, -1] + 1) % len(WIDTHS)  # another width than the expected output's
    vectors.write_bytes(images.tobytes())
    assert subprocess.run(["./run.sh", "g++"], cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_a_planted_bug_stops_the_build(complete, config, tmp_path, monkeypatch):
    """A doubled sum whose new bit is wrong: in hardware alone, and only from the second plane on."""
    copy = Path(shutil.copytree(complete, tmp_path / "run"))
    doubled = "{accumulator[KERNEL_WIDTH-2:0], 1'b%d}"
    _use(monkeypatch, "verilog", _patched(
        paths.verilog(), tmp_path / "verilog", "serial_row.sv", doubled % 1, doubled % 0
    ))  # fmt: skip
    (stage_folder(copy, "rtl") / "done.json").unlink()
    with pytest.raises(CheckFailed, match=r"RTL and golden: .* the first in layer 's1_conv1'"):
        build(config, copy, quiet())


def test_each_configuration_has_its_share_of_the_frames_and_none_comes_twice_in_a_row():
    chosen = configurations(CONFIG, RUNTIME)
    assert len(np.unique(chosen, axis=0)) == len(chosen) == 23
    assert chosen[:3].tolist() == [[2] * 4, [3] * 4, [4] * 4]
    frames = frame_widths(CONFIG, RUNTIME, 2300)
    _, counts = np.unique(frames, axis=0, return_counts=True)
    assert set(counts.tolist()) == {100}
    assert (frames[1:] != frames[:-1]).any(axis=1).all()
    np.testing.assert_array_equal(frame_widths(CONFIG, RUNTIME, 50), frames[:50])
    assert frame_widths(CONFIG, None, 50) is None


def test_a_choice_counts_the_cycles_of_a_build(plain, complete, tmp_path):
    runtime = check(plain).runtime
    samples = [
        Sample(bits=tuple(one.bits), average_bits=one.average_bits, score=0.5, word=one.word)
        for one in runtime.configurations
    ]
    weights = read_meta(next(stage_folder(complete, "train").glob("*.h5"))).sha256
    curve = Curve(
        model="tiny", dataset="digits", sha256=weights, widths=runtime.widths, layers=runtime.layers, metric="accuracy",
        seed=0, test_images=1, samples=samples,
    )  # fmt: skip
    counted, how = _with_cycles_of(complete, curve)
    assert how.startswith("planned, and ")
    for sample, one in zip(counted.samples, runtime.configurations):
        assert max(one.interval_cycles, one.planned_cycles) <= sample.cycles <= 1.2 * one.planned_cycles
    with pytest.raises(FlowError, match=r"has other weights than the measured network \(tiny on digits, not other on"):
        _with_cycles_of(complete, curve.model_copy(update={"sha256": "0", "model": "other"}))
    with pytest.raises(FlowError, match="is not the folder of a build"):
        _with_cycles_of(complete / "none", curve)
    curve.write(tmp_path)
    slowest = max(sample.cycles for sample in counted.samples)
    said = CliRunner().invoke(app, ["pick", str(tmp_path), "--budget-cycles", str(slowest), "--build", str(complete)])
    assert said.exit_code == 0 and "cycles between frames (planned, and" in said.output, said.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": "4"}, "--runtime-bits 2,3: takes the place of --bits; leave one of them out"),
        ({"quantizer": "n2uq"}, "takes the place of --quantizer"),
        ({"runtime_bits": "1,2"}, "runtime bits 1, 2: widths are 2 to 8 bits"),
        ({"runtime_bits": "4,9"}, "widths are 2 to 8 bits"),
        ({"runtime_bits": "4"}, "runtime bits 4: 2 to 4 different widths"),
        ({"runtime_bits": "4,4"}, "2 to 4 different widths"),
        ({"runtime_bits": "2,3,4,5,6"}, "runtime bits 2, 3, 4, 5, 6: 2 to 4 different widths"),
        ({"runtime_bits": "low"}, "--runtime-bits low: should be widths with commas between"),
        ({"epochs": None}, r"no checkpoint of tiny on digits is included; .*\), or train here \(--epochs\)"),
        ({"epochs": 2}, "--epochs 2: run-time widths are trained in 3 stages"),
        ({"model": "dscnn", "dataset": "auto"}, "depthwise"),
    ],
)
def test_a_mistake_is_explained_before_anything_runs(changes, message):
    config = BuildConfig(model="tiny", dataset="digits", runtime_bits="2,3", epochs=3).model_copy(update=changes)
    with pytest.raises(FlowError, match=message):
        subject_of(config).check()


def test_what_cannot_be_hardware_is_refused_before_anything_runs(tmp_path):
    """It can be measured all the same."""
    path = untrained("round").save("flow train", tmp_path)
    with pytest.raises(FlowError, match=r"nesting=round, so that lower widths .* nesting=floor or nesting=centre"):
        subject_of(CONFIG.model_copy(update={"checkpoint": path})).check()
    options = ["--model", "tiny", "--dataset", "digits", "--samples", "2", "--out", str(tmp_path / "curve")]
    measured = CliRunner().invoke(app, ["mixer", *options, "--checkpoint", str(path)])
    assert measured.exit_code == 0 and "there are no integers to compare with" in measured.output, measured.output
    curve = read_curve(tmp_path / "curve")
    assert (len(curve.samples), curve.check) == (5, None)


def test_a_curve_is_of_its_own_network(config, tmp_path):
    """Another model or other widths than the checkpoint's."""
    arguments = ["mixer", "--dataset", "digits", "--checkpoint", str(config.checkpoint), "--out", str(tmp_path)]
    for other in (["--model", "lenet"], ["--model", "tiny", "--runtime-bits", "2,4"]):
        refused = CliRunner().invoke(app, [*arguments, *other])
        assert "is tiny with widths 2, 3, 4; say so with --model and --runtime-bits" in str(refused.exception)


def test_a_model_file_has_its_own_widths(tmp_path):
    networks.tiny(networks.mixed_bits()).save(tmp_path / "net.h5")
    config = BuildConfig(model=str(tmp_path / "net.h5"), runtime_bits="2,3")
    with pytest.raises(FlowError, match=r"--runtime-bits: net.h5 is trained.*leave --runtime-bits out"):
        subject_of(config).check()


def test_a_network_without_a_checkpoint_is_trained_for_its_widths(tmp_path, monkeypatch):
    """What training is asked for, by stand-ins."""
    asked = []
    starts = []
    monkeypatch.setattr("flow.training.run.float_start", lambda *given: starts.append(given) or "start")
    monkeypatch.setattr("flow.mixer.run.train_mixer", lambda *given: asked.append(given) or untrained())
    config = CONFIG.model_copy(update={"epochs": 6, "seed": 5})
    built = build(config, tmp_path / "run", quiet(), last="train").stages["train"]
    ((spec, widths, data, start, recipe, _, folder),) = asked
    assert (spec.name, widths, data.name, start, folder) == ("tiny", (2, 3, 4), "digits", "start", built.folder)
    assert (sum(recipe.stages), recipe.epochs, recipe.seed) == (6, 6, 5)
    command = "flow train --model tiny --runtime-bits 2,3,4 --dataset digits --epochs 6 --seed 5"
    assert built.result.values["command"] == command
    build(config.model_copy(update={"seed": 6}), tmp_path / "run", quiet(), last="train")
    assert len({given[2] for given in starts}) == 2, "a float start of another seed is not taken"


def test_a_checkpoint_of_one_width_is_refused():
    from flow.training.checkpoints import checkpoint_dir

    static = checkpoint_dir() / "resnet8-cifar10-w4a4.h5"
    with pytest.raises(FlowError, match=r"another list of bits than asked for: w4a4, not w2a2$"):
        subject_of(BuildConfig(bits="2", checkpoint=static))._given("cifar10")
    config = BuildConfig(runtime_bits="2,3", checkpoint=static)
    with pytest.raises(FlowError, match="another list of run-time widths than asked for: None"):
        subject_of(config)._given("cifar10")


def test_a_file_may_list_widths(tmp_path):
    (tmp_path / "c.yaml").write_text("runtime_bits: [2, 3, 4]\n")
    assert make_config(tmp_path / "c.yaml", [], {}).runtime_bits == "2,3,4"
