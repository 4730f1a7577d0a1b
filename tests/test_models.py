"""The networks: topology, names, grids, and the fast twin that training uses."""

from __future__ import annotations

import numpy as np
import pytest

from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.keras_env import keras, qkeras, tf
from flow.training.fast import build_trainable
from keras_models import MODELS, ModelSpec, find_model
from keras_models.build import weight_quantizer
from keras_models.dscnn import depthwise_separable
from keras_models.ranges import INPUT_EXPONENT, Ranges, accumulator_exponent, bias_exponent_for
from keras_models.residual import Stack, residual
from keras_models.topology import Topology
from keras_models.widen import widened

TINY, RESNET8 = MODELS["tiny"], MODELS["resnet8"]
SMALL_DSCNN = depthwise_separable("small_dscnn", "", (12, 6, 1), filters=6, blocks=2, classes=4)


def kernel_of(layer):
    """The weights of a layer that has some."""
    return getattr(layer, "depthwise_kernel", getattr(layer, "kernel", None))


def images(spec: ModelSpec, count: int = 6) -> np.ndarray:
    pixels = np.random.default_rng(3).integers(0, 256, (count, *spec.input_shape))
    return pixels.astype(np.float32) / 256


def shuffle_weights(model: keras.Model) -> None:
    """Random weights that reach into saturation, and batch-norm parameters of both signs."""
    rng = np.random.default_rng(4)
    for variable in model.weights:
        spread = rng.normal(0, 1.5, variable.shape)
        variable.assign(np.abs(spread) + 0.3 if "variance" in variable.name else spread)


def test_resnet8_is_mlperf_tinys():
    assert RESNET8.macs == 12_501_632
    assert RESNET8.weights == 77_360
    kernels = {w.name: (w.kernel, w.stride, w.in_channels, w.out_channels) for w in RESNET8.weight_layers()}
    assert kernels["conv1"] == ((3, 3), 1, 3, 16)
    assert kernels["s2_conv1"] == ((3, 3), 2, 16, 32) and kernels["s2_skip"] == ((1, 1), 2, 16, 32)
    assert kernels["s3_conv2"] == ((3, 3), 1, 64, 64) and kernels["dense"] == ((1, 1), 1, 64, 10)
    assert "s1_skip" not in kernels
    assert RESNET8.weight_layers()[-1].averaged == 64


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.task == "classification"])
def test_a_width_multiplier_of_one_changes_nothing(name: str):
    assert widened(MODELS[name], 1.0).nodes == MODELS[name].nodes


def test_a_width_multiplier_scales_all_layers_but_the_last():
    spec = find_model("resnet8-x0.75")
    channels = {w.name: (w.in_channels, w.out_channels) for w in spec.weight_layers()}
    assert channels["conv1"] == (3, 12) and channels["s2_skip"] == (12, 24) and channels["dense"] == (48, 10)
    assert spec.name == "resnet8-x0.75" and [w.default_bits for w in spec.weight_layers()][::9] == [8, 8]
    model = find_model("mobilenet-x0.5")
    assert {w.kind for w in model.weight_layers()} == {"conv", "depthwise", "dense"}
    assert find_model("tiny-x1.3").weight_layers()[0].out_channels == 5, "rounded to whole channels"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet8-x0.01", "conv1: 16 channels times 0.01 leave none"),
        ("resnet8-x0", "resnet8: a width multiplier of 0; it must be above 0"),
        ("autoencoder-x2", "autoencoder: a network for reconstruction has no channels"),
        ("resnet8-xwide", "unknown model 'resnet8-xwide': did you mean 'resnet8'"),
    ],
)
def test_a_width_multiplier_that_is_wrong(name: str, message: str):
    with pytest.raises(FlowError, match=message.replace("?", r"\?")):
        find_model(name)


def test_the_other_models_are_the_published_ones():
    jets, autoencoder, dscnn, lenet = (MODELS[name] for name in ("jets", "autoencoder", "dscnn", "lenet"))
    assert [w.out_channels for w in jets.weight_layers()] == [64, 32, 32, 5] and jets.weights == 4_256
    assert [w.out_channels for w in autoencoder.weight_layers()] == [128] * 4 + [8] + [128] * 4 + [640]
    assert autoencoder.output_shape == autoencoder.input_shape == (640,) and autoencoder.task == "reconstruction"
    # MLPerf Tiny's keyword spotter has 2.66 million multiply-accumulates and 22,016 weights
    assert (dscnn.macs, dscnn.weights, dscnn.output_shape) == (2_656_768, 22_016, (12,))
    first, depthwise, pointwise = dscnn.weight_layers()[:3]
    assert (first.kernel, first.stride, first.out_size) == ((10, 4), 2, (25, 5))
    assert (depthwise.kind, depthwise.weights, pointwise.weights) == ("depthwise", 9 * 64, 64 * 64)
    # LeNet-5's, with all 6 x 16 pairs of feature maps
    assert [w.weights for w in lenet.weight_layers()] == [150, 2_400, 48_000, 10_080, 840]


@pytest.mark.parametrize("spec", MODELS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("quantized", [False, True])
def test_a_description_is_true_of_its_network(spec, quantized):
    model = spec.build_quantized(BitsSpec.uniform(spec, 4)) if quantized else spec.build_float()
    assert model.input_shape == (None, *spec.input_shape) and model.output_shape == (None, *spec.output_shape)
    weighted = [layer for layer in model.layers if kernel_of(layer) is not None]
    assert sorted(layer.name for layer in weighted) == sorted(w.name for w in spec.weight_layers())
    for described in spec.weight_layers():
        layer = model.get_layer(described.name)
        assert np.prod(kernel_of(layer).shape) == described.weights
        assert layer.use_bias == (described.batchnorm is None)
        if described.kind != "dense":
            assert layer.output_shape[1:] == (*described.out_size, described.out_channels)
            assert (layer.kernel_size, layer.padding) == (described.kernel, described.padding)
        source = layer.input._keras_history.layer
        while isinstance(source, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.Flatten)):
            source = source.input._keras_history.layer
        assert source.name == described.source
    for activation in spec.activation_layers():
        assert model.get_layer(activation.name).output_shape[1:] == activation.shape
    for name, left, right in spec.adds():
        sources = [tensor._keras_history.layer.name for tensor in model.get_layer(name).input]
        assert sources == [left, right]
    assert model.layers[-1].name == spec.weight_layers()[-1].name
    assert spec.input_shape == tuple(model.input_shape[1:])


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_value_is_on_its_grid(bits):
    widths = BitsSpec.uniform(TINY, bits)
    ranges = Ranges.default(TINY, widths)
    model = TINY.build_quantized(widths, ranges)
    shuffle_weights(model)
    names = [a.name for a in TINY.activation_layers()]
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    for activation, value in zip(TINY.activation_layers(), inner(images(TINY)), strict=True):
        codes = value.numpy() / 2.0 ** ranges.activations[activation.name]
        width = widths.activations[activation.name]
        assert (codes == np.rint(codes)).all()
        low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if activation.signed else (0, 2**width - 1)
        assert codes.min() >= low and codes.max() <= high
        assert codes.max() > 0.8 * high, "the test must come near saturation"
    for layer in TINY.weight_layers():
        built = model.get_layer(layer.name)
        codes = built.kernel_quantizer_internal(built.kernel).numpy() / 2.0 ** ranges.weights[layer.name]
        width = widths.weights[layer.name]
        assert (codes == np.rint(codes)).all()
        if width == 1:
            assert set(np.unique(codes)) == {-1, 1}
        else:
            assert codes.min() >= -(2 ** (width - 1)) and codes.max() <= 2 ** (width - 1) - 1


def test_operands_of_an_add_share_their_step_and_biases_lie_on_the_accumulators_grid():
    for bits in range(1, 9):
        widths = BitsSpec.uniform(RESNET8, bits)
        ranges = Ranges.default(RESNET8, widths)
        for _, left, right in RESNET8.adds():
            assert ranges.activations[left] == ranges.activations[right]
        for layer in RESNET8.weight_layers():
            if layer.batchnorm is None:
                grid = accumulator_exponent(layer, ranges.activations, ranges.weights)
                assert ranges.biases[layer.name] >= grid


def test_operands_of_different_widths_share_their_step():
    given = BitsSpec.uniform(TINY, 4).model_dump()
    given["activations"].update(s1_skip_res=5, s1_res=8)
    widths = BitsSpec.from_mapping(TINY, given, "here")
    ranges = Ranges.default(TINY, widths)
    assert ranges.activations["s1_skip_res"] == ranges.activations["s1_res"]
    model = TINY.build_quantized(widths, ranges)
    quantizers = [model.get_layer(name).quantizer for name in ("s1_skip_res", "s1_res")]
    assert [q.bits for q in quantizers] == [5, 8]
    assert len({q.integer - q.bits for q in quantizers}) == 1


def test_the_accumulators_grid_of_the_dense_layer_counts_the_average():
    layers = {w.name: w for w in RESNET8.weight_layers()}
    activations, weights = {"s3_out": -3}, {"dense": -6, "conv1": -7}
    assert accumulator_exponent(layers["dense"], activations, weights) == -3 - 6 - 6
    assert accumulator_exponent(layers["conv1"], activations, weights) == INPUT_EXPONENT - 7


def test_bias_exponent_is_the_finest_that_fits():
    for limit in (0.0, 0.9, 1.0, 3.7, 100.0):
        exponent = bias_exponent_for(limit)
        assert limit <= 32767 * 2.0**exponent
        assert exponent == -15 or limit > 32767 * 2.0 ** (exponent - 1)


@pytest.mark.parametrize(
    ("spec", "bits"),
    [(TINY, 1), (TINY, 2), (TINY, 4), (TINY, 8), (SMALL_DSCNN, 3), (MODELS["jets"], 4), (MODELS["lenet"], 2)],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_fast_twin_has_the_values_and_gradients_of_qkeras(spec, bits):
    widths = BitsSpec.uniform(spec, bits)
    slow = spec.build_quantized(widths)
    fast = build_trainable(spec, widths, Ranges.default(spec, widths))
    shuffle_weights(slow)
    fast.set_weights(slow.get_weights())
    assert [w.name for w in slow.weights] == [w.name for w in fast.weights]
    x = images(spec)
    gradients = []
    for model in (slow, fast):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) ** 2)
        gradients.append(tape.gradient(loss, model.trainable_variables))
    np.testing.assert_array_equal(slow(x), fast(x))
    for left, right in zip(*gradients, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(left).max())))


def test_rounding_is_half_to_even():
    values = tf.constant([0.25, 0.75, 1.25, -0.25, -0.75])
    got = weight_quantizer(4, -1)(values).numpy()
    np.testing.assert_array_equal(got, [0.0, 1.0, 1.0, 0.0, -1.0])
    np.testing.assert_array_equal(qkeras.quantized_relu(4, 3)(values).numpy(), [0.0, 1.0, 1.0, 0.0, 0.0])


def test_ranges_that_qkeras_cannot_have_are_refused():
    widths = BitsSpec.uniform(TINY, 4)
    ranges = Ranges.default(TINY, widths)
    finer = {**ranges.activations, "s1_in": -6}
    with pytest.raises(ValueError, match="s1_in"):
        TINY.build_quantized(widths, ranges.model_copy(update={"activations": finer}))


@pytest.mark.parametrize("exponent", [-1, -3, -6])
def test_a_weight_grid_may_end_below_one(exponent):
    quantize = weight_quantizer(3, exponent)
    unit = quantize.alpha  # of the latent weights
    values = np.linspace(-6, 6, 49).astype(np.float32) * 2.0**exponent
    expected = np.clip(np.rint(values / 2.0**exponent), -4, 3) * 2.0**exponent
    np.testing.assert_array_equal(quantize(tf.constant(values / unit)), expected)
    assert unit == min(1, 2.0 ** (exponent + 2))


def test_one_bit_is_a_step_up_or_down():
    values = tf.constant([-0.7, -0.01, 0.0, 0.3])
    for exponent in (0, -3):
        np.testing.assert_array_equal(weight_quantizer(1, exponent)(values), np.array([-1, -1, 1, 1]) * 2.0**exponent)


def test_bits_of_another_model_are_refused():
    with pytest.raises(FlowError, match="tiny"):
        TINY.build_quantized(BitsSpec.uniform(RESNET8, 4))


def test_unknown_model_gets_the_nearest():
    with pytest.raises(FlowError, match="did you mean 'resnet8'"):
        find_model("resnet-8")


def test_an_identity_shortcut_needs_its_operand():
    with pytest.raises(ValueError, match="s2 has no operand"):
        residual("x", "", 8, 3, 4, (Stack("s1", 4), Stack("s2", 4)))
    with pytest.raises(ValueError, match="s1 has no operand"):
        residual("x", "", 8, 3, 4, (Stack("s1", 8),))


def test_a_topology_that_makes_no_sense_is_refused():
    net = Topology("x", "", (6, 6, 1))
    first = net.conv(net.input, "first", 2, 3)
    with pytest.raises(ValueError, match="second: reads first, which has no quantizer"):
        net.conv(first, "second", 2, 3)
    with pytest.raises(ValueError, match="two layers are called first"):
        net.relu(first, "first")
    codes = net.relu(first, "codes")
    with pytest.raises(ValueError, match="last: codes is no vector"):
        net.dense(codes, "last", 2)
    flat = net.flatten(net.average_pool(codes, "pool"))
    with pytest.raises(ValueError, match="average of 36 values: put an activation"):
        net.dense(flat, "last", 2)
    with pytest.raises(ValueError, match="codes is not the last layer"):
        net.spec(codes)
    with pytest.raises(ValueError, match="first is no activation"):
        net.add("sum", codes, first)
