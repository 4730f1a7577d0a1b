"""What is installed is the whole project, and it answers at once."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hls_templates", "testbench", "verilog")
#: what a user chooses to install; nothing fails without it
EXTRAS = {"da4ml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def tracked(folder: str) -> set[str]:
    """Files of a folder that belong to the project."""
    skip = {"__pycache__", "_share"}
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not skip & set(path.parts) and path.suffix != ".pyc" and not path.name.startswith(".")
    }


def test_the_wheel_carries_everything(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("flow", "keras_models"):
        assert tracked(package) <= names
    for folder in FOLDERS:
        assert tracked(folder)
        assert {f"flow/_share/{name}" for name in tracked(folder)} <= names
    assert not [name for name in names if name.startswith(("tests/", "verilog/", "testbench/", "hls_templates/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = """
import flow, flow.paths as paths
print(flow.__file__)
for folder in (paths.verilog(), paths.testbench(), paths.hls_templates()):
    assert any(folder.iterdir())
    print(folder)
import keras_models
print(keras_models.__file__)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert len(output.splitlines()) == 5
    assert all(line.startswith(str(tmp_path / "site")) for line in output.splitlines())


def test_help_answers_in_half_a_second():
    command = [sys.executable, "-c", "from flow.cli.main import main; main()", "--help"]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5
    for name in ("build", "sweep", "compare", "train", "simulate", "handoff", "doctor", "models"):
        assert re.search(rf"(?m)^\W+{name}\s", output)


def test_help_imports_nothing_heavy():
    script = """
import sys, flow.cli.main
heavy = {"tensorflow", "numpy", "hls4ml", "matplotlib", "pydantic", "pyosys", "cocotb", "jinja2", "scipy", "sklearn"}
sys.exit(f"imported: {sorted(heavy & set(sys.modules))}" if heavy & set(sys.modules) else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_hls4ml_lists_our_backend():
    script = "import hls4ml; assert 'flowrtl' in hls4ml.backends.get_available_backends()"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING: failed to load backend plugin" not in done.stdout


def test_every_dependency_is_pinned_to_a_version_that_we_accept():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "constraints are names and versions only"
    pins = {plain(name): version for name, version in (line.split("==") for line in lines)}
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[plain(requirement.name)]), text


def plain(name: str) -> str:
    """A distribution's name as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names}


def test_everything_that_is_imported_is_a_dependency():
    """Without the `dev` extra: what a plain installation has must be enough to finish a build."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {plain(Requirement(text).name) for text in project["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    files = [path for folder in ("flow", "keras_models", "testbench") for path in sorted((ROOT / folder).rglob("*.py"))]
    own = {"flow", "keras_models", *(path.stem for path in files if path.parent.name == "testbench")}
    for path in files:
        if "templates" in path.parts:  # goes to another machine
            continue
        for name in imported(path) - own - EXTRAS - set(sys.stdlib_module_names):
            named = {plain(found) for found in distributions.get(name, [name])}
            assert named & declared, f"{path.relative_to(ROOT)} imports {name}, which no dependency brings"
