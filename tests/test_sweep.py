"""Sweeps: all widths are built, a few at a time; one that fails, or a sweep that is killed, loses no other."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from reports import build_of, finished_run
from rich.console import Console

import flow.sweep.run as sweep_run
from flow.bits import BitsSpec
from flow.cli.main import main
from flow.errors import CheckFailed, FlowError
from flow.files import locked
from flow.pipeline.reporter import StageLine, read_stage_line
from flow.pipeline.stages import STAGES
from flow.sweep.display import Display
from flow.sweep.plan import Planned, comparison_folder, parse_bits, plan
from flow.sweep.run import run_builds
from flow.sweep.verdict import gather, judge
from keras_models import MODELS

FAKE = Path(__file__).with_name("fake_build.py")
LINES = ["[1/8] train", "[1/8] train: done in 0.1 s", "[2/8] fold", "  twin: 3 of 9", "[2/8] fold: unchanged, skipped"]


class Builds:
    """A sweep of three widths whose builds do as they are told."""

    def __init__(self, place: Path) -> None:
        self.place, self.log = place, place / "log"
        self.planned = plan("2,4,8", None, [], {"model": "tiny", "dataset": "digits"}, place / "runs")
        self.orders = {}
        for item in self.planned:
            run = finished_run(place / "kept" / item.name, build_of(int(item.bits), 0.9, 100 * int(item.bits)))
            self.orders[item.name] = {"status": 0, "lines": LINES, "copy": str(run), "log": str(self.log)}

    def order(self, bits: int, **changes) -> None:
        self.orders[f"tiny-{bits}-digits"] |= changes

    def command(self, planned: Planned, folder: Path) -> list[str]:
        orders = self.place / "orders.json"
        if not orders.exists():
            orders.write_text(json.dumps(self.orders))
        return [sys.executable, str(FAKE), str(orders), planned.name, str(planned.folder)]

    def run(self, jobs: int = 2, console: Console | None = None):
        console = console or Console(file=io.StringIO())
        with Display(console, self.planned) as display:
            return run_builds(self.planned, self.place / "sweep", jobs, display, self.command)

    def events(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()]


@pytest.fixture
def builds(tmp_path) -> Builds:
    return Builds(tmp_path)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_as_many_builds_run_at_a_time_as_asked_for(builds, jobs):
    for bits in (2, 4, 8):
        builds.order(bits, seconds=0.5)
    outcomes = builds.run(jobs)
    assert [outcome.planned.bits for outcome in outcomes] == ["2", "4", "8"]
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    at_once = most = 0
    for what, *_ in builds.events():
        at_once += 1 if what == "start" else -1
        most = max(most, at_once)
    assert most == jobs
    comparison = gather(outcomes)
    assert [row.run for row in comparison.runs] == ["tiny-2-digits", "tiny-4-digits", "tiny-8-digits"]
    assert not comparison.failures
    judge(outcomes)


@pytest.mark.parametrize(
    "status, lines, reason",
    [
        (2, ["flow: no room"], "no room"),
        (1, ["flow: check failed: RTL and golden differ"], "check failed: RTL and golden differ"),
        (-9, ["[1/8] train"], "ended by signal 9; see "),
        (1, [], "exit status 1; see "),
    ],
)
def test_one_failed_width_does_not_lose_the_others(builds, status, lines, reason):
    builds.order(4, status=status, lines=lines, copy=None)
    outcomes = builds.run()
    comparison = gather(outcomes)
    assert [row.run for row in comparison.runs] == ["tiny-2-digits", "tiny-8-digits"]
    (failure,) = comparison.failures
    if status == 2 or lines:
        assert failure.reason.startswith(reason)
    kind = FlowError if status == 2 else CheckFailed
    with pytest.raises(kind, match=r"1 of 3 builds failed: tiny-4-digits: ") as caught:
        judge(outcomes)
    assert reason in str(caught.value)


def test_a_build_that_has_a_report_but_does_not_fit_is_compared(builds):
    tight = build_of(8, resources__budget={"lut": 100, "ff": 1, "dsp": 0, "bram36": 0, "lutram": 0})
    tight["resources"]["fits"] = False
    run = finished_run(builds.place / "tight", tight)
    builds.order(8, status=1, lines=["flow: check failed: does not fit"], copy=str(run))
    outcomes = builds.run()
    assert [row.fits for row in gather(outcomes).runs] == [True, True, False]
    with pytest.raises(CheckFailed, match="does not fit"):
        judge(outcomes)


def test_a_report_of_an_earlier_sweep_does_not_stand_for_a_failed_build(builds):
    builds.run()
    (builds.place / "orders.json").unlink()
    builds.order(4, status=2, lines=["flow: no such board"], copy=None)
    assert [failure.run for failure in gather(builds.run()).failures] == ["tiny-4-digits"]


def test_all_failed_is_said_too(builds):
    for bits in (2, 4, 8):
        builds.order(bits, status=2, lines=["flow: the disk is full"], copy=None)
    with pytest.raises(FlowError, match=r"3 of 3 builds failed: tiny-2-digits: the disk is full; tiny-4-digits"):
        gather(builds.run())


def test_each_build_has_its_log(builds):
    builds.run()
    for item in builds.planned:
        assert (builds.place / "sweep" / f"{item.name}.log").read_text().splitlines() == LINES


def test_one_sweep_at_a_time(builds):
    with locked(builds.place / "sweep" / ".lock"), pytest.raises(FlowError, match="another sweep is running in"):
        builds.run()


def test_an_interrupt_ends_the_builds(builds):
    class Impatient(Display):
        def started(self, planned: Planned) -> None:
            super().started(planned)
            if planned.bits == "4":
                raise KeyboardInterrupt

    for bits in (2, 4, 8):
        builds.order(bits, seconds=60)
    start = time.monotonic()
    display = Impatient(Console(file=io.StringIO()), builds.planned)
    with pytest.raises(KeyboardInterrupt):
        run_builds(builds.planned, builds.place / "sweep", 2, display, builds.command)
    assert time.monotonic() - start < 30


def _alive(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_killed_sweep_leaves_no_build_behind(builds, tmp_path):
    for bits in (2, 4, 8):
        builds.order(bits, seconds=120)
    (tmp_path / "orders.json").write_text(json.dumps(builds.orders))
    script = f"""
import sys; sys.path.insert(0, {str(FAKE.parent)!r})
import test_sweep; from pathlib import Path
from rich.console import Console
builds = test_sweep.Builds.__new__(test_sweep.Builds)
builds.place = Path({str(tmp_path)!r}); builds.log = builds.place / "log"
builds.planned = test_sweep.plan("2,4,8", None, [], {{"model": "tiny", "dataset": "digits"}}, builds.place / "runs")
builds.run()
"""
    sweep = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert _until(lambda: builds.log.exists() and len(builds.events()) == 2, 60)
        pids = [int(pid) for _, _, pid in builds.events()]
        assert all(map(_alive, pids))
    finally:
        os.kill(sweep.pid, signal.SIGKILL)
        sweep.wait()
    assert _until(lambda: not any(map(_alive, pids)))
    (tmp_path / "orders.json").unlink()
    for bits in (2, 4, 8):
        builds.order(bits, seconds=0)
    assert [outcome.status for outcome in builds.run()] == [0, 0, 0], "the next sweep goes on"


def test_plain_lines_where_there_is_no_terminal(builds):
    builds.order(8, status=2, lines=["flow: no room"], copy=None)
    out = io.StringIO()
    builds.run(1, Console(file=out, width=200))
    said = out.getvalue()
    assert "tiny-2-digits  [1/8] train: done in 0.1 s" in said
    assert "tiny-2-digits  [2/8] fold: unchanged, skipped" in said
    assert re.search(r"tiny-2-digits  finished in 0:0\d", said)
    assert re.search(r"tiny-8-digits  failed after 0:0\d: no room", said)
    assert "\x1b" not in said


def test_a_row_for_each_build_on_a_terminal(builds):
    out = io.StringIO()
    builds.run(2, Console(file=out, width=120, force_terminal=True))
    said = out.getvalue()
    assert "\x1b[" in said
    for item in builds.planned:
        assert item.name in said
    assert "finished" in said


def test_stage_lines_are_read_as_they_are_written():
    for number, stage in enumerate(STAGES, start=1):
        for outcome in (None, "done in 1.2 s", "unchanged, skipped"):
            line = StageLine(number, stage.name, outcome)
            assert read_stage_line(line.text(len(STAGES))) == line
    assert read_stage_line("  twin: 64 of 10,000, 0 s left") is None


def test_a_list_of_widths():
    assert parse_bits("2,3,4,6,8") == ["2", "3", "4", "6", "8"]
    assert parse_bits(" 04 , mine.yaml") == ["4", "mine.yaml"]


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["flow", *words])
    try:
        main()
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRONG = [
    (("--bits", "2,9"), "--bits 9: widths are 1 to 8 bits"),
    (("--bits", "2,0"), "--bits 0: widths are 1 to 8 bits"),
    (("--bits", "2,,4"), "--bits '2,,4': an entry is empty; expected widths with commas between, such as 2,4,8"),
    (("--bits", ""), "an entry is empty"),
    (("--bits", "2;4"), "--bits 2;4: a sweep needs two widths or more; for one: flow build --bits 2;4"),
    (("--bits", "2,four"), "--bits four: neither a number from 1 to 8 nor a file"),
    (("--bits", "2,4,2"), "--bits 2,4,2: 2 is given twice"),
    (("--bits", "4,04"), "4 is given twice"),
    (("--bits", "4"), "--bits 4: a sweep needs two widths or more; for one: flow build --bits 4"),
    (("--model", "resnet9"), "unknown model 'resnet9': did you mean 'resnet8'?"),
    (("--board", "pynq-z3"), "unknown board 'pynq-z3': did you mean 'pynq-z2'?"),
    (("--set", "imges=3"), "unknown setting 'imges': did you mean 'images'?"),
    (("--set", "bits=4"), "--set bits: a sweep sets them itself: name them all in --bits"),
    (("--set", "checkpoint=my.h5"), "checkpoint my.h5: a checkpoint has one width, and a sweep builds several"),
    (("--max-cycles", "9", "--target-fps", "3"), "give one of them"),
    (("--out", "/proc/none"), "cannot write /proc/none"),
]


@pytest.mark.parametrize("options, message", WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_a_wrong_option_is_one_line_before_any_build(options, message, elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(sweep_run, "build_command", lambda *_: pytest.fail("a build was started"))
    assert run(monkeypatch, "sweep", "--dataset", "digits", *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flow: ") and message in line
    assert not any(path.is_file() for path in elsewhere.rglob("*"))


def test_files_of_one_name_would_share_a_folder(elsewhere):
    for folder in "ab":
        path = Path(folder, "mine.yaml")
        path.parent.mkdir()
        path.write_text(BitsSpec.uniform(MODELS["tiny"], 3).to_yaml())
    with pytest.raises(FlowError, match=r"would be built in one folder, tiny-mine-digits: rename a file"):
        plan("a/mine.yaml,b/mine.yaml", None, [], {"model": "tiny", "dataset": "digits"}, Path("runs"))
    planned = plan("4,a/mine.yaml", None, [], {"model": "tiny", "dataset": "digits"}, Path("runs"))
    assert [str(item.folder) for item in planned] == ["runs/tiny-4-digits", "runs/tiny-mine-digits"]


def test_a_sweep_of_another_quantizer_has_a_comparison_of_its_own():
    folders = []
    for settings in ([], ["quantizer=n2uq"]):
        planned = plan("2,4", None, settings, {"model": "tiny", "dataset": "digits"}, Path("runs"))
        folders.append(comparison_folder(planned, Path("runs")).name)
    assert folders == ["sweep-tiny-digits", "sweep-tiny-n2uq-digits"]


def test_the_command_writes_one_comparison(builds, elsewhere, monkeypatch, capsys):
    builds.order(8, status=2, lines=["flow: no room"], copy=None)
    monkeypatch.setattr(sweep_run, "run_builds", partial(run_builds, command=builds.command))
    words = ("sweep", "--model", "tiny", "--dataset", "digits", "--bits", "2,4,8", "--out", "runs")
    assert run(monkeypatch, *words) == 2
    written = capsys.readouterr()
    assert written.err == "flow: 1 of 3 builds failed: tiny-8-digits: no room\n"
    assert "bits 2, 4, 8: no checkpoint is included: training comes first" in written.out
    assert "Missing: tiny-8-digits: no room" in written.out
    folder = elsewhere / "runs" / "sweep-tiny-digits"
    plain = json.loads((folder / "comparison.json").read_text())
    assert [row["run"] for row in plain["runs"]] == ["tiny-2-digits", "tiny-4-digits"]
    assert plain["failures"] == [{"run": "tiny-8-digits", "reason": "no room"}]
    assert "tiny-8-digits: no room" in (folder / "comparison.html").read_text()
    assert {path.name for path in folder.iterdir()} >= {"comparison.csv", "layers.csv", "tiny-2-digits.log"}


@pytest.mark.long
def test_a_sweep_of_real_builds_goes_on_and_agrees_with_its_reports(elsewhere, monkeypatch, capsys):
    words = ("sweep", "--model", "tiny", "--dataset", "digits", "--bits", "2,4", "--epochs", "1", "--images", "8")
    words += ("--max-cycles", "2000", "--set", "route=false", "--set", "bench_frames=1")
    assert run(monkeypatch, *words) == 0
    capsys.readouterr()
    assert run(monkeypatch, *words) == 0
    said = capsys.readouterr().out
    assert said.count("unchanged, skipped") == 2 * len(STAGES)
    plain = json.loads(Path("runs/sweep-tiny-digits/comparison.json").read_text())
    macs = sum(layer.macs for layer in MODELS["tiny"].weight_layers())
    for row, bits in zip(plain["runs"], (2, 4)):
        report = json.loads(Path(f"runs/tiny-{bits}-digits/8_report/report.json").read_text())
        assert row["exact"] and row["weight_bits"] == bits and row["macs"] == macs
        assert row["interval_cycles"] == report["latency"]["interval_cycles"]
        assert row["accuracy_deployed"] == report["accuracy"]["deployed"]
    assert plain["runs"][0]["bit_operations"] < plain["runs"][1]["bit_operations"]
    assert plain["differences"] == []
