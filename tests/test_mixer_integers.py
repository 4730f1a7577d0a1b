"""The integers of a network with run-time widths, and the twin that runs them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import networks
import numpy as np
import pytest
from mixers import PLAN, WIDTHS, random_network

from flow.errors import FlowError
from flow.fold.grids import Grid
from flow.fold.rescale import find_shared
from flow.fold.steps import Affine, Chain, find_steps
from flow.golden import functions as golden
from flow.mixer.integers import export_integers
from flow.mixer.twin import compare_trained, run_twin
from keras_models import MODELS
from keras_models.runtime import plan_runtime


@pytest.fixture(scope="module")
def exported():
    model = random_network()
    return model, export_integers(PLAN, model)


def test_the_twin_does_what_was_trained_at_every_configuration(exported):
    model, integers = exported
    every = list(product(range(3), repeat=3))
    difference = compare_trained(model, integers, networks.random_images(40), every)
    assert difference.total == len(every) * 40 * sum(
        int(np.prod(layer.shape)) for layer in PLAN.spec.activation_layers()
    )
    assert difference.activations <= 1e-5 * difference.total and difference.labels == 0
    logits = [run_twin(integers, networks.random_images(40), positions)[0] for positions in every]
    assert all((a != b).any() for a, b in pairwise(logits))


@pytest.mark.parametrize("what", ["bias", "maxima", "weights", "entry"])
def test_a_wrong_integer_shows(exported, what: str):
    model, integers = exported
    table, weights = integers.tables["s1_relu1"], integers.weights["s1_conv2"]
    if what == "bias":
        changed = replace(table, bias=table.bias + (1 << (table.shift - 2)))
    elif what == "maxima":
        changed = replace(table, maxima=np.full(9, 15))
    elif what == "entry":
        changed = replace(table, select=table.select[::-1])
    else:
        changed, weights = table, replace(weights, codes=weights.codes ^ 1)
    broken = replace(
        integers, tables={**integers.tables, "s1_relu1": changed}, weights={**integers.weights, "s1_conv2": weights}
    )
    configurations = [(0, 2, 1), (2, 0, 1), (2, 2, 2), (1, 0, 0)]
    assert compare_trained(model, broken, networks.random_images(20), configurations).activations > 100


def test_what_the_hardware_holds(exported):
    model, integers = exported
    for name, weights in integers.weights.items():
        top = 4 if name in PLAN.layers else 8
        assert weights.bits == top and weights.runtime == (name in PLAN.layers)
        assert -(1 << (top - 1)) <= weights.codes.min() and weights.codes.max() < 1 << (top - 1)
        for width in WIDTHS if weights.runtime else ():
            np.testing.assert_array_equal(weights.at(width), weights.codes >> (top - width))
            np.testing.assert_array_equal(weights.at(width), model.get_layer(name).codes(width))
    assert integers.weights["dense"].bias is not None
    table = integers.tables["s1_relu1"]
    assert table.select == ("s1_conv1", "s1_conv2") and table.multiplier.shape == (9, 8) and table.low == 0
    np.testing.assert_array_equal(table.maxima, [3, 7, 15] * 3)
    np.testing.assert_array_equal(integers.tables["s1_res"].maxima, [127] * 9)
    assert integers.entry(table, PLAN.indices({"s1_conv1": 4, "s1_conv2": 3, "s1_skip": 2})) == 7
    assert [table.differing for table in integers.tables.values()] == [0] * len(integers.tables)
    assert integers.tables["s1_out"].select == () and integers.tables["s1_skip_res"].select == ("s1_skip",)


def test_centred_weights_are_the_odd_integers():
    model = random_network(nesting="centre")
    integers = export_integers(PLAN, model)
    difference = compare_trained(model, integers, networks.random_images(20), [(0, 2, 1), (2, 0, 0), (1, 1, 2)])
    assert difference.activations <= 1e-5 * difference.total and difference.labels == 0
    weights = integers.weights["s1_conv2"]
    assert weights.odd and not integers.weights["conv1"].odd
    np.testing.assert_array_equal(weights.at(2), 2 * (weights.codes >> 2) + 1)
    assert set(np.unique(weights.at(2))) == {-3, -1, 1, 3} and set(np.unique(weights.at(3))) == {*range(-7, 8, 2)}


@pytest.mark.parametrize("name", ["jets", "lenet"])
def test_other_topologies(name: str):
    """Dense layers, real inputs, maxima, vectors made of images."""
    plan = plan_runtime(MODELS[name], (2, 3))
    model = random_network(plan=plan)
    shape = MODELS[name].input_shape
    samples = networks.random_images(20, shape)
    if len(shape) == 1:
        samples = np.random.default_rng(0).normal(0, 1, (20, *shape)).astype(np.float32)
    rows = np.random.default_rng(1).integers(0, 2, (4, len(plan.layers)))
    difference = compare_trained(model, export_integers(plan, model), samples, rows)
    assert difference.activations <= 1e-5 * difference.total and difference.labels == 0


def test_rounded_weights_are_refused():
    with pytest.raises(FlowError, match=r"s1_conv1: its weights are rounded to lower widths.* nesting=round"):
        export_integers(PLAN, random_network(nesting="round"))


def test_one_shift_serves_grids_of_different_width():
    rng = np.random.default_rng(0)
    parts = []
    for bits in WIDTHS:
        zero = np.zeros(5)
        scale = rng.uniform(0.001, 0.05, 5) * rng.choice([-1, 1], 5)
        chain = Chain(0, (Affine(zero, scale, rng.normal(0, 1, 5)),))
        steps = find_steps(chain, Grid(bits, 0, False, 0, 2**bits - 1), np.full(5, -900), np.full(5, 900))
        parts.append((chain, steps))
    found = find_shared([steps for _, steps in parts])
    assert len({rescale.shift for rescale in found}) == 1 and not any(rescale.differing for rescale in found)
    integers = np.arange(-900, 901)[:, None].repeat(5, axis=1)
    for (chain, steps), rescale in zip(parts, found, strict=True):
        want = steps.grid.codes(chain(integers))
        have = golden.requantize(integers, rescale.multiplier, rescale.bias, rescale.shift, 0, steps.grid.high)
        np.testing.assert_array_equal(have, want)
