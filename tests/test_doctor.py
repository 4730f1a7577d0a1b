"""`flow doctor` and `flow models`: what is there, what is missing, how to get it."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path

import pytest
import typer

from flow import paths
from flow.cli.doctor import doctor
from flow.cli.models import models
from flow.errors import FlowError
from flow.tools import doctor as examination
from flow.tools import nextpnr, yosys


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A cache of its own, and no start of nextpnr, which a first time takes long."""
    monkeypatch.setenv("FLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(nextpnr, "prepare", lambda: None)


def found(name: str, data: Path | None = None) -> examination.Finding:
    (finding,) = [finding for finding in examination.examine(data) if finding.name == name]
    return finding


def test_all_is_well_here(capsys: pytest.CaptureFixture[str]):
    doctor()
    text = capsys.readouterr().out
    assert "Everything that a build needs is here." in text
    for name in ("tensorflow", "hls4ml backend FlowRTL", "Verilator", "Yosys", "nextpnr", "cifar10", "verilog"):
        assert re.search(rf"(?m)^ {re.escape(name)} ", text), name
    assert "MISSING" not in text


def test_a_missing_program_fails_and_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "perl" else which(name))
    with pytest.raises(typer.Exit) as stop:
        doctor()
    assert stop.value.exit_code == 1
    assert "perl: missing. Get it: Verilator needs it: apt install perl" in capsys.readouterr().out


def test_a_tool_that_does_not_start(monkeypatch: pytest.MonkeyPatch):
    def crash(*_args: object, **_options: object) -> None:
        raise FlowError("Yosys is missing")

    monkeypatch.setattr(yosys, "run_script", crash)
    finding = found("Yosys")
    assert (finding.ok, finding.required, finding.detail) == (False, True, "Yosys is missing")
    assert finding.remedy == "python -m pip install 'pyosys==0.70'"


def test_a_package_of_another_version(monkeypatch: pytest.MonkeyPatch):
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.69" if name == "pyosys" else version(name))
    finding = found("pyosys")
    assert not finding.ok
    assert finding.detail == "0.69, should be ==0.70"
    assert finding.remedy == "python -m pip install 'pyosys==0.70'"


def test_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FLOW_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    finding = found("cifar10")
    assert (finding.ok, finding.required) == (False, False)
    assert "set FLOW_DATA to the folder" in finding.remedy
    batches = tmp_path / "data"
    batches.mkdir()
    for name in ("data_batch_1.xz", "data_batch_2", "test_batch.xz"):
        (batches / name).touch()
    assert found("cifar10", batches).detail == f"3 of 6 batches in {batches}"
    for name in ("data_batch_3", "data_batch_4", "data_batch_5"):
        (batches / name).touch()
    assert found("cifar10", batches).ok
    assert found("digits").ok
    assert "hls4ml_lhc_jets_hlf" in found("jets").remedy and not found("jets").required
    (batches / "hls4ml_lhc_jets_hlf.csv").touch()
    assert found("jets", batches).ok


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLOW_CACHE", str(tmp_path / "file" / "cache"))
    finding = found("cache")
    assert not finding.ok
    assert "FLOW_CACHE" in finding.remedy


def test_models_lists_everything(capsys: pytest.CaptureFixture[str]):
    models()
    text = capsys.readouterr().out
    assert re.search(r"(?m)^ resnet8 +77,360 +12,501,632 ", text)
    assert re.search(r"(?m)^ pynq-z2 +xc7z020clg400-1 +53,200 +106,400 +220 +140 +100", text)
    for name in ("tiny", "jets", "dscnn", "kv260", "auto", "cifar10", "generated-sounds"):
        assert re.search(rf"(?m)^ {name} ", text), name


def test_the_shared_folders_and_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert (paths.verilog() / "stream_fifo.sv").is_file()
    assert paths.testbench().name == "testbench"
    assert paths.hls_templates().name == "hls_templates"
    assert paths.cache() == tmp_path / "cache"
    monkeypatch.delenv("FLOW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert paths.cache() == tmp_path / "xdg" / "flow"
    with pytest.raises(FlowError, match="unknown folder 'verilogs': did you mean 'verilog'"):
        paths.shared("verilogs")
