"""Networks in the shapes in which people publish them, with random weights: as their files would say."""

from __future__ import annotations

import networks
import numpy as np

from flow.keras_env import keras, qkeras

layers = keras.layers


def randomized(model: keras.Model, seed: int = 0, spread: float = 0.5) -> keras.Model:
    """Random weights in every kind of layer, and normalizations measured on random inputs."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.name.rpartition("/")[2]
            if "kernel" in name:
                variable.assign(rng.normal(0, spread, variable.shape))
            elif name.startswith("bias"):
                variable.assign(rng.normal(0, 0.3, variable.shape))
            elif name.startswith("gamma"):
                variable.assign(rng.uniform(0.5, 1.5, variable.shape) * rng.choice([-1, 1, 1], variable.shape))
            elif name.startswith(("beta", "moving_mean")):
                variable.assign(rng.normal(0.1, 0.3, variable.shape))
            elif name.startswith("moving_variance"):
                variable.assign(rng.uniform(0.5, 4.0, variable.shape))
    return model


def jets(alpha=1) -> keras.Model:
    """The jet-tagging network 64-32-32 of hls4ml's tutorial: real inputs without a quantizer, softmax."""
    model = keras.Sequential(name="jets")
    bits = "quantized_bits(6,0,alpha=1)" if alpha == 1 else f"quantized_bits(6,0,alpha='{alpha}')"
    for index, units in enumerate((64, 32, 32), start=1):
        shape = {"input_shape": (16,)} if index == 1 else {}
        model.add(qkeras.QDense(units, kernel_quantizer=bits, bias_quantizer="quantized_bits(6,0,alpha=1)",
                                kernel_initializer="lecun_uniform", kernel_regularizer=keras.regularizers.l1(1e-4),
                                name=f"fc{index}", **shape))  # fmt: skip
        model.add(qkeras.QActivation("quantized_relu(6)", name=f"relu{index}"))
    last = "quantized_bits(6,0,alpha=1)"
    model.add(qkeras.QDense(5, kernel_quantizer=last, bias_quantizer=last, name="output"))
    model.add(layers.Activation("softmax", name="softmax"))
    return randomized(model)


def autoencoder() -> keras.Model:
    """MLPerf Tiny's anomaly detector in small: dense layers with batch normalization, real numbers out.

    Its weights have 12 bits: all are needed in the last layer, fewer in the second.
    """

    def wide(index: int) -> tuple[int, int]:
        return (12, 6) if index == 2 else (4, 0)

    source = layers.Input((80,), name="input")
    x = qkeras.QActivation(qkeras.quantized_bits(8, 3, alpha=1), name="input_codes")(source)
    for index, units in enumerate((16, 16, 4, 16), start=1):
        x = qkeras.QDense(
            units, kernel_quantizer=qkeras.quantized_bits(*wide(index), alpha=1), use_bias=False, name=f"dense-{index}"
        )(x)
        x = layers.BatchNormalization(name=f"bn.{index}")(x)
        x = layers.ReLU(name=f"relu/{index}")(x)
        x = qkeras.QActivation(qkeras.quantized_bits(6, 2, alpha=1), name=f"codes-{index}")(x)
    bits = qkeras.quantized_bits(12, 0, alpha=1)
    x = qkeras.QDense(80, kernel_quantizer=bits, bias_quantizer=bits, name="reconstruction")(x)
    return randomized(keras.Model(source, x, name="autoencoder"))


def signs() -> keras.Model:
    """Binary, ternary, leaky and saturating activations."""
    make = networks.weights
    model = keras.Sequential(
        [
            layers.Input((12,), name="input"),
            qkeras.QActivation("quantized_bits(7,2,1,alpha=1.0)", name="in"),
            qkeras.QDense(10, kernel_quantizer=make(4), bias_quantizer=qkeras.quantized_bits(5, 1), name="a"),
            qkeras.QActivation("binary(alpha=1)", name="a_sign"),
            qkeras.QDense(9, kernel_quantizer=qkeras.ternary(alpha=1), name="b"),
            layers.LeakyReLU(0.25, name="b_leak"),
            qkeras.QActivation("ternary(alpha=1, threshold=0.4)", name="b_sign"),
            qkeras.QDense(8, kernel_quantizer=qkeras.binary(alpha=1), name="c"),
            qkeras.QActivation("quantized_relu(4,2,0,0.25)", name="c_leaky"),
            qkeras.QDense(8, kernel_quantizer=make(3), name="d", activation="quantized_tanh(4)"),
            qkeras.QDense(8, kernel_quantizer=qkeras.quantized_po2(3, 1), name="e"),
            layers.BatchNormalization(name="e_bn"),
            qkeras.QActivation("quantized_sigmoid(4)", name="e_sigmoid"),
            qkeras.QDense(8, kernel_quantizer=qkeras.quantized_bits(1, 0, alpha=1), name="f", use_bias=False),
            qkeras.QActivation("binary(use_01=True)", name="f_bit"),
            qkeras.QDense(1, kernel_quantizer=make(4), use_bias=False, name="g"),
            layers.Activation("sigmoid", name="probability"),
        ],
        name="signs",
    )
    return randomized(model)


def lenet() -> keras.Model:
    """LeNet's shape: 5x5 convolutions, pools that leave a remainder, three dense layers."""
    model = keras.Sequential(
        [
            layers.Input((15, 14, 1), name="image"),
            networks.conv(4, kernel=5, padding="valid", name="c1", activation="quantized_relu(4)"),
            layers.MaxPooling2D(2, name="s2"),
            networks.conv(6, kernel=3, padding="valid", name="c3", use_bias=True),
            layers.AveragePooling2D(2, name="s4"),
            relu_codes("s4_codes"),
            layers.Flatten(name="flat"),
            qkeras.QDense(12, kernel_quantizer=networks.weights(4), name="f5", activation=qkeras.quantized_relu(4, 1)),
            qkeras.QDense(10, kernel_quantizer=networks.weights(4), use_bias=False, name="f6", activation="softmax"),
        ],
        name="lenet",
    )
    return randomized(model)


def relu_codes(name: str):
    return qkeras.QActivation("quantized_relu(4,2)", name=name)


def sequence() -> keras.Model:
    """Convolutions over time: QConv1D, strides, causal padding, pools of one dimension."""
    source = layers.Input((24, 3), name="series")
    x = qkeras.QActivation("quantized_bits(6,1,alpha=1)", name="in")(source)
    x = qkeras.QConv1D(5, 5, strides=2, padding="same", kernel_quantizer=networks.weights(4), name="a")(x)
    x = qkeras.QBatchNormalization(name="a_bn", mean_quantizer="quantized_bits(8,3,alpha=1)",
                                   beta_quantizer="quantized_bits(8,3,alpha=1)")(x)  # fmt: skip
    x = relu_codes("a_out")(x)
    x = layers.ZeroPadding1D((1, 0), name="pad")(x)
    x = qkeras.QConv1D(6, 3, padding="valid", kernel_quantizer=networks.weights(3), name="b")(x)
    x = relu_codes("b_out")(x)
    x = layers.MaxPooling1D(2, name="pool")(x)
    x = qkeras.QConv1D(4, 2, padding="causal", kernel_quantizer=networks.weights(3), name="c")(x)
    x = relu_codes("c_out")(x)
    x = qkeras.QDense(4, kernel_quantizer=networks.weights(3), name="each", activation="quantized_relu(5,2)")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = qkeras.QActivation("quantized_bits(8,2,alpha=1)", name="mean_out")(x)
    x = qkeras.QDense(3, kernel_quantizer=networks.weights(4), name="last", use_bias=False)(x)
    return randomized(keras.Model(source, x, name="sequence"))


def scaled() -> keras.Model:
    """Weights with learned scales; the default of QKeras, which is a power of two for each channel; a fused norm."""
    bits = "quantized_bits(4,0,1,alpha='{}')"
    source = layers.Input((8, 8, 2), name="in")
    x = qkeras.QConv2D(6, 3, kernel_quantizer=bits.format("auto"), name="a", bias_quantizer="quantized_bits(6,1)")(
        source
    )
    x = layers.BatchNormalization(name="a_bn")(x)
    x = relu_codes("a_out")(x)
    x = qkeras.QConv2D(5, 3, padding="same", kernel_quantizer="quantized_bits(3,0,1)", name="b", use_bias=False)(x)
    x = qkeras.QActivation("quantized_relu(4,3)", name="b_out")(x)
    x = qkeras.QConv2DBatchnorm(6, 3, strides=2, kernel_quantizer=bits.format("auto_po2"), name="c",
                                bias_quantizer=qkeras.quantized_bits(8, 3, alpha=1))(x)  # fmt: skip
    x = qkeras.QActivation("quantized_relu(3,3)", name="c_out")(x)
    x = qkeras.QConv2D(6, 1, kernel_quantizer="binary(alpha='auto')", name="d")(x)
    x = qkeras.QActivation("quantized_bits(4,3,alpha=1)", name="d_out")(x)
    x = qkeras.QConv2D(6, 1, kernel_quantizer="ternary(alpha='auto')", name="e")(x)
    x = qkeras.QActivation("quantized_bits(4,3,alpha=1)", name="e_out")(x)
    x = layers.Flatten(name="flat")(x)
    x = qkeras.QDense(4, kernel_quantizer="quantized_bits(4,0,1)", use_bias=False, name="logits")(x)
    return randomized(keras.Model(source, x, name="scaled"))


def separable() -> keras.Model:
    """Depthwise halves of every kind: strides, several filters a channel, 8 bits, biases, one channel; over time."""
    eight = "quantized_bits(8,1,1,alpha=1)"
    source = layers.Input((20, 2), name="series")
    x = qkeras.QActivation("quantized_bits(5,1,alpha=1)", name="in")(source)
    x = qkeras.QSeparableConv1D(
        6, 4, strides=2, padding="same", depth_multiplier=3, depthwise_quantizer=networks.weights(2),
        pointwise_quantizer=networks.weights(3), name="time",
    )(x)  # fmt: skip
    x = relu_codes("time_out")(x)
    x = layers.Reshape((10, 6), name="same_shape")(x)
    x = qkeras.QSeparableConv1D(
        4, 3, padding="valid", depthwise_quantizer=eight, pointwise_quantizer="ternary(alpha=1)",
        bias_quantizer="quantized_bits(5,1,alpha=1)", activation="quantized_relu(3,3)", name="wide",
    )(x)  # fmt: skip
    x = layers.Flatten(name="flat")(x)
    x = qkeras.QDense(3, kernel_quantizer=networks.weights(3), use_bias=False, name="last")(x)
    return randomized(keras.Model(source, x, name="separable"))


def branches() -> keras.Model:
    """Concatenated branches of other lengths, widths, signs and grids; three at once; vectors after Flatten."""
    source = layers.Input((8, 6, 2), name="in")
    x = networks.conv(6, name="stem", activation="quantized_relu(4,2)")(source)
    a = networks.conv(4, kernel=1, name="a", activation="quantized_relu(3,2)")(x)
    b = networks.conv(2, name="b1", activation="quantized_relu(4,2)")(x)
    b = networks.conv(6, name="b2", activation="quantized_bits(5,3,alpha=1)")(b)
    y = layers.Concatenate(name="two")([a, b])
    c = qkeras.QDepthwiseConv2D(3, padding="same", depthwise_quantizer=networks.weights(3), name="c")(y)
    c = relu_codes("c_out")(c)
    y = layers.Concatenate(axis=3, name="three")([x, c, x])
    y = networks.conv(4, kernel=2, strides=2, padding="valid", name="down", activation="quantized_relu(4,3)")(y)
    left = layers.Flatten(name="left")(y)
    right = layers.Flatten(name="right")(layers.MaxPooling2D(2, name="pool")(y))
    z = layers.Concatenate(name="vectors")([left, right])
    z = qkeras.QDense(4, kernel_quantizer=networks.weights(4), use_bias=False, name="last")(z)
    return randomized(keras.Model(source, z, name="branches"))


def keywords() -> keras.Model:
    """The keyword DS-CNN in small: depthwise and pointwise convolutions, an average over all positions."""
    four = networks.weights(4)
    source = layers.Input((10, 6, 1), name="mfcc")
    x = qkeras.QActivation("quantized_bits(8,3,alpha=1)", name="in")(source)
    x = networks.conv(4, kernel=(4, 3), strides=2, name="first")(x)
    x = layers.BatchNormalization(name="first_bn")(x)
    x = relu_codes("first_out")(x)
    x = qkeras.QDepthwiseConv2D(3, padding="same", depthwise_quantizer=four, use_bias=False, name="dw")(x)
    x = layers.BatchNormalization(name="dw_bn")(x)
    x = relu_codes("dw_out")(x)
    x = networks.conv(5, kernel=1, name="pw")(x)
    x = layers.BatchNormalization(name="pw_bn")(x)
    x = qkeras.QActivation("quantized_relu(3,2)", name="pw_out")(x)
    x = qkeras.QSeparableConv2D(
        6, 3, padding="same", depthwise_quantizer="binary(alpha=1)", pointwise_quantizer=networks.weights(3), name="sep"
    )(x)
    x = qkeras.QActivation("quantized_relu(4,4)", name="sep_out")(x)
    x = qkeras.QDepthwiseConv2DBatchnorm(
        2, depth_multiplier=2, depthwise_quantizer="quantized_bits(4,1,1,alpha='auto')", name="fused"
    )(x)
    x = qkeras.QActivation("quantized_relu(4,4)", name="fused_out")(x)
    x = qkeras.QGlobalAveragePooling2D(name="mean", activation="quantized_relu(6,4)")(x)
    x = qkeras.QDense(4, kernel_quantizer=four, use_bias=False, name="last")(x)
    return randomized(keras.Model(source, x, name="keywords"))


NETWORKS = {
    "jets": jets, "autoencoder": autoencoder, "signs": signs, "lenet": lenet, "sequence": sequence, "scaled": scaled,
    "keywords": keywords, "separable": separable, "branches": branches,
}  # fmt: skip
