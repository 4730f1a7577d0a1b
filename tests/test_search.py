"""Differentiable search of bit-widths: the relaxation and its gradient, costs, repair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.bits import BitsSpec
from flow.boards import find_board
from flow.errors import FlowError
from flow.folding import estimate
from flow.folding.solve import for_cycles
from flow.ir import Requantize
from flow.keras_env import keras, tf
from flow.search.budget import Budget, rate
from flow.search.choices import SearchConfig, lowest
from flow.search.costs import Costs, check_board, costs
from flow.search.network import Widths, build_relaxed
from flow.search.path import PathRecorder
from flow.search.penalty import common_width, cost_of, penalty
from flow.search.relaxed import gaussian_steps, relaxed_activations, relaxed_weights
from flow.search.repair import candidates
from flow.search.skeleton import skeleton
from flow.training.calibrate import copy_weights, prepare, quantize, weight_exponent
from flow.training.progress import EpochRecord, Silent
from keras_models import MODELS
from keras_models.build import weight_quantizer
from keras_models.widen import widened

BOARD = find_board("pynq-z2")
TINY = MODELS["tiny"]


def kernel(seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).standard_normal((18, 4)).astype(np.float32))


@pytest.mark.parametrize("bits", range(1, 9))
def test_at_a_whole_width_it_is_the_ordinary_quantizer(bits: int):
    values = kernel()
    steps = gaussian_steps()[bits - 1] * np.sqrt((values.numpy() ** 2).mean(axis=0))
    found = relaxed_weights()(values, tf.constant(float(bits))).numpy() / steps
    expected = quantize(values.numpy() / steps, bits, 0, signed=True)
    np.testing.assert_array_equal(np.rint(found), expected)
    np.testing.assert_allclose(found, expected, atol=1e-4, err_msg="on the grid but for float32")
    by_width = np.exp2(-np.arange(8.0)).astype(np.float32)
    expected = quantize(values.numpy(), bits, 1 - bits, signed=False)
    found = relaxed_activations(by_width)(values, tf.constant(float(bits)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_without_a_normalization_the_grid_is_that_of_the_final_network(bits: int):
    """All filters on one power-of-two step, 1 bit too."""
    values = 0.2 * kernel().numpy()
    exponents = np.array([weight_exponent(values, width) for width in range(1, 9)])
    found = relaxed_weights(exponents)(tf.constant(values), tf.constant(float(bits)))
    np.testing.assert_array_equal(found, quantize(values, bits, exponents[bits - 1], signed=True))
    final = weight_quantizer(bits, int(exponents[bits - 1]))
    expected = final(tf.constant(values / final.alpha))  # latent weights are kept in units of alpha
    np.testing.assert_array_equal(found, expected)
    assert exponents[0] == -3, "the power of two nearest to the mean magnitude, 0.16"


@pytest.mark.parametrize("width", [1.4, 2.5, 3.9, 6.2])
@pytest.mark.parametrize("kind", ["weights", "activations"])
def test_the_width_s_gradient_is_that_of_finite_differences(width: float, kind: str):
    """Of the expectation: the mean squared error of many values, since the quantizer itself is no smooth function."""
    values = tf.constant(np.random.default_rng(0).standard_normal((200_000, 1)).astype(np.float32))
    if kind == "weights":
        quantizer, wanted = relaxed_weights(), values
    else:
        quantizer, wanted = relaxed_activations(2.5 * np.exp2(-np.arange(8.0)).astype(np.float32)), tf.nn.relu(values)

    def loss(at):
        return tf.reduce_mean(tf.square(quantizer(values, at) - wanted))

    variable = tf.Variable(width)
    with tf.GradientTape() as tape:
        value = loss(tf.convert_to_tensor(variable))
    found = float(tape.gradient(value, variable))
    difference = float(loss(tf.constant(width + 0.05)) - loss(tf.constant(width - 0.05))) / 0.1
    assert difference < 0
    exact = kind == "weights" and width < 2  # there values are interpolated
    assert found == pytest.approx(difference, rel=1e-3 if exact else 0.06)


@pytest.mark.parametrize("kind", ["weights", "activations"])
def test_the_error_falls_all_the_way_to_the_next_width(kind: str):
    """No mixture between two whole widths is better than the wider one, or widths would stay there."""
    values = tf.constant(np.random.default_rng(0).standard_normal((50_000, 1)).astype(np.float32))
    by_width = 2.5 * np.exp2(-np.arange(8.0)).astype(np.float32)
    if kind == "weights":
        quantizer, wanted = relaxed_weights(), values
    else:
        quantizer, wanted = relaxed_activations(by_width), tf.nn.relu(values)
    found = [quantizer(values, tf.constant(float(width))) for width in np.arange(2, 8.01, 0.125)]
    errors = [float(tf.reduce_mean(tf.square(values - wanted))) for values in found]
    assert (np.diff(errors) < 0).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_each_channel_of_a_depthwise_convolution_has_a_step_of_its_own(bits: int):
    """In the network whose widths are learned, whose quantizers see a row for each weight and a column for each filter.

    Its 3x3 kernels, of very different size, become the codes of the quantizer times each channel's own step.
    """
    spec = widened(MODELS["mobilenet"], 0.14)
    fixed, names = BitsSpec.uniform(spec, 8), [layer.name for layer in spec.weight_layers()]
    _, ranges = prepare(spec, fixed, spec.build_float(), np.random.default_rng(0).random((8, *spec.input_shape)))
    exponents = {name: np.zeros(8, int) for name in names}
    layer = build_relaxed(spec, fixed, ranges, Widths(dict.fromkeys(names, float(bits)), {}), {}, exponents).get_layer(
        "b1_dw"
    )
    channels = layer.depthwise_kernel.shape[2]
    kernel = np.random.default_rng(1).standard_normal((3, 3, channels, 1)) * np.exp2(np.arange(channels))[:, None]
    layer.set_weights([kernel])
    image = np.zeros((1, 5, 5, channels), np.float32)
    image[0, 2, 2] = 1  # what comes out are the weights, the last one first
    found = layer(tf.constant(image)).numpy()[0, 1:4, 1:4][::-1, ::-1]
    steps = gaussian_steps()[bits - 1] * np.sqrt((kernel[..., 0] ** 2).mean(axis=(0, 1)))
    codes = quantize(kernel[..., 0] / steps, bits, 0, signed=True)
    np.testing.assert_array_equal(np.rint(found / steps), codes)
    # a step is the root of a mean of nine squares in float32: some ten roundings, by half an eps at most
    np.testing.assert_allclose(found, codes * steps, rtol=4 * np.finfo(np.float32).eps)


def test_the_values_gradient_passes_straight_through():
    values = kernel()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        weights = relaxed_weights()(values, tf.constant(2.5))
        activations = relaxed_activations(np.full(8, 0.1, np.float32))(values, tf.constant(3.0))
    np.testing.assert_array_equal(tape.gradient(weights, values), np.ones_like(values))
    inside = (values.numpy() > 0) & (values.numpy() <= 0.7 + 1e-6)
    np.testing.assert_array_equal(tape.gradient(activations, values), inside)


def test_bytes_and_bit_operations_of_whole_widths():
    model = MODELS["resnet8"]
    four = BitsSpec.uniform(model, 4)
    bytes_ = costs(model, Budget.parse("bytes=50k"), BOARD, 0.95, 8192).of(four)
    assert bytes_ == sum(w.weights * four.weights[w.name] for w in model.weight_layers()) / 8
    bops = costs(model, Budget.parse("bops=1G"), BOARD, 0.95, 8192).of(four)
    reads = {"input": 8, **four.activations}
    assert bops == sum(w.macs * four.weights[w.name] * reads[w.source] for w in model.weight_layers())


def test_luts_are_those_of_the_cost_model():
    """Of a network with widths of its own, against the estimate of its whole graph."""
    tables = costs(TINY, Budget.parse("luts=9k"), BOARD, 0.95, 400)
    bits = BitsSpec.uniform(TINY, 4)
    bits = bits.model_copy(update={"weights": {**bits.weights, "s1_conv1": 2, "s1_conv2": 7}})
    graph = skeleton(TINY, bits)
    assert tables.of(bits) == pytest.approx(estimate(graph, for_cycles(graph, 400)).lut, rel=0.05)
    board = costs(TINY, Budget.parse("cycles=400"), BOARD, 0.95, 1)
    assert board.budget == 0.95 * BOARD.lut and board.of(bits) == tables.of(bits)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_has_a_skeleton(name: str):
    graph = skeleton(MODELS[name], BitsSpec.uniform(MODELS[name], 3))
    assert sum(getattr(node, "macs", 0) for node in graph.nodes) == MODELS[name].macs


def test_codes_that_the_host_makes_take_no_hardware():
    """The jets' input quantizer is the grid of the input, as in a build."""
    jets = MODELS["jets"]
    graph = skeleton(jets, BitsSpec.uniform(jets, 4))
    kind = graph.input.output
    assert (kind.width_bits, kind.signed) == (8, True) and not any(isinstance(n, Requantize) for n in graph.nodes)


@given(st.lists(st.floats(1, 8), min_size=5, max_size=5), st.integers(0, 99), st.floats(0.05, 1.2))
@settings(max_examples=60, deadline=None)
def test_the_budget_holds_for_all_whole_widths(widths, seed, share):
    names = tuple(w.name for w in TINY.weight_layers())
    fixed = BitsSpec.uniform(TINY, 4)
    tables = np.random.default_rng(seed).uniform(0, 1, (len(names), 8, 8)).cumsum(axis=1)
    tight = Costs(names, ("input",) * len(names), tables, 1.0, 0.0)
    least, most = (tight.of(BitsSpec(weights=dict.fromkeys(names, b), activations=fixed.activations)) for b in (1, 8))
    budgeted = Costs(tight.layers, tight.sources, tables, 1.0, least + share * (most - least))
    learned = {"weights": dict(zip(names, widths)), "activations": {}}
    found = candidates(learned, fixed, budgeted)
    assert found and all(budgeted.of(bits) <= budgeted.budget for bits in found)
    if share >= 1:
        assert set(found[0].weights.values()) == {8}, "what is left is spent"


@pytest.mark.parametrize("wanted", [
    (6.1, 5.2, 5.0, 4.6, 4.4, 4.2, 4.4, 4.1, 3.9, 6.3), (4.0,) * 10, (7.9, 4.6, 4.6, 4.4, 4.2, 5.1, 4.0, 3.9, 5.5, 7.0),
])  # fmt: skip
def test_whole_widths_use_what_there_is_and_are_no_worse_than_uniform(wanted):
    """Of ResNet-8, half of whose weights are in one layer: cutting there alone would leave much unused."""
    model = MODELS["resnet8"]
    four = BitsSpec.uniform(model, 4)
    size = sum(w.weights * four.weights[w.name] for w in model.weight_layers()) / 8
    tables = costs(model, Budget("bytes", size), BOARD, 0.95, 8192)
    learned = {"weights": dict(zip([w.name for w in model.weight_layers()], wanted)), "activations": {}}
    best, *_ = found = candidates(learned, four, tables)
    assert len(found) == 8 and 0.98 < tables.of(best) / size <= 1

    def loss(bits: BitsSpec) -> float:
        wanted = learned["weights"]
        return sum(w.weights * 4.0 ** (wanted[w.name] - bits.weights[w.name]) for w in model.weight_layers())

    assert loss(best) <= loss(four) and [loss(bits) for bits in found] == sorted(loss(bits) for bits in found)


def test_a_bit_that_costs_nothing_more_is_still_worth_one():
    """LUTs waver: here a layer takes fewer at 4 bits than at 3, as one of ResNet-8's skips does."""
    names = ("one", "other", "third")
    each = np.array([245, 271, 325, 324, 359, 392, 420, 455], float)
    tables = np.repeat(np.stack([each, each, each])[:, :, None], 8, 2)
    fixed = BitsSpec(weights=dict.fromkeys(names, 4), activations={})
    learned = {"weights": {"one": 3.5, "other": 4.3, "third": 4.3}, "activations": {}}
    found = candidates(learned, fixed, Costs(names, ("input",) * 3, tables, 0.0, 3 * 325.0))
    assert all(min(bits.weights.values()) >= 3 for bits in found[:2]), found[:2]


def test_a_path_holds_nothing_of_another_search(tmp_path):
    """Records have rounded epochs; a step of CIFAR-10's is not one of a few digits."""
    file = tmp_path / "widths.json"

    def recorder(width: float) -> PathRecorder:
        return PathRecorder(Silent(), lambda: {"weights": {"a": width}, "activations": {}}, lambda: width, str, file)

    first = recorder(3.0)
    first.on_step(1, 2, 50, 390, 0.0)
    first.on_epoch(EpochRecord(1, 2, 0.0, 0.0, 0.0, 0.0, seconds=1.0, seconds_left=1.0))
    again = recorder(5.0)
    assert [record["epoch"] for record in again.records] == [0.1282, 1.0]
    again.on_step(1, 2, 50, 390, 0.0)
    assert [(record["epoch"], record["cost"]) for record in again.records] == [(0.1282, 5.0)]


def test_a_layer_that_does_not_matter_ends_at_the_lowest_width():
    """Its width falls to 1 bit, and what it leaves goes to the other; the budget has the weight of a search."""
    names = ("needed", "idle")
    tables = Costs(names, ("input",) * 2, np.repeat(np.arange(1.0, 9)[None, :, None], 2, 0) * np.ones((2, 8, 8)), 0, 8)
    fixed = BitsSpec(weights=dict.fromkeys(names, 4), activations={})
    widths = Widths(dict.fromkeys(names, 4.0), {})
    values, quantizer = kernel(), relaxed_weights()
    pays = penalty(tables, widths, fixed, SearchConfig().strength)
    optimizer = keras.optimizers.Adam(0.02, jit_compile=False)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            needed, idle = (quantizer(values, tf.convert_to_tensor(widths.weights[name])) for name in names)
            loss = 100 * tf.reduce_mean(tf.square(needed - values)) + 0 * tf.reduce_mean(idle) + pays()
        optimizer.apply_gradients(zip(tape.gradient(loss, widths.variables), widths.variables))

    for _ in range(1500):
        step()
    found = widths.values()["weights"]
    assert found["idle"] < 1.2 and found["needed"] > 6.5
    assert candidates(widths.values(), fixed, tables)[0].weights == {"needed": 7, "idle": 1}


def test_in_the_network_every_layer_has_its_own_width_and_learns_it():
    """A layer at 1 bit has two values a filter, one at 3 bits eight at most; the task's loss reaches every width."""
    layers, rng = TINY.weight_layers(), np.random.default_rng(0)
    fixed, names = BitsSpec.uniform(TINY, 8), [layer.name for layer in layers]
    start = TINY.build_float()
    images = rng.random((32, *TINY.input_shape), np.float32)
    prepared, ranges = prepare(TINY, fixed, start, images)
    quantizers = [q.name for q in TINY.activation_layers() if not q.signed]
    steps, exponents = np.exp2(-np.arange(8.0)), {name: np.full(8, -4) for name in names}
    widths = Widths({name: 1.0 + 2 * (i % 2) for i, name in enumerate(names)}, dict.fromkeys(quantizers, 2.4))
    model = build_relaxed(TINY, fixed, ranges, widths, dict.fromkeys(quantizers, steps.astype(np.float32)), exponents)
    copy_weights(prepared, model)
    for index, layer in enumerate(layers):
        kernel = model.get_layer(layer.name)._kernel(model.get_layer(layer.name).kernel).numpy()
        values = max(len(np.unique(one)) for one in kernel.reshape(-1, layer.out_channels).T)
        assert values == 2 if index % 2 == 0 else 2 < values <= 8, layer.name
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(images, training=True) - rng.standard_normal((32, 10))))
    gradients = [float(gradient) for gradient in tape.gradient(loss, widths.variables)]
    assert len(gradients) == len(names) + len(quantizers) and all(np.isfinite(gradients)) and all(gradients)


def test_the_penalty_leads_to_the_budget():
    tables = costs(TINY, Budget.parse("bytes=500"), BOARD, 0.95, 400)
    fixed = BitsSpec.uniform(TINY, 4)
    widths = Widths({w.name: 8.0 for w in TINY.weight_layers()}, {})
    pays = penalty(tables, widths, fixed, 20.0)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = pays()
        for variable, gradient in zip(widths.variables, tape.gradient(loss, widths.variables)):
            variable.assign(tf.clip_by_value(variable - 0.02 * tf.sign(gradient), 1.0, 8.0))

    for _ in range(500):
        step()
    assert float(cost_of(tables, widths, fixed)) == pytest.approx(500, rel=0.1)

    def all_at(width: float) -> Widths:
        return Widths({w.name: width for w in TINY.weight_layers()}, {})

    common = common_width(tables, all_at, fixed)
    assert float(cost_of(tables, all_at(common), fixed)) == pytest.approx(500, rel=0.01)


@pytest.mark.parametrize("worth", [0.5, 3.0, 8.0])
def test_the_budget_holds_however_much_a_bit_is_worth(worth: float):
    """What the loss gains by cost grows to eight times the strength of the budget: of few bits each is worth much."""
    tables = Costs(("one",), ("input",), np.repeat(np.arange(1.0, 9)[None, :, None], 8, 2), 0.0, 2.0)
    fixed = BitsSpec(weights={"one": 4}, activations={})
    widths = Widths({"one": 2.0}, {})
    pays, width = penalty(tables, widths, fixed, 1.0), widths.weights["one"]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = pays() - worth * tf.convert_to_tensor(width) / 2
        width.assign_sub(0.001 * tape.gradient(loss, width))

    for _ in range(2000):
        step()
    assert 0.99 < float(cost_of(tables, widths, fixed)) / 2 < 1.09


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("40k", "should be KIND=NUMBER"),
        ("byte=40k", "unknown kind of budget 'byte': did you mean 'bytes'"),
        ("bytes=many", "'many' is not a number"),
        ("bytes=-3", "must be above 0"),
        ("bytes=", "'' is not a number"),
    ],
)
def test_a_budget_that_is_none(text: str, message: str):
    with pytest.raises(FlowError, match=message.replace("?", r"\?")):
        Budget.parse(text)


def test_a_budget_out_of_reach_names_the_lowest_cost():
    budget = Budget.parse("bytes=10")
    tables, fixed = costs(TINY, budget, BOARD, 0.95, 400), BitsSpec.uniform(TINY, 4)
    least = sum(w.weights for w in TINY.weight_layers()) / 8
    with pytest.raises(FlowError, match=rf"out of reach: the lowest widths cost {least:,.0f}"):
        tables.check(lowest(TINY, SearchConfig(), fixed), budget)


def test_too_few_cycles_name_the_fewest_that_there_can_be():
    """Cycles, not LUTs, and a budget of them is in reach."""
    fixed = BitsSpec.uniform(TINY, 4)
    least = lowest(TINY, SearchConfig(), fixed)
    with pytest.raises(FlowError, match=r"cycles=3: out of reach on pynq-z2: .* takes [\d,]+ cycles") as said:
        check_board(TINY, least, Budget.parse("cycles=3"), BOARD, 0.95)
    fewest = int(str(said.value).split("takes ")[1].split()[0].replace(",", ""))
    budget = Budget("cycles", fewest)
    check_board(TINY, least, budget, BOARD, 0.95)
    costs(TINY, budget, BOARD, 0.95, 1).check(least, budget)
    check_board(TINY, least, Budget.parse("luts=3"), BOARD, 0.95)
    with pytest.raises(FlowError, match="luts=60,000: pynq-z2 has 53,200 LUTs, of which a build may fill 50,540"):
        check_board(TINY, least, Budget.parse("luts=60k"), BOARD, 0.95)
    tight = replace(costs(TINY, budget, BOARD, 0.95, 1), budget=5.0)
    with pytest.raises(FlowError, match=r"the lowest widths cost [\d,]+ LUTs at [\d,]+ cycles, of 5$"):
        tight.check(least, budget)


def test_the_error_of_a_cost_is_stated():
    assert Budget.parse("bytes=40k").certainty == "bytes are counted, and exact"
    for kind in ("luts", "cycles"):
        assert "off those of synthesis" in Budget(kind, 1e4).certainty


def test_the_build_of_a_result_holds_its_budget():
    assert rate(Budget("luts", 3e4), 8192) == ["--max-cycles", "8192"] == rate(Budget("cycles", 8192), 1)
    assert rate(Budget("bytes", 3e4), 8192) == []
