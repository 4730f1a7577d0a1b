"""A network with run-time widths through hls4ml: its integers, Keras twin and IR agree at every configuration."""

from __future__ import annotations

import networks
import numpy as np
import pytest
from mixers import PLAN, WIDTHS, random_network

from flow import golden, hls
from flow.fold.compare import Difference
from flow.mixer.deploy import deploy
from flow.mixer.integers import export_integers
from flow.mixer.twin import compare_trained, run_twin
from flow.twin import load, save, twin_outputs

CONFIGURATIONS = 20


@pytest.fixture(scope="module")
def converted():
    """Trained network, its integers, twin and IR."""
    model = random_network()
    integers = export_integers(PLAN, model)
    twin = deploy(integers)
    return model, integers, twin, hls.convert(twin, "mixed")


def configurations(count: int, layers: int = len(PLAN.layers), widths=WIDTHS, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).choice(widths, (count, layers))


def test_golden_and_twins_agree(converted):
    _, integers, twin, graph = converted
    images = networks.random_images(20)
    for bits in configurations(CONFIGURATIONS):
        want, _ = run_twin(integers, images, PLAN.indices(list(bits)))
        np.testing.assert_array_equal(golden.run(graph, images, configuration=bits), want)
        np.testing.assert_array_equal(twin_outputs(twin, images, configuration=bits), want)
