"""C simulation of a network with run-time widths, a configuration for each image, against the golden model."""

from __future__ import annotations

import shutil
from dataclasses import replace

import networks
import numpy as np
import pytest
from mixers import PLAN, WIDTHS, random_network
from test_fifos import stuck

from flow import golden, hls
from flow.boards import find_board
from flow.errors import FlowError
from flow.hls.fifos import FRAMES, depths, stages
from flow.hls.keras2 import to_hls4ml
from flow.hls.simulation import compile_project
from flow.mixer.deploy import deploy
from flow.mixer.integers import export_integers
from flow.mixer.twin import run_twin
from keras_models import MODELS
from keras_models.runtime import plan_runtime

BOARD = find_board("pynq-z2")
VECTORS = 3


def configurations(count: int, seed: int = 5) -> np.ndarray:
    """Bits of each runtime layer, int64 (count, layers)."""
    return np.random.default_rng(seed).choice(WIDTHS, (count, len(PLAN.layers)))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The Vitis project of the small residual network, and its IR."""
    twin = deploy(export_integers(PLAN, random_network()))
    graph, images, bits = hls.convert(twin), networks.random_images(VECTORS), configurations(VECTORS)
    expected = golden.run(graph, images, configuration=bits)
    folder = tmp_path_factory.mktemp("mixer") / "vitis"
    return hls.vitis_project(twin, folder, BOARD, images, expected, bits), graph


def test_every_image_with_a_configuration_of_its_own(project):
    found, graph = project
    images, bits = networks.random_images(60, seed=8), configurations(60)
    expected = golden.run(graph, images, configuration=bits)
    np.testing.assert_array_equal(hls.csim(found, images, configuration=bits), expected)
    loaded = hls.load_project(found.folder)
    for width in WIDTHS:
        every = dict.fromkeys(PLAN.layers, width)
        outputs = hls.csim(loaded, images[:5], configuration=every)
        np.testing.assert_array_equal(outputs, golden.run(graph, images[:5], configuration=every))


@pytest.mark.parametrize(
    ("header", "right", "wrong"),
    [
        ("serial_matvec.h", "plane == 0 ? sum_t(before - partial)", "plane == 1 ? sum_t(before - partial)"),
        ("requantize_table.h", "table * n_chan +", "(table / 3 * 3) * n_chan +"),
    ],
)
def test_a_fault_in_a_template_shows(project, tmp_path, header: str, right: str, wrong: str):
    found, graph = project
    folder = shutil.copytree(found.folder, tmp_path / "planted")
    file = folder / "firmware" / "nnet_utils" / header
    text = file.read_text()
    assert text.count(right) == 1
    file.write_text(text.replace(right, wrong))
    images, bits = networks.random_images(20, seed=8), configurations(20)
    outputs = hls.csim(replace(found, folder=folder), images, configuration=bits)
    assert np.count_nonzero(outputs != golden.run(graph, images, configuration=bits)) > 0


def test_vectors_that_are_made_of_images_and_odd_weights(tmp_path):
    plan = plan_runtime(MODELS["lenet"], (2, 3))
    integers = export_integers(plan, random_network(plan=plan, nesting="centre"))
    positions = np.random.default_rng(1).integers(0, 2, (6, len(plan.layers)))
    codes, bits = integers.input.random(6, seed=0), np.asarray(plan.widths)[positions]
    expected = np.concatenate([run_twin(integers, codes[i : i + 1], row)[0] for i, row in enumerate(positions)])
    found = hls.vitis_project(deploy(integers), tmp_path / "vitis", BOARD, codes, expected, bits)
    np.testing.assert_array_equal(hls.csim(found, codes, configuration=bits), expected)


def test_the_project_for_the_vendors_tool(project):
    found, _ = project
    source = (found.folder / "firmware" / "network.cpp").read_text()
    assert "#pragma HLS INTERFACE axis port=image,configuration," in source
    # a copy of the configuration for each of the eight layers that look at it; no other stream is as short
    assert "nnet::pass_through<" in source and source.count(f" depth={FRAMES}\n") > 8
    features = np.loadtxt(found.folder / "tb_data" / "tb_input_features.dat")
    assert features.shape == (VECTORS, int(np.prod(PLAN.spec.input_shape)) + len(PLAN.layers))
    np.testing.assert_array_equal(features[:, -3:] + WIDTHS[0], configurations(VECTORS))
    assert "nnet::copy_data<float, configuration_t, " in (found.folder / "network_test.cpp").read_text()


def test_tokens_pass(tmp_path):
    twin = deploy(export_integers(PLAN, random_network()))
    layers = stages(to_hls4ml(twin, "Vitis", "network", output_dir=str(tmp_path)))
    names = {name for stage in layers for name in (*stage.inputs, *stage.outputs)}
    assert not any(name.startswith("configuration") for name in names)
    assert stuck(layers, depths(layers)) == []


def test_what_the_project_is_not_told(project):
    found, _ = project
    images = networks.random_images(2)
    with pytest.raises(FlowError, match="network has 3 runtime layers, and no configuration came"):
        hls.csim(found, images)
    with pytest.raises(FlowError, match=r"layer 's1_conv1': 8 bits, may be 2, 3, 4"):
        hls.csim(found, images, configuration=[8, 2, 2])
    assert compile_project(found).exists()
