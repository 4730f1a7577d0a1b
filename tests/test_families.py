"""Each family of the project's models through every engine: trained, twin, golden, C simulation, RTL.

Weights are seeded, not trained. Jets and LeNet have their own sizes, the DS-CNN and MobileNet are small ones of
the same topology; the residual family is built in test_build.py, an autoencoder in test_tasks.py. `make long-test`
builds all as they are.
"""

from __future__ import annotations

from functools import cache

import networks
import numpy as np
import published
import pytest

from flow import golden, hls
from flow.bits import BitsSpec
from flow.boards import find_board
from flow.fold import compare_trained_deployed, fold_network
from flow.folding import Amount, solve
from flow.ir import Graph
from flow.rtl import write
from flow.simulate.compare import compare
from flow.simulate.fast import Simulator
from flow.twin import Twin, twin_outputs
from keras_models import MODELS
from keras_models.dscnn import depthwise_separable
from keras_models.spec import ModelSpec
from keras_models.widen import widened

BOARD = find_board("pynq-z2")
SAMPLES = 40


def uniform(spec: ModelSpec, bits: int) -> tuple[ModelSpec, BitsSpec]:
    return spec, BitsSpec.uniform(spec, bits)


def weights_in_turn(spec: ModelSpec, *widths: int) -> tuple[ModelSpec, BitsSpec]:
    """As studies of equal cost have them: activations of 8 bits, and few for all weights, first and last layer too."""
    weights = {layer.name: widths[n % len(widths)] for n, layer in enumerate(spec.weight_layers())}
    return spec, BitsSpec(weights=weights, activations={a.name: 8 for a in spec.activation_layers()})


#: model and widths
FAMILIES = {
    "jets": uniform(MODELS["jets"], 4),
    "lenet": uniform(MODELS["lenet"], 2),
    "dscnn": uniform(depthwise_separable("small_dscnn", "", (18, 8, 1), filters=6, blocks=2, classes=5), 3),
    # depthwise convolutions have 1, 2, 1, 2 bits
    "mobilenet": weights_in_turn(widened(MODELS["mobilenet"], 0.14), 2, 1, 1, 2),
}


@cache
def converted(name: str) -> tuple:
    """The trained network, its twin and graph, and random input codes."""
    spec, bits = FAMILIES[name]
    trained = published.randomized(spec.build_quantized(bits))
    twin = fold_network(trained)
    return trained, twin, hls.convert(twin, spec.identifier), twin.input.random(SAMPLES, seed=5)


def output_of(twin: Twin, codes: np.ndarray) -> np.ndarray:
    """Golden's reference, with enough different integers to tell engines apart."""
    outputs = twin_outputs(twin, codes)
    assert len(np.unique(outputs)) > 20
    return outputs


@pytest.mark.parametrize("name", FAMILIES)
def test_twin_does_what_was_trained_and_golden_what_the_twin_does(name):
    trained, twin, graph, codes = converted(name)
    difference = compare_trained_deployed(trained, twin, codes)
    # float32 rounds sums of TensorFlow's that lie on a step; one such code changes those behind it
    assert difference.activations <= 2e-3 * difference.total
    np.testing.assert_array_equal(golden.run(graph, codes), output_of(twin, codes))


@pytest.mark.parametrize("name", FAMILIES)
def test_real_inputs_become_signed_codes_of_eight_bits(name):
    _, twin, _, _ = converted(name)
    images = name in ("lenet", "mobilenet")
    assert (twin.input.bits, twin.input.signed, twin.input.is_pixel) == (8, not images, images)


@pytest.mark.parametrize("name", FAMILIES)
def test_c_simulation_equals_golden(name, tmp_path):
    _, twin, _, codes = converted(name)
    expected = output_of(twin, codes)
    project = hls.vitis_project(twin, tmp_path / "vitis", BOARD, codes[:2], expected[:2])
    np.testing.assert_array_equal(hls.csim(project, codes), expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_rtl_equals_golden(name, tmp_path):
    _, twin, graph, codes = converted(name)
    folding = solve(graph, Amount(BOARD.lut, BOARD.ff, BOARD.dsp, BOARD.bram36), 20_000)
    simulator = Simulator(graph, folding, write(graph, folding, tmp_path / "verilog"), networks.CACHE)
    difference = compare("output", output_of(twin, codes), simulator.run(codes).outputs)
    assert not difference.count, f"{difference}; {simulator.explain(codes[:2])}"


def macs(graph: Graph) -> int:
    """Of all matrix-vector units."""
    return sum(node.macs for node in graph.nodes if hasattr(node, "macs"))


@pytest.mark.parametrize("name", ["jets", "lenet"])
def test_the_description_counts_what_the_hardware_computes(name):
    assert macs(converted(name)[2]) == FAMILIES[name][0].macs
