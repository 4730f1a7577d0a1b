"""Batch normalization for training against Keras' own."""

import numpy as np
import pytest

from flow.bits import BitsSpec
from flow.keras_env import keras, precision, tf
from flow.training.fast import build_trainable, build_trainable_float
from flow.training.normalization import TrainableNormalization, normalize
from keras_models import MODELS
from keras_models.ranges import Ranges

RNG = np.random.default_rng(0)
IMAGES = (RNG.standard_normal((6, 5, 7, 13)) * RNG.uniform(0.5, 3, 13) + RNG.uniform(-4, 4, 13)).astype(np.float32)
GAMMA, BETA = (RNG.uniform(0.5, 2, 13).astype(np.float32) for _ in range(2))
UPSTREAM = RNG.standard_normal(IMAGES.shape).astype(np.float32)


def test_outputs_and_gradients_are_those_of_the_fused_operation():
    def of(function):
        tensors = [tf.constant(a) for a in (IMAGES, GAMMA, BETA)]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = function(*tensors)
        return *outputs, *tape.gradient(outputs[0], tensors, output_gradients=tf.constant(UPSTREAM))

    ours = of(lambda x, gamma, beta: normalize(x, gamma, beta, 0.001))
    fused = of(lambda *tensors: tf.compat.v1.nn.fused_batch_norm(*tensors, epsilon=0.001, is_training=True))
    for mine, theirs in zip(ours, fused, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=5e-6, atol=5e-6)


def layers(arithmetic: str, momentum: float = 0.9) -> list[keras.layers.Layer]:
    """Ours and Keras', with the same weights."""
    with precision(arithmetic):
        both = [make(momentum=momentum) for make in (TrainableNormalization, keras.layers.BatchNormalization)]
    start = [GAMMA, BETA, np.linspace(-1, 1, 13), np.linspace(1, 2, 13)]
    for layer in both:
        layer.build(IMAGES.shape)
        layer.set_weights(start)
    return both


@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arithmetic, tolerance", [("float32", 5e-6), ("mixed_bfloat16", 2**-8)])
def test_the_layer_is_keras_layer(arithmetic, tolerance, training, momentum):
    ours, keras_own = layers(arithmetic, momentum)
    if arithmetic == "float32" and not training:
        tolerance = 0  # to the bit, so that recorded scores stand
    x = tf.cast(IMAGES, ours.compute_dtype)
    one, other = (tf.cast(layer(x, training=training), tf.float32) for layer in (ours, keras_own))
    np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    for mine, theirs in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-6, atol=2e-6)


def test_frozen_statistics_do_not_move_and_scales_still_learn():
    ours, _ = layers("mixed_bfloat16")
    before = ours.get_weights()
    _, _, mean, variance = before
    x, upstream = (tf.cast(a, tf.bfloat16) for a in (IMAGES, UPSTREAM))
    with tf.GradientTape() as tape:
        outputs = ours(x, training=False)
    gradients = tape.gradient(outputs, [ours.gamma, ours.beta], output_gradients=upstream)
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.get_weights(), strict=True))
    x, upstream = (tf.cast(a, tf.float64).numpy() for a in (x, upstream))
    normal = (x - mean) / np.sqrt(variance + ours.epsilon)
    np.testing.assert_allclose(gradients[0], (upstream * normal).sum((0, 1, 2)), rtol=1e-6, atol=5e-6)
    np.testing.assert_allclose(gradients[1], upstream.sum((0, 1, 2)), rtol=1e-6, atol=1e-6)


def test_networks_that_train_have_it_and_others_have_keras_own():
    def kinds(model):
        return {type(layer) for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}

    spec = MODELS["mobilenet"]
    bits = BitsSpec.uniform(spec, 4)
    for model in (build_trainable_float(spec), build_trainable(spec, bits, Ranges.default(spec, bits))):
        assert kinds(model) == {TrainableNormalization}
    for model in (spec.build_float(), spec.build_quantized(bits)):
        assert kinds(model) == {keras.layers.BatchNormalization}


def test_a_network_of_odd_widths_trains_as_with_keras_own():
    """Loss, statistics and all gradients in a graph; smooth, for a rectifier's zero is where rounding shows."""
    images = tf.constant(np.random.default_rng(1).random((8, 16, 16, 3), np.float32))
    answers = []
    for make in (TrainableNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        conv = [keras.layers.Conv2D(c, 3, use_bias=False, activation="tanh") for c in (13, 26)]
        model = keras.Sequential([conv[0], make(), conv[1], make()])
        model.build(images.shape)

        @tf.function
        def step(model=model):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model(images, training=True) ** 4)
            return loss, *tape.gradient(loss, model.trainable_variables)

        answers.append([*(np.asarray(a) for a in step()), *model.get_weights()])
    for mine, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=3e-5, atol=3e-5 * np.abs(theirs).max())


def test_strided_depthwise_convolutions_alone_stay_in_float32():
    with precision("mixed_bfloat16"):
        model = build_trainable_float(MODELS["mobilenet"])
    assert [model.get_layer(f"b{n}_dw").compute_dtype for n in (1, 2)] == ["bfloat16", "float32"]
