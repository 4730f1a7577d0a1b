"""hls4ml's C++ against the golden model, integer by integer; and that a fault there is seen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import networks
import numpy as np
import pytest

from flow import golden, hls
from flow.boards import find_board
from flow.errors import CheckFailed, FlowError
from flow.fold import fold_network
from flow.hls import simulation
from flow.hls.simulation import VitisProject, compile_project
from flow.ir import Graph

BOARD = find_board("pynq-z2")


def write(trained, folder: Path, vectors: int = 3) -> tuple[VitisProject, Graph]:
    twin = fold_network(trained)
    graph = hls.convert(twin)
    images = networks.random_images(vectors, graph.input.output.shape)
    return hls.vitis_project(twin, folder, BOARD, images, golden.run(graph, images)), graph


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> tuple[VitisProject, Graph]:
    """The residual network with another width in every layer."""
    return write(networks.tiny(networks.mixed_bits()), tmp_path_factory.mktemp("mixed") / "vitis")


@pytest.fixture
def stub(mixed, tmp_path) -> VitisProject:
    """The project with a test program that a test replaces, compiled without the network."""
    project, _ = mixed
    for name in ("firmware", "flow.json"):
        source = project.folder / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, tmp_path / name)
    (tmp_path / "firmware" / f"{project.top}.cpp").write_text("")
    return replace(project, folder=tmp_path)


def test_residual_network_equals_golden(mixed):
    project, graph = mixed
    images = networks.random_images(64, seed=8)
    heard = []
    outputs = hls.csim(project, images, heard.append)
    np.testing.assert_array_equal(outputs, golden.run(graph, images))
    assert heard[-1] == 64 and heard == sorted(heard)
    np.testing.assert_array_equal(hls.csim(hls.load_project(project.folder), images[:3], processes=1), outputs[:3])


def test_every_kind_of_layer_equals_golden(tmp_path):
    project, graph = write(networks.every_layer(), tmp_path / "vitis")
    images = networks.random_images(40, graph.input.output.shape)
    np.testing.assert_array_equal(hls.csim(project, images), golden.run(graph, images))


def test_project_is_ready_for_the_vendors_tool(mixed):
    project, graph = mixed
    for name in ("build_prj.tcl", "vivado_synth.tcl", "build_opt.tcl", f"{project.top}_test.cpp"):
        assert (project.folder / name).exists(), name
    tcl = (project.folder / "project.tcl").read_text()
    assert BOARD.part in tcl and f"set clock_period {BOARD.clock_ns:g}" in tcl.replace("10.0", "10")
    pixels = np.loadtxt(project.folder / "tb_data" / "tb_input_features.dat")
    logits = np.loadtxt(project.folder / "tb_data" / "tb_output_predictions.dat")
    images = np.rint(pixels * 256).astype(np.int64).reshape(-1, *project.input_shape)
    np.testing.assert_array_equal(images, networks.random_images(3))
    np.testing.assert_array_equal(logits * 2.0**project.output_fraction_bits, golden.run(graph, images))


def test_an_off_by_one_in_the_threshold_shows(mixed, tmp_path):
    project, graph = mixed
    folder = shutil.copytree(project.folder, tmp_path / "planted")
    header = folder / "firmware" / "nnet_utils" / "threshold.h"
    text = header.read_text()
    assert text.count("x >= t") == 2
    header.write_text(text.replace("x >= t)", "x > t)"))
    images = networks.random_images(32, seed=8)
    assert np.count_nonzero(hls.csim(replace(project, folder=folder), images) != golden.run(graph, images)) > 0


def test_compiles_again_only_when_something_changed(stub):
    (stub.folder / "csim_main.cpp").write_text("int main() { return 0; }")
    program = compile_project(stub)
    first = program.stat().st_mtime_ns
    assert compile_project(stub).stat().st_mtime_ns == first
    program.write_bytes(program.read_bytes()[:-1])
    assert compile_project(stub).stat().st_mtime_ns != first
    second = program.stat().st_mtime_ns
    header = stub.folder / "firmware" / "nnet_utils" / "threshold.h"
    header.write_text(header.read_text() + "\n")
    assert compile_project(stub).stat().st_mtime_ns != second


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('std::fprintf(stderr, "no line buffer\\n"); std::abort();', "status -6 after 0 images: no line buffer"),
        ("*(volatile int *)0 = 1;", "status -11 after 0 images"),
        ("return 0;", "gave 0 numbers for 4 images"),
        ("while (true) {}", "was ended after"),
    ],
)
def test_a_crash_is_a_failed_check_and_not_the_end(stub, body, message, monkeypatch):
    monkeypatch.setattr(simulation, "IMAGE_LIMIT_S", 0.1)
    monkeypatch.setattr(simulation, "START_LIMIT_S", 0.5)
    (stub.folder / "csim_main.cpp").write_text(
        f'#include <cstdio>\n#include <cstdlib>\nint main(int, char **argv) {{ std::fopen(argv[2], "wb"); {body} }}'
    )
    with pytest.raises(CheckFailed, match=message):
        hls.csim(stub, networks.random_images(4), processes=1)


def test_what_the_compiler_says_is_shown(stub):
    (stub.folder / "csim_main.cpp").write_text("int main() { return nonsense; }")
    with pytest.raises(FlowError, match="nonsense"):
        compile_project(stub)


def test_wrong_images_and_folders_are_refused(mixed, tmp_path):
    project, _ = mixed
    with pytest.raises(FlowError, match="takes integer codes of shape"):
        hls.csim(project, networks.random_images(2, (4, 4, 3)))
    with pytest.raises(FlowError, match="cannot read"):
        hls.load_project(tmp_path)
    (tmp_path / "precious").write_text("")
    with pytest.raises(FlowError, match="holds no Vitis project"):
        write(networks.tiny(2), tmp_path)
