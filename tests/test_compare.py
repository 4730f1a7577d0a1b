"""Builds side by side: the figures are the reports', what was not measured alike is said, wrong input is one line."""

from __future__ import annotations

import csv
import io
import json
import sys
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import build_of, finished_run, record
from rich.console import Console

from flow.cli.main import main
from flow.comparison import Failure, Run, compare, load_runs, screen_table, write
from flow.comparison.bars import folding_bars, resource_bars
from flow.comparison.page import page
from flow.comparison.scatter import Sample, scatter
from flow.comparison.table import ALIKE, remarks
from flow.report import check


def runs_of(*plains: dict) -> list[Run]:
    return [Run(f"run{number}", check(plain)) for number, plain in enumerate(plains, start=1)]


TWO = (build_of(2, 0.8, 500, 4_000), build_of(4, 0.9, 900, 5_000))


def test_the_recorded_comparison_is_of_the_recorded_builds():
    folder = Path(__file__).parents[1] / "results"
    recorded = json.loads((folder / "resnet8-sweep-cifar10" / "comparison.json").read_text())
    found = compare(load_runs([folder / row["run"] for row in recorded["runs"]]))
    assert json.loads(found.model_dump_json()) == recorded


def test_quantizers_of_equal_widths_are_told_apart():
    rows = compare(runs_of(build_of(2), build_of(2, quantizer="n2uq"))).runs
    assert [(row.label, row.quantizer) for row in rows] == [("w2a2", "uniform"), ("n2uq-w2a2", "n2uq")]


def test_a_row_holds_the_report_s_figures():
    comparison = compare(runs_of(*TWO))
    first, second = comparison.runs
    assert (first.weight_bits, first.activation_bits, first.label) == (2, 2, "w2a2")
    assert first.lut == 4_044, "LUTs of logic and of memory"
    assert first.share_lut == 4_044 / 53_200
    assert first.bit_operations == 50_000 * 64 + 200_000 * 4
    assert second.frames_per_second == 100e6 / 900
    assert first.build_seconds == 9.8
    layers = {(layer.run, layer.layer): layer for layer in comparison.layers}
    assert len(layers) == len(comparison.layers) == 6
    stem = layers["run2", "s1_conv1"]
    assert (stem.pe, stem.simd, stem.cycles, stem.lut, stem.input_bits) == (4, 9, 890, 1_244, 4)


def test_files_agree_with_one_another(tmp_path: Path):
    comparison = compare(runs_of(*TWO), [Failure(run="run9", reason="it failed")])
    written = write(comparison, tmp_path / "new")
    assert [path.name for path in written] == ["comparison.json", "comparison.csv", "layers.csv", "comparison.html"]
    plain = json.loads(written[0].read_text())
    assert plain == comparison.model_dump()
    for path, key in ((written[1], "runs"), (written[2], "layers")):
        rows = list(csv.DictReader(path.open()))
        assert [list(row.values()) for row in rows] == [
            ["" if value is None else str(value) for value in row.values()] for row in plain[key]
        ]
    assert str(tmp_path) not in "".join(path.read_text() for path in written)


def test_the_same_runs_give_the_same_page():
    assert page(compare(runs_of(*TWO))) == page(compare(runs_of(*TWO)))


def test_builds_that_were_measured_alike_are_said_to_be():
    comparison = compare(runs_of(*TWO))
    assert comparison.differences == []
    assert remarks(comparison) == ["w2a2 is run1, w4a4 is run2.", ALIKE]


UNLIKE = [
    ({"resources__flags": "synth_xilinx -abc9"}, "synthesis flags: synth_xilinx -family xc7 (run1); synth_xilinx"),
    ({"resources__tool": "Yosys 0.71"}, "synthesis tool: Yosys 0.70 (run1); Yosys 0.71 (run2). LUT, FF, DSP and"),
    ({"timing__tool": "Vivado"}, "routing tool: nextpnr-ecp5 (run1); Vivado (run2). Fmax is not comparable."),
    ({"dataset__name": "cifar10"}, "dataset: digits (run1); cifar10 (run2). Accuracies are of different tasks."),
    ({"dataset__images": 10_000}, "test images: 360 (run1); 10,000 (run2). Accuracies are of different samples."),
    ({"exact__images": 7}, "images in every engine: 100 (run1); 7 (run2). Exactness rests on more images in some."),
    ({"resources__device": "xc7a100t"}, "chip: xc7z020clg400-1 (run1); xc7a100t (run2). Shares are of different"),
    ({"latency__clock_mhz": 150.0}, "target clock: 100 MHz (run1); 150 MHz (run2). Frames a second are"),
    ({"versions": {"python": "3.12"}}, "version of python: 3.11.7 (run1); 3.12 (run2)."),
    ({"versions": {"numpy": "2"}}, "version of numpy: not said (run1); 2 (run2)."),
    ({"model": "other"}, "model: tiny (run1); other (run2). Layers are set side by side by name only."),
    ({"not_measured__routing of all rows": "2 only"}, "rows routed: all (run1); some (run2). Fmax is not comparable."),
]


@pytest.mark.parametrize("change, sentence", UNLIKE, ids=[next(iter(change)) for change, _ in UNLIKE])
def test_what_was_not_measured_alike_is_said(change, sentence):
    comparison = compare(runs_of(TWO[0], build_of(4, **change)))
    assert any(said.startswith(sentence) for said in comparison.differences), comparison.differences
    assert f"Not measured alike: {sentence}" in "\n".join(remarks(comparison))
    text = page(comparison)
    assert 'id="differences"' in text and 'id="alike"' not in text and sentence in text


def test_an_older_report_without_bit_operations_is_compared_too():
    old = {key: value for key, value in TWO[0].items() if key != "work"}
    comparison = compare(runs_of(old, TWO[1]))
    assert comparison.runs[0].bit_operations is None
    assert page(comparison).count('class="point') == 2 + 2 + 1
    text = page(compare(runs_of(old, {**old, "model": "other"})))
    assert "No build has both figures." in text


def test_a_run_without_synthesis_has_no_bars():
    plain = build_of(2, resources__total=None, resources__tool=None, resources__flags=None, resources__fits=None)
    plain["resources"]["layers"] = {}
    plain["timing"] = {"tool": None, "fmax_mhz": None, "modules": {}}
    plain["not_measured"] |= {"resources": "--to simulate", "timing": "--to simulate"}
    comparison = compare(runs_of(plain, plain))
    assert resource_bars(comparison) == []
    assert "Resources by layer" not in page(comparison)
    assert 'id="bars-folding"' in page(comparison)


def test_what_is_wrong_is_not_hidden():
    wrong = build_of(4, exact__golden_vs_rtl=3, resources__budget={**TWO[0]["resources"]["budget"], "lut": 100})
    wrong["resources"]["fits"] = False
    text = page(compare(runs_of(TWO[0], wrong), [Failure(run="run9", reason="no <more> memory")]))
    assert "Not exact, or not compared in every engine: run2." in text
    assert "do not fit their chip: run2." in text
    assert "run9: no &lt;more&gt; memory" in text


def test_bars_are_as_long_as_their_figures():
    comparison = compare(runs_of(*TWO))
    lut = next(table for table in resource_bars(comparison) if table.key == "lut")
    assert [bar.text for bar in lut.rows["s1_conv1"]] == ["644", "1,244"]
    assert [bar.length for bar in lut.rows["s1_conv1"]] == [644 / 1_244, 1.0]
    folding = folding_bars(comparison)
    assert [bar.text for bar in folding.rows["s1_conv1"]] == ["8 × 9", "4 × 9"]
    # the busiest layer of each run is strong: stem with 576 cycles in the first, s1_conv1 with 890 in the second
    assert [bar.strong for bar in folding.rows["stem"]] == [True, False]
    assert [bar.strong for bar in folding.rows["s1_conv1"]] == [False, True]


@given(
    st.lists(
        st.tuples(st.floats(1, 1e9), st.one_of(st.just(0.0), st.floats(1e-3, 100))), min_size=1, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_everything_of_a_scatter_plot_is_inside_it(places):
    samples = [Sample(f"run{i}", f"w{i}a{i}", i, x, y) for i, (x, y) in enumerate(places)]
    plot = scatter("title", "x", "y", samples)
    for point in plot.points:
        assert plot.left <= point.x <= plot.right and plot.top <= point.y <= plot.bottom
        assert 0 <= point.label_x <= plot.width and 0 <= point.label_y <= plot.height
    assert all(plot.left - 1 <= tick.at <= plot.right + 1 for tick in plot.x_ticks)
    assert all(plot.top - 1 <= tick.at <= plot.bottom + 1 for tick in plot.y_ticks)
    assert plot.y_ticks
    for one, other in pairwise(plot.x_ticks):
        assert other.at - one.at > 3.5 * (len(one.text) + len(other.text)), "texts of the ticks do not touch"


def test_labels_of_near_points_do_not_cover_one_another():
    samples = [Sample(f"run{i}", f"w{i}a{i}", i, 47_000 + 10 * i, 86 + 0.5 * i) for i in range(4)]
    samples.append(Sample("far", "w8a8", 5, 60_000, 89))
    points = scatter("title", "x", "y", samples).points
    for one, other in combinations(points, 2):
        assert abs(one.label_y - other.label_y) > 11 or abs(one.label_x - other.label_x) > 20


def test_the_front_joins_the_runs_that_none_beats():
    samples = [Sample("a", "a", 0, 10, 80), Sample("worse", "b", 1, 12, 79), Sample("c", "c", 2, 20, 90)]
    plot = scatter("title", "x", "y", samples)
    a, _, c = plot.points
    assert plot.front == f"M{a.x:.1f} {a.y:.1f}H{c.x:.1f}V{c.y:.1f}H{plot.right}"
    assert not plot.logarithmic
    assert scatter("title", "x", "y", [*samples, Sample("d", "d", 3, 1_000, 95)]).logarithmic
    assert scatter("title", "x", "y", []) is None


def test_runs_get_names_that_tell_them_apart(tmp_path: Path):
    places = [finished_run(tmp_path / group / "tiny", plain) for group, plain in zip("ab", TWO)]
    assert [run.name for run in load_runs(places)] == ["a/tiny", "b/tiny"]
    files = [place / "8_report" / "report.json" for place in places]
    assert [run.name for run in load_runs(files)] == ["a/tiny", "b/tiny"]
    assert [run.report for run in load_runs(files)] == [run.report for run in load_runs(places)]


def test_the_screen_shows_every_run():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen_table(compare(runs_of(*TWO))))
    text = console.export_text()
    assert "w2a2" in text and "w4a4" in text
    assert "4,044" in text and "80.00%" in text


def status(monkeypatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["flow", *map(str, words)])
    try:
        main()
    except SystemExit as stopped:
        return stopped.code or 0
    return 0


@pytest.fixture
def two(tmp_path, monkeypatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [finished_run(Path(f"runs/tiny-{bits}-digits"), build_of(bits)) for bits in (2, 4)]


def test_compare_shows_and_writes(two, monkeypatch, capsys, tmp_path):
    assert status(monkeypatch, "compare", *two) == 0
    shown = capsys.readouterr().out
    assert "w2a2 is tiny-2-digits, w4a4 is tiny-4-digits." in shown and ALIKE in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]
    assert status(monkeypatch, "compare", *two, "--out", "new/folder") == 0
    names = ["comparison.csv", "comparison.html", "comparison.json", "layers.csv"]
    assert sorted(path.name for path in Path("new/folder").iterdir()) == names
    assert "new/folder/comparison.html" in capsys.readouterr().out


def test_a_comparison_among_the_runs_is_passed_over(two, monkeypatch, capsys):
    assert status(monkeypatch, "compare", *two, "--out", "runs/tiny-all-digits") == 0
    capsys.readouterr()
    assert status(monkeypatch, "compare", *sorted(Path("runs").glob("tiny-*-digits"))) == 0
    assert "runs/tiny-all-digits is a comparison and no build: passed over" in capsys.readouterr().out


def _unfinished(run: Path) -> None:
    (run / "6_simulate" / "done.json").unlink()


def _older(run: Path) -> None:
    record(run, "simulate", digest="run again")


def _broken(run: Path) -> None:
    (run / "8_report" / "report.json").write_text('{"model": ')


def _other_version(run: Path) -> None:
    (run / "8_report" / "report.json").write_text('{"model": "tiny"}')


@pytest.mark.parametrize(
    "damage, message",
    [
        (_unfinished, "tiny-4-digits is not a finished build: stage 'simulate' has not finished; finish it first"),
        (_older, "tiny-4-digits is not a finished build: stage 'report' has not run since 'simulate' did"),
        (_broken, "cannot read runs/tiny-4-digits/8_report/report.json"),
        (_other_version, "report.json: not a report: bits: Field required"),
    ],
)
def test_a_run_that_cannot_be_compared_is_named(damage, message, two, monkeypatch, capsys):
    damage(two[1])
    assert status(monkeypatch, "compare", *two) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flow: ") and message in line


@pytest.mark.parametrize(
    "words, message",
    [
        (["runs/tiny-2-digits"], "runs/tiny-2-digits: only one run; a comparison needs two or more"),
        (["runs/tiny-2-digits", "nowhere"], "nowhere: there is no such folder"),
        (["runs/tiny-2-digits", "runs"], "runs is not the folder of a build: it has neither config.yaml nor"),
        (["runs/tiny-2-digits", "runs/tiny-2-digits/"], "tiny-2-digits is given twice"),
        (["runs/tiny-2-digits", "runs/tiny-4-digits", "--out", "/proc/none"], "cannot write /proc/none"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(words, message, two, monkeypatch, capsys):
    assert status(monkeypatch, "compare", *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("flow: ") and message in line


def test_compare_without_a_run_teaches(monkeypatch, capsys):
    assert status(monkeypatch, "compare") == 2
    assert "RUN RUN" in capsys.readouterr().err
    assert status(monkeypatch, "compare", "--help") == 0
    assert "flow compare runs/resnet8-4-cifar10 runs/resnet8-8-cifar10" in capsys.readouterr().out
