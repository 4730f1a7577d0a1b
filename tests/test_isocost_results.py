"""What is recorded of networks at equal cost: of the checkpoints beside it, within the common cost."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from flow.bits import BitsSpec
from flow.cli.main import main
from flow.files import read_json
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, arm_name
from flow.report import check
from flow.training.checkpoints import find_checkpoint, read_meta
from flow.training.run import weights_in
from keras_models import MODELS, find_model
from keras_models.spec import INPUT, ModelSpec

#: of the common cost; asked for, whatever the file says of itself
WITHIN, IMAGES = {"bytes": 0.02, "luts": 0.05, "cycles": 0.05}, 200
RECORDED = sorted((Path(__file__).parents[1] / "results").glob("isocost-*/*/isocost.json"))


def test_all_studies_are_there():
    names = {(file.parts[-3].split("-")[1], file.parts[-2]) for file in RECORDED}
    assert names == {("resnet8", "bytes"), ("resnet8", "luts"), ("resnet8", "cycles"), ("mobilenet", "bytes")}


def read(file: Path) -> tuple[dict, Path]:
    """What is recorded, and the folder of all studies of the model."""
    return json.loads(file.read_text()), file.parents[1]


def work(spec: ModelSpec, bits: BitsSpec) -> tuple[float, int, int]:
    """Bytes of weights, and multiply-accumulates of a frame and their bit operations."""
    layers = spec.weight_layers()
    read = [8 if w.source == INPUT else bits.activations[w.source] for w in layers]
    return (
        sum(w.weights * bits.weights[w.name] for w in layers) / 8,
        sum(w.macs for w in layers),
        sum(w.macs * bits.weights[w.name] * width for w, width in zip(layers, read)),
    )


studies = pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.parts[-3]}-{file.parts[-2]}")


@studies
def test_the_table_is_of_the_checkpoints_beside_it(file):
    found, root = read(file)
    weights = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in root.rglob("*-cifar10-*.h5")}
    teacher = find_checkpoint("resnet8", "cifar10", None)
    assert found["teacher"]["sha256"] == read_meta(teacher).sha256
    for row in found["rows"]:
        meta = read_meta(weights[row["sha256"]])
        assert (meta.sha256, meta.model) == (row["sha256"], row["network"])
        assert (meta.accuracy, meta.test_images) == (row["accuracy"], 10_000)
        assert work(find_model(meta.model), meta.bits) == (row["bytes"], row["macs"], row["bit_operations"])
        assert meta.teacher_sha256 == weights_in(teacher)
        whole = found["recipe"]["epochs"] - (found["recipe"]["search_epochs"] if row["group"] == MIXED else 0)
        assert (meta.config.epochs, meta.config.frozen_epochs, meta.config.precise_statistics) == (whole, 0, True)


@studies
def test_every_network_is_there_and_the_narrowest_is_small(file):
    found, root = read(file)
    first = [(row["group"], row["weights"]) for row in found["rows"] if row["seed"] == 0]
    assert set(first) >= {(ONE_WIDTH, bits) for bits in ("1", "2", "4", "8")} | {(MIXED, "mixed")}
    model = MODELS[root.name.split("-")[1]]
    if (model.name, file.parent.name) == ("resnet8", "bytes"):
        second = {(row["group"], row["weights"]) for row in found["rows"] if row["seed"] == 1}
        assert second == {entry for entry in first if entry[0] != NOT_WIDENED}, "two seeds"
    assert min(row["macs"] for row in found["rows"]) <= model.macs / 3


@studies
def test_every_network_is_within_the_common_cost(file):
    """As planned, and as built: recomputed from what was measured."""
    found, _ = read(file)
    kind, equal = file.parent.name, found["equal"]
    for row in found["rows"]:
        if row["group"] == NOT_WIDENED:
            continue
        assert abs(row["share"] - 1) <= WITHIN[kind]
        built = {"bytes": row["bytes"], "luts": row["lut"], "cycles": row["interval_cycles"]}[kind]
        assert abs(built / equal["target"] - 1) <= WITHIN[kind]
        if kind == "cycles":
            assert abs(row["lut"] / equal["lut"] - 1) <= WITHIN[kind], "all fill the board alike"
        assert row["interval_cycles"] <= equal["cycles"], "as fast as was asked"


@studies
def test_every_build_is_exact(file):
    found, root = read(file)
    assert not list(root.rglob("*.failed.json"))
    reports = map(read_json, root.rglob("reports/*.json"))
    kept = {(plain["checkpoint_sha256"], plain["max_cycles"]): check(plain["report"]) for plain in reports}
    for row in found["rows"]:
        report = kept[row["sha256"], found["equal"]["cycles"]]
        exact = report.exact
        assert exact.golden_vs_keras == exact.golden_vs_csim == exact.golden_vs_rtl == row["differing"] == 0
        assert min(exact.keras_images, exact.csim_images, exact.rtl_images) >= IMAGES
        assert report.resources.fits and row["fits"] and row["lut"] == report.resources.total.luts_used
        assert (row["accuracy"], row["deployed"]) == (report.accuracy.trained, report.accuracy.deployed)


@studies
def test_searched_widths_are_no_worse_than_one_width(file):
    """At the size of 4 bits for all layers, within the spread of the seeds; none takes more than what it is beside."""
    found, _ = read(file)
    one_width = {(r["network"], r["weights"], r["seed"]): r for r in found["rows"] if r["group"] == ONE_WIDTH}
    for row in found["rows"]:
        if row["group"] == MIXED:
            assert row["share"] <= one_width[row["network"], row["beside"], row["seed"]]["share"]
    (gain,) = (gain for gain in found["gains"] if gain["beside"] == "4")
    assert gain["points"] >= -(gain["spread"] or 0)


@studies
def test_the_readme_says_what_was_found(file):
    """The mean of each width's seeds, of networks of the common cost."""
    readme, (found, _) = (Path(__file__).parents[1] / "README.md").read_text(), read(file)
    for mean in found["means"]:
        if mean["group"] != NOT_WIDENED:
            assert f"{100 * mean['accuracy']:.2f} %" in readme, (mean["weights"], mean["network"])


@pytest.mark.long
@studies
def test_the_command_still_plans_these_networks(file, tmp_path, capsys, monkeypatch):
    """By what was synthesized for it; a change of the folding or the cost model may lead to others."""
    found, _ = read(file)
    kind, measured = file.parent.name, file.parent / "measured.json"
    (tmp_path / kind).mkdir()
    if measured.is_file():
        shutil.copy(measured, tmp_path / kind)
    monkeypatch.setattr("sys.argv", [*shlex.split(found["command"]), "--plan", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    planned = set(re.findall(r"\S+-w\w+-seed-\d", capsys.readouterr().out))
    assert not stop.value.code
    assert planned == {arm_name(row["network"], row["weights"], row["seed"]) for row in found["rows"]}
