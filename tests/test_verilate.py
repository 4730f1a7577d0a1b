"""Simulators are built once, and Verilator's own library once for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow.errors import CheckFailed
from flow.simulate import runtime_library
from flow.simulate.verilate import verilate


def built(name: str, cache: Path) -> tuple[Path, str]:
    """The program of a small design, and what `make` wrote."""
    sources = cache / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    (sources / f"{name}.sv").write_text(f"module {name} (input logic clk, output logic q);\n"
                                        "  always_ff @(posedge clk) q <= !q;\nendmodule\n")  # fmt: skip
    (sources / "main.cpp").write_text('#include "Vtop.h"\nint main() { Vtop top; top.eval(); return 0; }\n')
    folder = cache / name
    arguments = ["--top-module", name, "-CFLAGS", "-O0", sources / f"{name}.sv", sources / "main.cpp"]
    return verilate(folder, "", lambda: None, arguments, cache), (folder / "build.log").read_text()


def test_the_library_is_compiled_once(tmp_path: Path, caplog):
    _, first = built("first", tmp_path)
    assert "verilated.cpp" in first
    _, second = built("second", tmp_path)
    assert "verilated.cpp" not in second and "Vtop__ALL" in second
    (library,) = tmp_path.glob("library-*")
    makefile = tmp_path / "second" / "Vtop.mk"
    assert runtime_library.lend(makefile.parent, tmp_path) == library
    makefile.write_text(makefile.read_text().replace("-O0", "-O0 -DOTHER"))
    assert not runtime_library.lend(makefile.parent, tmp_path).exists(), "compiled with other options"
    with (library / "verilated.o").open("r+b") as file:
        file.seek(100)
        file.write(b"nonsense")
    program, again = built("third", tmp_path)
    assert "verilated.cpp" in again and "is damaged: not used, compiled again" in caplog.text
    assert program.exists()


def test_a_design_that_is_none_is_refused_with_the_log(tmp_path: Path):
    with pytest.raises(CheckFailed, match=r"(?s)does not build \(log: .*verilate\.log\).*syntax error"):
        built("module", tmp_path)
