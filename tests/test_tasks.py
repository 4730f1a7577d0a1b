"""Tasks and their figures, and a build of a network that names no class."""

from __future__ import annotations

import io
import json
from itertools import product

import numpy as np
import pytest
from reports import PLAIN, build_of, finished_run
from rich.console import Console

from flow.comparison.columns import COLUMNS
from flow.comparison.compare import compare
from flow.comparison.load import load_runs
from flow.comparison.page import page
from flow.errors import FlowError
from flow.pipeline.build import build, check, stage_folder
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from flow.report import check as check_report
from flow.report.readme import results_table
from flow.report.summary import summary_rows
from flow.tasks import ACCURACY, AUC, ERROR, score, scores_text
from flow.training import config as recipes
from keras_models import MODELS
from keras_models.autoencoder import dense_autoencoder


def test_accuracy_counts_largest_outputs_and_sides():
    logits = np.array([[1, 2], [3, 2], [0, 1], [5, 4]])
    assert score("classification", logits, logits, np.array([1, 0, 0, 0])) == {ACCURACY: 0.75}
    assert score("classification", np.array([[-1.0], [2.0]]), logits, np.array([0, 1])) == {ACCURACY: 1.0}
    assert score("classification", np.array([[0.4], [0.6]]), logits, np.array([0, 1]), 0.5) == {ACCURACY: 1.0}
    assert score("classification", logits, logits, None) == {}


def test_the_error_of_a_reconstruction_is_that_of_normal_samples():
    x = np.zeros((4, 2, 2))
    outputs = np.array([[1.0] * 4, [3.0] * 4, [1.0, 0, 0, 0], [2.0] * 4])
    found = score("reconstruction", outputs, x, np.array([0, 1, 0, 1]))
    assert found == {ERROR: pytest.approx((1 + 0.25) / 2), AUC: 1.0}
    assert set(score("reconstruction", outputs, x, np.zeros(4, int))) == {ERROR}
    assert set(score("reconstruction", outputs, x, np.ones(4, int))) == set()
    assert score("reconstruction", outputs[:1], x, None) == {ERROR: 1.0}


def test_the_area_counts_pairs():
    rng = np.random.default_rng(0)
    outputs, labels = rng.integers(0, 4, (60, 1)).astype(float), rng.integers(0, 2, 60)
    errors = outputs[:, 0] ** 2
    pairs = [(a > n) + (a == n) / 2 for a, n in product(errors[labels == 1], errors[labels == 0])]
    found = score("reconstruction", outputs, np.zeros((60, 1)), labels)[AUC]
    assert found == pytest.approx(np.mean(pairs))


def test_figures_in_words():
    assert scores_text({ACCURACY: 0.875}) == "87.50%"
    assert scores_text({ERROR: 0.25, AUC: 0.9}) == "mean squared error 0.2500, AUC 0.9000"
    assert scores_text({}) == "-"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small autoencoder of the generated jets, as if class 1 were an anomaly, built to the end."""
    with pytest.MonkeyPatch.context() as patch:
        spec = dense_autoencoder("small", "for this test", values=16, units=[6], code=3)
        patch.setitem(MODELS, spec.name, spec)
        for recipe in (recipes._FLOAT, recipes._QUANTIZED):
            patch.setitem(recipe, "generated-jets", recipe["generated-jets"].model_copy(update={"epochs": 2}))
        folder = tmp_path_factory.mktemp("small")
        console = Console(record=True, width=200, file=io.StringIO())
        config = BuildConfig(model="small", images=30, max_cycles=200, bench_frames=2, route=False)
        build(config, folder / "run", Reporter(console))
        yield folder / "run", console.export_text()


def test_a_reconstruction_is_built_and_reported(built):
    folder, said = built
    plain = json.loads((stage_folder(folder, "report") / "report.json").read_text())
    report = check_report(plain)
    assert report.is_exact and report.accuracy.deployed is None
    assert report.exact.trained_vs_deployed_labels is None
    assert set(report.quality) == {ERROR, AUC}
    error = report.quality[ERROR]
    # features have a variance of 1; the network learns some of them in this time
    assert 0.1 < error.deployed < 0.95
    assert error.deployed == pytest.approx(error.trained, rel=1e-3)
    assert error.rtl == pytest.approx(error.deployed, rel=0.5)
    assert "GENERATED data" in report.dataset.source and "GENERATED data" in said
    assert report.dataset.name == "generated-jets"
    assert f"mean squared error {error.deployed:.4f}, AUC" in said
    rows = dict(summary_rows(report))
    assert rows[f"{ERROR}, deployed"] == f"{error.deployed:.4f}" and "accuracy, deployed" not in rows
    log = (stage_folder(folder, "train") / "small-generated-jets-w4a4.csv").read_text().splitlines()[0]
    assert log == "epoch,loss,train_mean_squared_error,test_mean_squared_error,learning_rate,seconds"


def test_the_figure_stands_in_tables(built, tmp_path):
    folder, _ = built
    assert "| mean squared error 0." in results_table(folder)
    comparison = compare(load_runs([folder]))
    (cell,) = (column.show(row) for row in comparison.runs for column in COLUMNS if column.key == "accuracy_deployed")
    assert cell.startswith("mean squared error 0.") and "AUC" in cell
    assert "AUC against LUT" in page(comparison)


def test_an_accuracy_is_shown_as_it_was(tmp_path):
    run = finished_run(tmp_path / "tiny-4", build_of(4, 0.9))
    comparison = compare(load_runs([run]))
    (cell,) = (column.show(row) for row in comparison.runs for column in COLUMNS if column.key == "accuracy_deployed")
    assert cell == "90.00%" and "Accuracy against LUT" in page(comparison)
    assert check_report(PLAIN).deployed_text == "94.75%"


@pytest.mark.parametrize(
    ("model", "dataset", "message"),
    [
        ("jets", "digits", "--dataset: digits has square images .* takes 16 values: use jets or generated-jets"),
        ("resnet8", "generated-sounds", "takes 32x32x3 samples: use cifar10 or digits"),
        ("dscnn", "keywords", "did you mean 'generated-keywords'"),
        ("lenet", "cifar10", "32x32x3 images; the model takes 28x28x1 samples: use digits"),
    ],
)
def test_a_dataset_of_another_shape_says_which_fit(model, dataset, message):
    with pytest.raises(FlowError, match=message):
        check(BuildConfig(model=model, dataset=dataset))


@pytest.mark.parametrize("name", MODELS)
def test_auto_finds_a_dataset_for_every_model(name, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("FLOW_DATA", raising=False)
    check(BuildConfig(model=name))
