"""`flow search` on a small network, from its budget to a build; stopped, and called again."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest

from flow import ir
from flow.bits import BitsSpec
from flow.boards import find_board
from flow.cli.main import main
from flow.pipeline.build import stage_folder
from flow.pipeline.stages.convert import GRAPH
from flow.search.budget import Budget
from flow.search.costs import Costs, costs, width_of
from flow.search.path import PathRecorder
from keras_models import MODELS

BOARD, TINY = find_board("pynq-z2"), MODELS["tiny"]


def test_the_command_from_search_to_bits_yaml(tmp_path, capsys, monkeypatch):
    """Widths within the budget, a checkpoint, a plot; a second call has nothing left to do but say so."""
    command = "flow search --model tiny --dataset digits --budget bytes=500 --epochs 1 --fine-epochs 1 --activations"
    monkeypatch.setattr("sys.argv", [*command.split(), "--out", str(tmp_path)])
    monkeypatch.setattr("flow.search.ranking.TELLING", float("inf"))  # no moment of training, which takes as long again
    (tmp_path / "widths.json").write_text('[{"epoch": 0.0001}]')  # another search's, that was stopped
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    text = capsys.readouterr().out
    assert "of the budget" in text and "flow build --model tiny --bits" in text
    bits = BitsSpec.load(TINY, tmp_path / "bits.yaml")
    found = json.loads((tmp_path / "search.json").read_text())
    assert found["bits"] == bits.model_dump()
    assert sum(w.weights * bits.weights[w.name] for w in TINY.weight_layers()) / 8 <= 500
    assert found["share_of_budget"] <= 1 and (tmp_path / found["checkpoint"]).is_file()
    path = json.loads((tmp_path / "widths.json").read_text())
    assert (
        path[0]["epoch"] > 0.0001
        and path[-1]["epoch"] == 1
        and set(path[-1]["weights"]) == {w.name for w in TINY.weight_layers()}
    )
    assert "<svg" in (tmp_path / "widths.svg").read_text()
    assert [f.suffix for f in tmp_path.iterdir() if f.name.startswith(("search-", "training-"))] == [".found"]

    line = shlex.split(text[text.index("flow build --model tiny") :].replace("\n", " "))
    line = line[: line.index("--board") + 2]
    monkeypatch.setattr("sys.argv", [*line, "--images", "5", "--to", "simulate", "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, capsys.readouterr()
    built = ir.load(stage_folder(tmp_path / "run", "convert") / GRAPH)
    assert {n.name: n.weight_bits for n in built.nodes if hasattr(n, "weight_bits")} == bits.weights
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setattr("sys.argv", [*command.split(), "--out", str(tmp_path)])

    def nothing(*args, **kwargs):
        raise AssertionError("a finished search trains and ranks nothing")

    def content() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    before = content()
    for place in ("flow.search.run.fit", "flow.training.run.fit", "flow.search.run.Ranking"):
        monkeypatch.setattr(place, nothing)
    with pytest.raises(SystemExit) as stop:
        main()
    text = capsys.readouterr().out
    assert not stop.value.code and "found before" in text and "trained before" in text
    assert content() == before
    monkeypatch.setattr("sys.argv", [*f"{command} --fine-epochs 2 --out".split(), str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "was trained with another epochs; take another --out" in capsys.readouterr().err


@pytest.mark.long
def test_a_search_that_is_stopped_goes_on_to_the_same_widths(tmp_path, capsys, monkeypatch):
    command = "flow search --model tiny --dataset digits --budget bytes=500 --epochs 3 --fine-epochs 0 --out"
    recorded = PathRecorder.on_epoch

    def run(place: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", [*command.split(), str(tmp_path / place)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, capsys.readouterr().out

    def interrupted(self, record):
        recorded(self, record)
        if record.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(PathRecorder, "on_epoch", interrupted)
    code, text = run("stopped")
    assert code == 130 and "stopped; the same command goes on after the last whole epoch" in text
    assert not (tmp_path / "stopped" / "bits.yaml").exists()
    monkeypatch.setattr(PathRecorder, "on_epoch", recorded)
    code, text = run("stopped")
    assert code == 0 and "goes on after epoch 2" in text
    assert run("whole")[0] == 0
    for file in ("bits.yaml", "widths.json"):
        assert (tmp_path / "stopped" / file).read_text() == (tmp_path / "whole" / file).read_text()


def erring(tables: Costs, by: float):
    """Synthesis that counts so many times what the cost model does."""
    return lambda spec, bits, cycles, tell: by * tables.of(bits)


def test_a_budget_of_luts_holds_by_synthesis(tmp_path, capsys, monkeypatch):
    """The cost model errs by a tenth: widths are chosen again, and what was asked for is refused to others; as are
    widths that take more once they are synthesized anew.
    """
    tables = costs(TINY, Budget("luts", 1.0), BOARD, 0.95, 2048)
    monkeypatch.setattr("flow.search.ranking.TELLING", float("inf"))
    monkeypatch.setattr("flow.search.synthesized.measured_luts", erring(tables, 1.1))
    budget = f"{tables.of(BitsSpec.uniform(TINY, 4)):.0f}"
    command = f"flow search --model tiny --dataset digits --budget luts={budget} --max-cycles 2048 --epochs 1"
    monkeypatch.setattr("sys.argv", [*command.split(), "--fine-epochs", "0", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    text = capsys.readouterr().out
    found = json.loads((tmp_path / "search.json").read_text())
    assert 0.9 < found["share_of_budget"] <= 1 and found["cycles"] == 2048
    assert found["share_of_budget"] == pytest.approx(1.1 * tables.of(BitsSpec(**found["bits"])) / float(budget))
    assert "of the budget by synthesis: chosen once more" in text
    monkeypatch.setattr("sys.argv", [*command.replace("2048", "1024").split(), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "was searched with another cycles; take another --out" in capsys.readouterr().err

    (tmp_path / "measured.json").unlink()
    monkeypatch.setattr("flow.search.synthesized.measured_luts", erring(tables, 1.3))
    monkeypatch.setattr("sys.argv", [*command.split(), "--fine-epochs", "0", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main()
    refused = " ".join(capsys.readouterr().err.split())
    assert stop.value.code == 2 and "% of the budget, as synthesized now; search anew" in refused


@pytest.mark.long
@pytest.mark.parametrize("budget", ["bops=1M", "cycles=400"])
def test_budgets_of_other_kinds(budget, tmp_path, monkeypatch):
    command = f"flow search --model tiny --dataset digits --budget {budget} --epochs 1 --fine-epochs 1 --out {tmp_path}"
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as stop:
        main()
    found = json.loads((tmp_path / "search.json").read_text())
    assert not stop.value.code and 0 < found["share_of_budget"] <= 1
    bits = BitsSpec.load(TINY, tmp_path / "bits.yaml")
    if budget.startswith("bops"):
        spent = sum(w.macs * bits.weights[w.name] * width_of(bits, w.source) for w in TINY.weight_layers())
        assert spent == pytest.approx(found["share_of_budget"] * 1e6)
