"""A user's mistakes on the command line: one line that says what is wrong and what would be right, exit status 2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from flow.bits import BitsSpec
from flow.cli.main import main
from flow.pipeline.config import BuildConfig, make_config, save_config
from keras_models import MODELS

WRONG = [
    (("--model", "resnet9"), "unknown model 'resnet9': did you mean 'resnet8'?"),
    (("--board", "pynq-z3"), "unknown board 'pynq-z3': did you mean 'pynq-z2'?"),
    (("--dataset", "cifar"), "unknown dataset 'cifar': did you mean 'cifar10'?"),
    (("--from", "rlt"), "unknown stage 'rlt': did you mean 'rtl'?"),
    (("--to", "simulat"), "unknown stage 'simulat': did you mean 'simulate'?"),
    (("--from", "rtl", "--to", "fold"), "--from rtl comes after --to fold"),
    (("--set", "imges=3"), "unknown setting 'imges': did you mean 'images'?"),
    (("--set", "images"), "expected key=value"),
    (("--bits", "9"), "widths are 1 to 8 bits"),
    (("--bits", "0"), "widths are 1 to 8 bits"),
    (("--bits", "none.yaml"), "neither a number from 1 to 8 nor a file"),
    (("--quantizer", "n2ug"), "unknown quantizer 'n2ug': did you mean 'n2uq'?"),
    (("--bits", "6", "--quantizer", "n2uq"), "s1_in: 6 bits; quantizer n2uq has learned thresholds of 1 to 5 bits"),
    (("--images", "0"), "images: input should be greater than or equal to 1, not 0"),
    (("--max-cycles", "9", "--target-fps", "3"), "give one of them"),
    (("--data", "no/such/folder"), "--data no/such/folder: there is no such folder"),
    (("--folding", "none.yaml"), "--folding none.yaml: there is no such file"),
    (("--checkpoint", "none.h5"), "--checkpoint none.h5: there is no such file"),
    (("--config", "none.yaml"), "--config none.yaml: "),
    (("--out", "/proc/none"), "cannot write /proc/none"),
]


def run(monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["flow", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("options, message", WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_a_wrong_option_is_one_line_and_status_2(options, message, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "build", "--dataset", "digits", *options) == 2
    written = capsys.readouterr()
    assert len(written.err.splitlines()) == 1
    assert written.err.startswith("flow: ") and message in written.err
    assert not any(path.is_file() for path in tmp_path.rglob("*") if path.name != ".lock")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"conv9": 3}, "unknown layer of tiny 'conv9': did you mean 'conv1'?"),
        ({"conv1": None}, "layer conv1 of tiny is missing"),
        ({"conv1": 9}, "conv1: 9 bits; widths are 1 to 8"),
        ({"conv1": "wide"}, "conv1: 'wide' is not a whole number"),
    ],
)
def test_a_wrong_bits_file_names_the_layer(change, message, monkeypatch, capsys, tmp_path):
    bits = BitsSpec.uniform(MODELS["tiny"], 4).model_dump()
    bits["weights"] |= change
    bits["weights"] = {name: width for name, width in bits["weights"].items() if width is not None}
    (tmp_path / "bits.yaml").write_text(yaml.safe_dump(bits))
    assert run(monkeypatch, "build", "--model", "tiny", "--dataset", "digits", "--bits", "bits.yaml") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flow: bits.yaml: weights: ") and message in line


def test_a_saved_configuration_means_the_same_elsewhere(monkeypatch, tmp_path):
    (tmp_path / "bits.yaml").touch()
    (tmp_path / "4").touch()
    given = {"bits": "bits.yaml", "data": Path("data"), "beside": (Path("runs/one"),), "samples": None}
    save_config(BuildConfig(model="tiny", **given), tmp_path / "config.yaml")
    found = make_config(tmp_path / "config.yaml", [], {})
    assert (found.model, found.board, found.samples) == ("tiny", "pynq-z2", None)
    assert (found.bits, found.data) == (str(tmp_path / "bits.yaml"), tmp_path / "data")
    assert found.beside == (tmp_path / "runs/one",)
    assert make_config(None, ["beside=runs/one"], {}).beside == (Path("runs/one"),)
    save_config(BuildConfig(bits="4"), tmp_path / "config.yaml")
    assert make_config(tmp_path / "config.yaml", [], {}).bits == "4"


def test_a_run_that_is_none_is_named(monkeypatch, capsys):
    assert run(monkeypatch, "simulate", "nowhere") == 2
    assert capsys.readouterr().err.startswith("flow: nowhere is not the folder of a build")


@pytest.mark.parametrize("words", [("build", "--imges", "3"), ("biuld",)])
def test_a_wrong_word_has_a_nearest_right_one(words, monkeypatch, capsys):
    assert run(monkeypatch, *words) == 2
    written = capsys.readouterr().err
    assert "images" in written or "build" in written
    assert "Traceback" not in written
