"""What a stage depends on: its own module, all that it uses, lazily too, the tools, and not everything else."""

from __future__ import annotations

import dataclasses
import importlib.metadata

import pytest

from flow import paths
from flow.cache import digest
from flow.pipeline import code
from flow.pipeline.code import Code
from flow.pipeline.stages import STAGES

BY_NAME = {stage.name: stage for stage in STAGES}
#: for each stage, modules that it uses and modules that it, and the stages before it, have nothing to do with
USED = {
    "train": ("quantizers.uniform", "mixer.run", "tasks", "training.run", "datasets.jets", "bits"),
    "fold": ("quantizers.runtime", "network.file", "ir.runtime", "fold.rescale", "mixer.deploy", "twin.layers"),
    "convert": ("hls.lowering", "hls.plugin", "ir.nodes", "golden.functions", "pipeline.widths"),
    "csim": ("hls.simulation", "ir.runtime", "tools.process"),
    "rtl": ("rtl.builders", "folding.cost", "adders.solve"),
    "simulate": ("simulate.fast", "rtl.ip", "tools.verilator", "tasks"),
    "synthesize": ("synth.price", "tools.yosys", "tools.nextpnr"),
    "report": ("report.markdown", "report.plots"),
}
UNUSED = {
    "train": ("hls", "rtl", "fold", "folding", "synth", "simulate", "report"),
    "fold": ("hls", "rtl", "folding", "synth", "report", "simulate.fast"),
    "convert": ("rtl", "folding", "synth", "report"),
    "csim": ("rtl", "folding", "synth", "report"),
    "rtl": ("synth", "simulate.fast", "report", "training.console"),
    "simulate": ("synth", "report", "comparison"),
    "synthesize": ("simulate.fast", "report", "comparison"),
    "report": ("study", "n2uq_study", "isocost", "sweep", "search", "cli"),
}


@pytest.fixture(autouse=True)
def fresh():
    code._project.cache_clear()
    yield
    code._project.cache_clear()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_stage_has_what_it_uses_and_no_more(name, tmp_path):
    modules = BY_NAME[name].code.modules(tmp_path)
    assert f"flow.pipeline.stages.{name}" in modules
    assert {f"flow.{used}" for used in USED[name]} <= set(modules)
    assert not [module for module in modules for other in UNUSED[name] if code._is_below(module, (f"flow.{other}",))]


def test_every_model_is_part_of_training(tmp_path):
    modules = BY_NAME["train"].code.modules(tmp_path)
    assert {f"keras_models.{path.stem}" for path in (code.ROOT / "keras_models").glob("[a-z]*.py")} <= set(modules)


def test_imports_are_found_wherever_they_are():
    sources = {
        "flow": b"", "flow.a": b"", "flow.b": b"", "flow.c": b"", "flow.d": b"", "flow.d.e": b"", "flow.f": b"",
        "flow.x": b"import numpy\nfrom typing import TYPE_CHECKING\nfrom flow import a\nfrom flow.d.e import name\n"
        b"if TYPE_CHECKING:\n    from flow import c\n"
        b"def f():\n    try:\n        import flow.b\n    except ValueError:\n        from flow.f import g\n",
    }  # fmt: skip
    assert code._imported("flow.x", sources) == {"flow.a", "flow.b", "flow.d.e", "flow.f"}


def test_another_source_file_or_tool_is_another_stage(tmp_path, monkeypatch):
    stage = Code("flow.pipeline.stages.simulate", data=(tmp_path / "data",), tools=("verilator", code.COMPILER))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bench.py").write_text("1")

    def key() -> str:
        code._project.cache_clear()
        code.version.cache_clear()
        return digest(stage.parts(tmp_path / "cache"))

    first = key()
    assert key() == first, "the imports are kept"
    (tmp_path / "data" / "bench.py").write_text("2")
    second = key()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.1")
    third = key()
    right = code._project

    def edited(cache):
        project = right(cache)
        return dataclasses.replace(project, sources=project.sources | {"flow.tasks": b"edited"})

    edited.cache_clear = right.cache_clear
    monkeypatch.setattr(code, "_project", edited)
    assert len({first, second, third, key()}) == 4
    monkeypatch.undo()
    code.version.cache_clear()


def test_what_the_benches_import_beside_them_is_part_of_simulation():
    from flow.pipeline.stages.simulate import BENCHES

    beside = {path.stem for path in paths.testbench().glob("*.py")}
    for name in BENCHES:
        lines = (paths.testbench() / name).read_text().splitlines()
        words = [line.split() for line in lines if line.startswith(("from ", "import "))]
        assert {line[1] for line in words} & beside <= {bench.removesuffix(".py") for bench in BENCHES}
