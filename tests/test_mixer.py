"""Networks whose layers change width while they run: topology, layers, selection."""

from __future__ import annotations

import networks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixers import PLAN, TINY, WIDTHS, random_network

from flow.errors import FlowError
from flow.keras_env import keras, tf
from flow.quantizers.nested import NESTINGS, nested_codes
from flow.quantizers.runtime import (
    CUSTOM_OBJECTS,
    FixedActivation,
    RuntimeModel,
    TransitionalBatchNormalization,
    WidthActivation,
    learned_step,
)
from keras_models import MODELS
from keras_models.runtime import plan_runtime

RESNET8 = MODELS["resnet8"]


def reals(count: int) -> np.ndarray:
    return networks.random_images(count).astype(np.float32) / 256


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_resnet8_has_eight_fields_and_its_predecessors_follow_the_edges():
    plan = plan_runtime(RESNET8, (4, 2, 3))
    assert plan.widths == (2, 3, 4)
    assert plan.layers == (
        "s1_conv1", "s1_conv2", "s2_conv1", "s2_conv2", "s2_skip", "s3_conv1", "s3_conv2", "s3_skip"
    )  # fmt: skip
    assert {name: plan.predecessor(name) for name in plan.layers} == {
        "s1_conv1": "conv1", "s1_conv2": "s1_conv1", "s2_conv1": "s1_conv2", "s2_conv2": "s2_conv1",
        "s2_skip": "s1_conv2", "s3_conv1": "s2_conv2", "s3_conv2": "s3_conv1", "s3_skip": "s2_conv2",
    }  # fmt: skip
    assert plan.table("s2_relu1") == ("s1_conv2", "s2_conv1", "s2_conv2")
    assert plan.table("s2_skip_res") == ("s1_conv2", "s2_skip"), "behind it is an add: no reader's width"
    assert plan.table("s1_out_s2_skip") == ("s2_skip",) and plan.table("s1_out_s2_conv1") == ("s2_conv1",)
    assert plan.table("s3_out") == () and plan.reader("s3_out") is None, "the last layer stays as it is"
    fixed = {a.name: a.default_bits for a in plan.spec.activation_layers() if plan.reader(a.name) is None}
    assert set(fixed.values()) == {8}


@pytest.mark.parametrize("name", ["jets", "autoencoder", "lenet", "tiny"])
def test_every_open_layer_of_other_models_has_a_quantizer_and_a_normalization(name: str):
    plan = plan_runtime(MODELS[name], (2, 4))
    readers = [plan.reader(a.name) for a in plan.spec.activation_layers() if plan.reader(a.name)]
    assert tuple(sorted(readers)) == tuple(sorted(plan.layers))
    assert all(layer.batchnorm for layer in plan.spec.weight_layers() if layer.name in plan.layers)
    MODELS[name].build_runtime((2, 4)).set_bits(2)


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"s1_conv1": 2, "s1_conv2": 2, "s1_skp": 2}, "unknown runtime layer 's1_skp': did you mean 's1_skip'"),
        ({"s1_conv1": 2, "s1_conv2": 2}, "runtime layer 's1_skip' is missing"),
        ({"s1_conv1": 2, "s1_conv2": 2, "s1_skip": 8}, "layer 's1_skip': 8 bits, may be 2, 3, 4"),
        ([2, 3], "2 widths for the 3 layers s1_conv1, s1_conv2, s1_skip"),
        (5, "layer 's1_conv1': 5 bits, may be 2, 3, 4"),
    ],
)
def test_a_wrong_configuration_is_refused_and_changes_nothing(bits, message: str):
    model = TINY.build_runtime(WIDTHS)
    model.set_bits([2, 4, 3])
    with pytest.raises(FlowError, match=message):
        model.set_bits(bits)
    assert model.bits == {"s1_conv1": 2, "s1_conv2": 4, "s1_skip": 3}


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((4,), "2 to 4 different"),
        ((2, 2), "2 to 4 different"),
        ((2, 3, 4, 5, 6), "2 to 4 different"),
        ((1, 4), "2 to 8"),
        ((4, 9), "2 to 8"),
    ],
)
def test_wrong_widths_are_refused(widths, message: str):
    with pytest.raises(FlowError, match=message):
        plan_runtime(TINY, widths)


def test_a_model_that_cannot_is_refused(monkeypatch):
    with pytest.raises(FlowError, match="b1_dw is a depthwise convolution"):
        plan_runtime(MODELS["dscnn"], WIDTHS)
    monkeypatch.setattr("keras_models.runtime.MAX_RUNTIME_LAYERS", 7)
    with pytest.raises(FlowError, match="resnet8: 8 layers would choose their width; there are registers for 7"):
        plan_runtime(RESNET8, WIDTHS)


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nesting", NESTINGS)
def test_the_layer_uses_the_codes_of_its_width(nesting: str):
    model = random_network(nesting=nesting)
    layer = model.get_layer("s1_conv2")
    top = layer.top_codes
    assert top.min() == -8 and top.max() == 7
    for position, bits in enumerate(WIDTHS):
        selection = np.full(3, position)
        used = layer._weights(tf.constant(selection)).numpy() / 2.0**layer.exponent
        middle = 0.5 if nesting == "centre" else 0.0
        np.testing.assert_array_equal(used, (layer.codes(bits) + middle) * 2 ** (4 - bits))
        assert layer.codes(bits).min() == -(2 ** (bits - 1)) and layer.codes(bits).max() == 2 ** (bits - 1) - 1
        if nesting != "round":
            np.testing.assert_array_equal(layer.codes(bits), top >> (4 - bits), "top bit planes")


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 99))
def test_every_width_is_the_top_bits_of_the_widest(top: int, drop: int, seed: int):
    bits = max(top - drop, 1)
    codes = np.random.default_rng(seed).integers(-(2 ** (top - 1)), 2 ** (top - 1), 50)
    for code, nested in zip(codes, nested_codes(codes, top, bits), strict=True):
        assert format(code % 2**top, f"0{top}b")[:bits] == format(nested % 2**bits, f"0{bits}b")
    rounded = nested_codes(codes, top, bits, nesting="round")
    want = np.minimum(np.floor(codes / 2 ** (top - bits) + 0.5), 2 ** (bits - 1) - 1)
    np.testing.assert_array_equal(rounded, want if bits < top else codes)


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_learned_step_has_the_gradients_of_its_paper(bits: int):
    rng = np.random.default_rng(0)
    x, upstream = rng.normal(0.5, 0.7, (6, 512)).astype(np.float32), rng.normal(0, 1, (6, 512)).astype(np.float32)
    step, top = 0.23, 2**bits - 1
    tensors = [tf.constant(x), tf.constant(step), tf.constant(float(top))]
    with tf.GradientTape() as tape:
        tape.watch(tensors[:2])
        values = learned_step(*tensors)
    have = tape.gradient(values, tensors[:2], upstream)
    scaled = x / step
    np.testing.assert_allclose(values, np.clip(np.rint(scaled), 0, top) * step, rtol=1e-6)
    inside = (scaled > 0) & (scaled <= top)
    np.testing.assert_array_equal(have[0], upstream * inside)
    slope = np.where(inside, np.rint(scaled) - scaled, np.where(scaled > top, top, 0))
    assert float(have[1]) == pytest.approx(float(np.sum(upstream * slope)), rel=1e-3)


def test_there_is_a_set_for_every_pair_of_widths():
    model = RESNET8.build_runtime(WIDTHS)
    sets = {layer.name: layer.sets for layer in model.of_kind(TransitionalBatchNormalization)}
    assert sets["conv1_bn"] == 1 and sets["s1_bn1"] == 3, "the first has no pair"
    others = set(sets) - {"conv1_bn", "s1_bn1"}
    assert {sets[name] for name in others} == {9} and {"s2_skip_bn", "s3_skip_bn"} < others


def test_a_network_reloads_from_its_file(tmp_path):
    model = random_network()
    model.set_bits([2, 4, 3])
    for name in ("net.h5", "net.keras"):
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name, CUSTOM_OBJECTS)
        assert isinstance(again, RuntimeModel) and again.bits == model.bits
        np.testing.assert_array_equal(again(reals(4)), model(reals(4)))
        again.set_bits(4)
        assert (again(reals(4)) != model(reals(4))).numpy().any()


def static_network(model: RuntimeModel, bits: dict[str, int]) -> keras.Model:
    """The same network without run-time widths: plain Keras layers with the values of one configuration."""
    tensors, positions = {}, PLAN.indices(bits)
    first, second, skip = positions
    pairs = {"conv1_bn": 0, "s1_bn1": first, "s1_bn2": first * 3 + second, "s1_skip_bn": skip}
    for node in PLAN.spec.nodes:
        inputs = [tensors[name] for name in node.inputs]
        layer = model.get_layer(node.name) if node.kind != "input" else None
        if node.kind == "input":
            tensors[node.name] = keras.layers.Input(node.shape)
        elif node.kind == "weights":
            width = bits.get(node.name, layer.widths[-1])
            kernel = np.ldexp(layer.codes(width).astype(np.float32), layer.exponent + layer.widths[-1] - width)
            rest = [] if layer.bias is None else [layer.bias.numpy()]
            if node.layer.kind == "dense":
                plain = keras.layers.Dense(node.layer.out_channels, use_bias=bool(rest))
            else:
                plain = keras.layers.Conv2D(
                    node.layer.out_channels, node.layer.kernel, node.layer.stride, "same", use_bias=bool(rest)
                )
            tensors[node.name] = plain(inputs[0])
            plain.set_weights([kernel, *rest])
        elif node.kind == "batchnorm":
            plain = keras.layers.BatchNormalization()
            tensors[node.name] = plain(inputs[0])
            plain.set_weights([variable.numpy()[pairs[node.name]] for variable in layer.weights])
        elif isinstance(layer, WidthActivation):
            width = bits[PLAN.reader(node.name)]
            step = layer.steps.numpy()[WIDTHS.index(width)]

            def quantize(x, step=step, top=2.0**width - 1):
                return tf.clip_by_value(tf.round(x / step), 0, top) * step

            tensors[node.name] = keras.layers.Lambda(quantize)(inputs[0])
        elif isinstance(layer, FixedActivation):
            tensors[node.name] = FixedActivation(layer.bits, layer.exponent, layer.signed)(inputs[0])
        else:
            tensors[node.name] = type(layer).from_config(layer.get_config())(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(tensors["input"], tensors[PLAN.spec.nodes[-1].name])


@pytest.mark.parametrize("chosen", [(2, 2, 2), (4, 4, 4), (2, 4, 3), (3, 2, 4)])
def test_a_fixed_configuration_is_a_static_network(chosen):
    model = random_network()
    bits = dict(zip(PLAN.layers, chosen, strict=True))
    model.set_bits(bits)
    want = static_network(model, bits)(reals(50)).numpy()
    assert np.ptp(want, axis=0).min() > 0
    np.testing.assert_allclose(model(reals(50)), want, rtol=1e-5, atol=1e-5)


def test_another_configuration_is_not_traced_again():
    model, traced = random_network(), []

    @tf.function
    def forward(x):
        traced.append(1)
        return model(x, training=False)

    results = []
    for chosen in ((2, 2, 2), (4, 3, 2), (4, 4, 4)):
        model.set_bits(chosen)
        results.append(forward(reals(2)).numpy())
    assert len(traced) == 1 and (results[0] != results[1]).any() and (results[1] != results[2]).any()
