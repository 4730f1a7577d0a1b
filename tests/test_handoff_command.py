"""flow handoff as a command: reports that are collected, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import finished_build
import numpy as np
import pytest
import vendor_reports as texts

from flow import handoff
from flow.cli.main import main
from flow.errors import FlowError
from flow.files import whole_folder
from flow.pipeline.stage import recorded
from flow.pipeline.stages import STAGES


@pytest.fixture
def run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def command(monkeypatch, capsys, *words) -> tuple[int, str]:
    """Exit status and what went to standard error."""
    monkeypatch.setattr(sys, "argv", ["flow", "handoff", *map(str, words)])
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    return status, capsys.readouterr().err


@pytest.fixture
def results(handed, tmp_path) -> Path:
    """A hand-off folder after the vendor's tools have been there."""
    folder = Path(shutil.copytree(handed["vivado"], tmp_path / "results"))
    hls = folder / "elsewhere" / "network_prj" / "solution1"
    written = {
        hls / "syn" / "report" / "network_csynth.xml": texts.CSYNTH,
        hls / "syn" / "report" / "other_csynth.xml": "<profile/>",
        hls / "sim" / "report" / "network_cosim.rpt": texts.COSIM,
        folder / "reports" / "utilization_routed.rpt": texts.UTILIZATION,
        folder / "reports" / "utilization_synthesized.rpt": texts.UTILIZATION_CLB,
        folder / "reports" / "timing_summary_routed.rpt": texts.TIMING,
    }
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_reports_come_into_the_build_s_own(run, results, monkeypatch, capsys):
    assert command(monkeypatch, capsys, run, "--collect", results) == (0, "")
    report = handoff.finished(run).report
    assert report.vendor.utilization.state == "Routed"
    assert report.vendor.csynth.interval_cycles.high == 1025
    assert report.vendor.cosim.passed and report.vendor.timing.met
    assert "vendor tools" not in report.not_measured
    assert "## Vendor's tools" in (run / "8_report" / "report.md").read_text()
    done, _ = recorded(STAGES[-1], len(STAGES), run)
    assert "report.md" in done.result.files, "a build takes the stage as intact"


def test_what_was_collected_before_stays(run, results, monkeypatch, capsys, tmp_path):
    part = tmp_path / "part"
    part.mkdir()
    (part / "my_timing_summary.rpt").write_text(texts.TIMING_FAILED)
    assert command(monkeypatch, capsys, run, "--collect", part)[0] == 0
    report = handoff.finished(run).report
    assert not report.vendor.timing.met and report.vendor.csynth is None
    assert report.not_measured["vendor tools"] == "no report of csynth, cosim, utilization was collected"
    shutil.rmtree(results / "reports")
    assert command(monkeypatch, capsys, run, "--collect", results)[0] == 0
    report = handoff.finished(run).report
    assert report.vendor.csynth is not None and not report.vendor.timing.met


def wrong(status_and_text: tuple[int, str]) -> str:
    """The message of a user's mistake: one line, exit status 2."""
    status, text = status_and_text
    assert status == 2 and len(text.splitlines()) == 1 and text.startswith("flow: "), text
    return text


def test_a_folder_without_reports_says_what_was_looked_for(run, monkeypatch, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    text = wrong(command(monkeypatch, capsys, run, "--collect", tmp_path / "empty"))
    for name in ("network_csynth.xml", "network_cosim.rpt", "utilization_routed.rpt", "timing_summary_routed.rpt"):
        assert name in text
    assert "there is no such folder" in wrong(command(monkeypatch, capsys, run, "--collect", tmp_path / "none"))


def test_a_report_that_is_none_is_named(run, results, monkeypatch, capsys):
    (results / "reports" / "timing_summary_routed.rpt").write_text("")
    before = (run / "8_report" / "report.json").read_bytes()
    text = wrong(command(monkeypatch, capsys, run, "--collect", results))
    assert "timing_summary_routed.rpt: not a timing summary" in text
    assert (run / "8_report" / "report.json").read_bytes() == before


def test_reports_of_another_build_are_refused(run, results, monkeypatch, capsys):
    manifest = json.loads((results / "handoff.json").read_text())
    (results / "handoff.json").write_text(json.dumps(manifest | {"build": "00000000"}))
    assert "was handed off from build 00000000" in wrong(command(monkeypatch, capsys, run, "--collect", results))


# mistakes


def test_wrong_words(run, monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    assert "did you mean 'vivado'?" in wrong(command(monkeypatch, capsys, run, "--to", "vivdo", "--out", out))
    assert "give one of them" in wrong(command(monkeypatch, capsys, run))
    assert "give one of them" in wrong(command(monkeypatch, capsys, run, "--to", "vitis", "--collect", out))
    assert "--out is where" in wrong(command(monkeypatch, capsys, run, "--collect", out, "--out", out))
    assert "is not the folder of a build" in wrong(command(monkeypatch, capsys, tmp_path / "none", "--to", "vitis"))
    assert not out.exists()


def test_an_unwritable_place_is_named(run, monkeypatch, capsys):
    text = wrong(command(monkeypatch, capsys, run, "--to", "vitis", "--out", "/proc/none"))
    assert "cannot write /proc/none" in text


def test_what_is_in_the_way_stays(run, monkeypatch, capsys, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "precious").write_text("mine")
    text = wrong(command(monkeypatch, capsys, run, "--to", "vivado", "--out", place))
    assert "is not empty and no hand-off" in text
    assert [path.name for path in place.iterdir()] == ["precious"]
    assert "is a file" in wrong(command(monkeypatch, capsys, run, "--to", "vivado", "--out", place / "precious"))


def test_an_earlier_hand_off_is_replaced_but_not_its_results(run, monkeypatch, capsys, tmp_path):
    place = tmp_path / "place"
    for _ in range(2):
        assert command(monkeypatch, capsys, run, "--to", "vitis", "--out", place) == (0, "")
    (place / "reports").mkdir()
    (place / "reports" / "hours_of_work.rpt").write_text("")
    text = wrong(command(monkeypatch, capsys, run, "--to", "vitis", "--out", place))
    assert "reports/hours_of_work.rpt has come or changed" in text
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("stage", ["simulate", "report"])
def test_an_unfinished_build_is_refused(run, stage, monkeypatch, capsys):
    next(run.glob(f"*_{stage}")).joinpath("done.json").unlink()
    text = wrong(command(monkeypatch, capsys, run, "--to", "vivado"))
    assert f"is not a finished build: stage '{stage}' has not finished; finish it first: flow build --config" in text


def test_a_stage_that_ran_again_makes_later_ones_stale(run, monkeypatch, capsys):
    finished_build.finish(run, "rtl", digest="another folding")
    text = wrong(command(monkeypatch, capsys, run, "--to", "vivado"))
    assert "stage 'simulate' has not run since 'rtl' did" in text


def test_other_images_than_the_build_s_are_noticed(run, monkeypatch, capsys, tmp_path):
    golden = run / "3_convert" / "golden.npy"
    outputs = np.load(golden)
    outputs[-1, -1] += 1
    np.save(golden, outputs)
    for stage in STAGES[2:]:
        files = {"convert": ("graph.npz", "golden.npy"), "report": ("report.json", "report.md")}.get(stage.name, ())
        finished_build.finish(run, stage.name, files)
    text = wrong(command(monkeypatch, capsys, run, "--to", "vivado", "--out", tmp_path / "out"))
    assert "the test images of digits are not here" in text
    assert not (tmp_path / "out").exists()


def test_a_changed_file_is_named(run, monkeypatch, capsys):
    path = run / "5_rtl" / "folding.yaml"
    path.write_text(path.read_text() + "# edited\n")
    assert "folding.yaml is changed or cut short" in wrong(command(monkeypatch, capsys, run, "--to", "vivado"))


def test_a_simulation_starts_from_files_that_belong_together(run, monkeypatch, capsys):
    folding = run / "5_rtl" / "folding.yaml"
    folding.write_text(folding.read_text() + "# edited\n")
    monkeypatch.setattr(sys, "argv", ["flow", "simulate", str(run)])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "folding.yaml is changed or cut short; finish it first" in said
    assert said.rstrip().endswith("--to rtl")


def test_edited_or_lost_cpp_is_not_handed_off(run, monkeypatch, capsys):
    source = run / "3_convert" / "vitis" / "firmware" / "network.cpp"
    source.write_text(source.read_text() + "// edited\n")
    assert "network.cpp is changed or cut short" in wrong(command(monkeypatch, capsys, run, "--to", "vitis"))
    shutil.rmtree(run / "3_convert" / "vitis")
    assert "flow.json is missing" in wrong(command(monkeypatch, capsys, run, "--to", "vitis"))


def test_a_lost_source_is_not_taken_for_an_unwritable_place(tmp_path):
    with pytest.raises(FileNotFoundError, match="source"), whole_folder(tmp_path / "place") as folder:
        shutil.copyfile(tmp_path / "source", folder / "copy")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    place, right = tmp_path / "place", os.replace
    place.mkdir()
    (place / "kept").touch()

    def refused(source, target):
        if Path(source).name == "new":
            raise OSError("no")
        right(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(FlowError, match="cannot write"), whole_folder(place):
        pass
    assert [file.name for file in tmp_path.rglob("*")] == ["place", "kept"]


def test_settings_of_a_build_that_did_not_end_are_not_handed_off(run, monkeypatch, capsys, tmp_path):
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("pynq-z2", "kv260"))
    said = wrong(command(monkeypatch, capsys, run, "--to", "vivado", "--out", tmp_path / "out"))
    assert "of a build that did not end; it was built for another chip: xc7z020clg400-1, not xck26" in said


@pytest.mark.parametrize(
    "part, change, message",
    [
        ("exact", {"golden_vs_rtl": 3}, "its checks failed: RTL differs in 3 integers"),
        ("resources", {"budget": {"lut": 10, "ff": 10, "dsp": 0, "bram36": 0}, "fits": False}, "It does not fit"),
    ],
)
def test_a_build_whose_checks_failed_is_refused(run, part, change, message, monkeypatch, capsys, tmp_path):
    path = run / "8_report" / "report.json"
    plain = json.loads(path.read_text())
    plain[part] |= change
    path.write_text(json.dumps(plain))
    finished_build.finish(run, "report", ("report.json", "report.md"))
    assert message in wrong(command(monkeypatch, capsys, run, "--to", "vivado", "--out", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
