"""Small QKeras networks with random weights and measured batch-norm statistics: no training, but every code is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flow.bits import BitsSpec
from flow.keras_env import keras, qkeras
from flow.quantizers.n2uq import N2UQActivation
from flow.quantizers.start import start_activations
from keras_models import MODELS
from keras_models.ranges import Ranges

TINY = MODELS["tiny"]
#: compiled simulations, kept between runs
CACHE = Path(__file__).resolve().parent.parent / "build" / "networks"


def random_images(count: int, shape: tuple[int, ...] = TINY.input_shape, seed: int = 3) -> np.ndarray:
    """uint8 (count, *shape)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Random weights and affine parameters, a third of the slopes negative, one 0; statistics of random images."""
    rng = np.random.default_rng(seed)
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(rng.normal(0, 0.5, layer.kernel.shape))
            if layer.use_bias:
                layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    for layer in normalizations:
        channels = layer.gamma.shape[0]
        slopes = rng.uniform(0.5, 1.5, channels) * rng.choice([-1, 1], channels, p=[1 / 3, 2 / 3])
        slopes[-1] = 0
        layer.gamma.assign(slopes)
        layer.beta.assign(rng.normal(0.4, 0.3, channels))
        layer.momentum = 0.0
    model(random_images(16, model.input_shape[1:], seed=seed).astype(np.float32) / 256, training=True)
    return model


def tiny(bits: BitsSpec | int = 4, seed: int = 0) -> keras.Model:
    """The residual test network at one width, or at a width for each layer."""
    widths = BitsSpec.uniform(TINY, bits) if isinstance(bits, int) else bits
    return randomize(TINY.build_quantized(widths), seed)


def n2uq(quantizer: str = "n2uq", bits: int = 2, seed: int = 0) -> keras.Model:
    """The residual test network with random weights and unequal thresholds."""
    widths = BitsSpec.uniform(TINY, bits)
    trained = TINY.build_quantized(widths, Ranges.default(TINY, widths), quantizer)
    randomize(trained, seed)
    start_activations(trained, random_images(16).astype(np.float32) / 256)
    rng = np.random.default_rng(seed)
    for layer in trained.layers:
        if isinstance(layer, N2UQActivation):
            layer.intervals.assign(layer.intervals * rng.uniform(0.3, 1.7, layer.levels))
            layer.start.assign(0.1)
    return trained


def mixed_bits() -> BitsSpec:
    """Another width for every layer: 1-bit weights, thresholds and rescales."""
    return BitsSpec(
        weights={"conv1": 8, "s1_conv1": 1, "s1_conv2": 3, "s1_skip": 2, "dense": 6},
        activations={"conv1_relu": 7, "s1_in": 5, "s1_relu1": 1, "s1_res": 6, "s1_skip_res": 8, "s1_out": 3},
    )


def weights(bits: int, exponent: int | None = None):
    """A weight quantizer with step 2**exponent."""
    if bits == 1:
        return qkeras.binary(alpha=1)
    exponent = 1 - bits if exponent is None else exponent
    return qkeras.quantized_bits(bits, exponent + bits - 1, keep_negative=1, alpha=1)


def conv(filters: int, kernel: int = 3, bits: int = 4, **kwargs):
    """A convolution without bias, unless it is asked for one."""
    kwargs = {"use_bias": False, "padding": "same", **kwargs}
    return qkeras.QConv2D(filters, kernel, kernel_quantizer=weights(bits), **kwargs)


def relu(bits: int, integer: int = 1, name: str | None = None):
    """A rectifying quantizer."""
    return qkeras.QActivation(qkeras.quantized_relu(bits, integer), name=name)


def every_layer() -> keras.Model:
    """What the residual family does not have: max pooling, padding, dense chains, inline and clipped activations."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((12, 12, 2), name="pixels"),
            layers.ZeroPadding2D(((1, 1), (2, 0)), name="pad"),
            conv(6, padding="valid", name="first", use_bias=True, activation=qkeras.quantized_relu(4, 1)),
            layers.MaxPooling2D(2, name="pool_max", padding="valid"),
            layers.Dropout(0.5, name="drop"),
            conv(5, kernel=1, bits=3, name="point", use_bias=True),
            layers.BatchNormalization(name="point_bn"),
            layers.ReLU(max_value=1.5, name="point_relu"),
            relu(6, 1, name="point_out"),
            conv(8, kernel=(2, 3), bits=1, name="binary", strides=(1, 2)),
            layers.BatchNormalization(name="binary_bn"),
            layers.Activation("relu", name="binary_relu"),
            relu(2, 2, name="binary_out"),
            conv(4, name="third"),
            qkeras.QActivation(qkeras.quantized_bits(5, 2, keep_negative=1, symmetric=1, alpha=1), name="third_out"),
            layers.Flatten(name="flat"),
            qkeras.QDense(12, kernel_quantizer=weights(4), use_bias=False, name="hidden"),
            layers.BatchNormalization(name="hidden_bn"),
            relu(3, 2, name="hidden_out"),
            qkeras.QDense(
                3, kernel_quantizer=weights(5), bias_quantizer=qkeras.quantized_bits(8, 2, alpha=1), name="last"
            ),
            layers.Activation("softmax", name="probabilities"),
        ],
        name="every_layer",
    )
    return randomize(model, seed=5)
