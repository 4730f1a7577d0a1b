"""The report: nothing missing, nothing made up, everything written."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from reports import PLAIN, changed
from rich.console import Console

from flow.errors import FlowError
from flow.pipeline.stages.report import without_folders
from flow.report import check, closing_table, layer_figures, load, verdict, write
from flow.report.readme import results_table, updated
from flow.report.summary import summary_rows

ROOT = Path(__file__).resolve().parent.parent


def leaves(plain: dict, path: str = "") -> list[str]:
    """Paths of all keys of the fixed part of the schema."""
    free = {"bits", "resources.layers", "timing.modules", "folding", "seconds", "versions", "not_measured"}
    found = []
    for key, value in plain.items():
        here = f"{path}.{key}" if path else key
        found.append(here)
        if isinstance(value, dict) and here not in free:
            found += leaves(value, here)
    return found


def test_odd_weight_codes_state_their_price():
    codes = {"layers": ["s1_conv1", "s1_conv2"], "lut": 1070, "uniform_lut": 1000}
    plain = {**PLAIN, "quantizer": "n2uq", "odd_codes": codes}
    rows = dict(summary_rows(check(plain)))
    assert rows["quantizer"] == "n2uq"
    (told,) = (value for name, value in rows.items() if "odd weight codes" in name)
    assert told.startswith("+7.0% LUT in the 2 layers") and told.endswith("(1,070 against 1,000)")
    assert not any("odd" in name or name == "quantizer" for name, _ in summary_rows(check(PLAIN)))


OPTIONAL = {f"resources.{part}.{key}" for part in ("budget", "total") for key in ("lutram", "carry4")}


@pytest.mark.parametrize("path", [path for path in leaves(PLAIN) if path not in OPTIONAL])
def test_a_missing_key_is_named(path: str):
    with pytest.raises(ValueError, match=rf"(?m)^{path}: Field required"):
        check(changed(path, ...))


@pytest.mark.parametrize("part", ["", "accuracy", "exact", "latency", "resources", "timing", "resources.total"])
def test_a_key_too_many_is_named(part: str):
    path = f"{part}.guess" if part else "guess"
    with pytest.raises(ValueError, match=rf"{path}: Extra inputs are not permitted"):
        check(changed(path, 1))


@pytest.mark.parametrize("path", ["accuracy.rtl", "latency.interval_cycles", "timing.fmax_mhz", "exact.golden_vs_rtl"])
def test_a_figure_may_be_missing_only_with_a_reason(path: str):
    plain = changed(path, None)
    with pytest.raises(ValueError, match=rf"{path} is null and not_measured does not say why"):
        check(plain)
    for said in (path, path.split(".")[0]):
        plain["not_measured"] = {**PLAIN["not_measured"], said: "the stage was left out"}
        assert said in check(plain).not_measured


def test_modules_that_were_not_routed_are_counted():
    plain = changed("timing.modules", {"stem": 121.5, "stem_out": None})
    with pytest.raises(ValueError, match=r"timing.modules.stem_out is null and not_measured does not say why"):
        check(plain)
    plain["not_measured"] = {**PLAIN["not_measured"], "timing.modules.stem_out": "not routed within 240 s"}
    told = dict(summary_rows(check(plain)))["slowest module, routed on ECP5"]
    assert told == "121.5 MHz, 1 of 2 modules (stem)"


def test_fits_follows_from_the_figures():
    with pytest.raises(ValueError, match=r"fits does not follow"):
        check(changed("resources.fits", False))
    tight = changed("resources.budget.lut", 930)
    with pytest.raises(ValueError, match=r"fits does not follow"):
        check(tight)
    tight["resources"]["fits"] = False
    assert "does not fit xc7z020clg400-1: LUT 944 of 930" in verdict(check(tight))


def test_bit_operations_are_macs_times_both_widths():
    assert check(PLAIN).bit_operations is None, "an older report does not say"
    work = {
        "stem": {"macs": 1_000, "weight_bits": 8, "input_bits": 8},
        "s1_conv1": {"macs": 2_000, "weight_bits": 1, "input_bits": 4},
    }
    report = check({**PLAIN, "work": work})
    assert (report.macs, report.bit_operations) == (3_000, 1_000 * 64 + 2_000 * 4)
    text = dict(summary_rows(report))["operations a frame"]
    assert text == "3,000 multiply-accumulates, 72,000 of one bit by one bit"
    figures = {layer.name: layer for layer in layer_figures(report)}
    assert (figures["stem"].macs, figures["stem"].input_bits, figures["stem"].bit_operations) == (1_000, 8, 64_000)
    assert figures["stem_out"].bit_operations is None
    with pytest.raises(ValueError, match=r"work\.stem\.macs: Input should be greater than or equal to 1"):
        check({**PLAIN, "work": {"stem": {"macs": 0, "weight_bits": 8, "input_bits": 8}}})


def test_one_differing_integer_is_not_exact():
    assert check(PLAIN).is_exact
    for engine in ("keras", "csim", "rtl"):
        assert not check(changed(f"exact.golden_vs_{engine}", 1)).is_exact
    report = check(changed("exact.golden_vs_rtl", 7))
    assert verdict(report).startswith("RTL differs in 7 integers.")
    plain = changed("exact.golden_vs_rtl", None)
    plain["not_measured"]["exact.golden_vs_rtl"] = "--to csim"
    assert not check(plain).is_exact
    assert verdict(check(plain)).startswith("RTL was not compared.")


def test_everything_is_written(tmp_path: Path):
    report = check(PLAIN)
    written = write(report, tmp_path)
    assert sorted(path.name for path in written) == ["cycles.png", "lut.png", "report.json", "report.md", "seconds.png"]
    assert load(tmp_path / "report.json") == report
    assert json.loads((tmp_path / "report.json").read_text())["exact"]["golden_vs_rtl"] == 0
    text = (tmp_path / "report.md").read_text()
    assert "| cycles between frames | 576 |" in text
    assert "| stem | 8 | - | - | 4 | 9 | 576 | 580 | 655 | 1,500 | 0 | 1.5 | 121.5 |" in text
    assert "| RTL in Verilator | 100 | 0 |" in text
    assert "* power: needs a board" in text
    assert "173,611 frames a second" in text
    for name in ("cycles.png", "lut.png", "seconds.png"):
        assert f"]({name})" in text
        pixels = imread(tmp_path / name)
        assert min(pixels.shape[:2]) > 100
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10


def test_the_same_report_gives_the_same_files(tmp_path: Path):
    first, second = (write(check(PLAIN), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_report_without_synthesis_is_written_too(tmp_path: Path):
    plain = copy.deepcopy(PLAIN)
    plain["resources"] |= {"tool": None, "flags": None, "fits": None, "total": None, "layers": {}}
    plain["timing"] = {"tool": None, "fmax_mhz": None, "modules": {}}
    plain["not_measured"] = {"resources": "--to simulate", "timing": "--to simulate"}
    write(check(plain), tmp_path)
    assert not (tmp_path / "lut.png").exists()
    assert "* resources: --to simulate" in (tmp_path / "report.md").read_text()


def test_a_file_that_is_no_report_is_named(tmp_path: Path):
    path = tmp_path / "report.json"
    path.write_text('{"model": "tiny"}')
    with pytest.raises(FlowError, match=r"report\.json: not a report: bits: Field required"):
        load(path)


def test_the_report_says_what_the_hardware_gives():
    assert ("output", "logits") in summary_rows(check(PLAIN))
    assert ("output", "argmax: the index of the largest logit") in summary_rows(check({**PLAIN, "output": "argmax"}))


def test_the_closing_table_shows_the_verdict():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(closing_table(check(PLAIN)))
    text = console.export_text()
    assert "equal the golden model in every integer of 100 images" in text
    assert "944 of 53,200 (1.8%)" in text


def test_the_readme_shows_the_recorded_results(tmp_path: Path):
    write(check(PLAIN), tmp_path / "tiny-4")
    shown = results_table(tmp_path)
    assert "| tiny-4 | 94.75% (360) | 0 (360), 0 (100), 0 (100) | 576 | 173,611 at 100 MHz | 944 of 53,200 |" in shown
    assert results_table(tmp_path / "nothing") == "No build is recorded yet."
    with pytest.raises(ValueError, match="marks"):
        updated("# a file without them\n", tmp_path)
    text = (ROOT / "README.md").read_text()
    assert updated(text, ROOT / "results") == text, "run python -m flow.report.readme"


def test_a_report_says_nothing_of_the_machine():
    said = "cifar10: found in /home/someone/data/cifar-10-batches-py, all checksums right and/or none"
    assert without_folders(said) == "cifar10: found in cifar-10-batches-py, all checksums right and/or none"
