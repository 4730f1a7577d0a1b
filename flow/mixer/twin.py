"""The deployed twin: a network with run-time widths in integers alone, with the functions of the golden model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flow.fold.compare import Difference
from flow.golden import functions as golden
from flow.keras_env import keras, tf
from flow.mixer.deploy import padding_of
from flow.mixer.integers import Integers
from flow.quantizers.runtime import FixedActivation, RuntimeModel
from keras_models.spec import Node

_BATCH = 100


def run_twin(
    integers: Integers, codes: np.ndarray, positions: Sequence[int], keep: Sequence[str] = ()
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the hardware gives for one configuration.

    Args:
        integers: the network.
        codes: integers [images, ...] of `integers.input`.
        positions: of each runtime layer's width in the widths.
        keep: quantizers whose codes are wanted too.

    Returns:
        Logits, int64 [images, outputs], and the kept codes by name.
    """
    values: dict[str, np.ndarray] = {}
    widths = dict(integers.plan.bits(positions))
    for node in integers.plan.spec.nodes:
        inputs = [values[name] for name in node.inputs]
        if node.kind == "input":
            values[node.name] = codes.astype(np.int64)
        elif node.kind == "weights":
            values[node.name] = _layer(integers, node, inputs[0], widths)
        elif node.kind == "activation" and node.name in integers.tables:
            table = integers.tables[node.name]
            entry = integers.entry(table, positions)
            values[node.name] = golden.requantize(
                inputs[0], table.multiplier[entry], table.bias[entry], table.shift, table.low, table.maxima[entry],
                table.ties_to_even,
            )  # fmt: skip
        elif node.kind == "add":
            values[node.name] = golden.add(*inputs)
        elif node.kind in ("max_pool", "average_pool"):
            values[node.name] = (golden.max_pool if node.kind == "max_pool" else golden.sum_pool)(inputs[0], node.size)
        elif node.kind == "flatten":
            values[node.name] = inputs[0].reshape(len(inputs[0]), -1)
        else:  # a normalization, which is in the table behind it, or the quantizer of the input, which is the host's
            values[node.name] = inputs[0]
    return values[integers.plan.spec.nodes[-1].name], {name: values[name] for name in keep}


def compare_trained(
    model: RuntimeModel, integers: Integers, samples: np.ndarray, configurations: Sequence[Sequence[int]]
) -> Difference:
    """Runs the trained network and its twin and compares every quantized activation and every label.

    TensorFlow's float32 decides the trained network's codes where a sum lies on a threshold: this is a measurement.

    Args:
        model: the trained network; left at the last configuration.
        integers: its export.
        samples: raw [samples, ...]; uint8 pixels or real numbers.
        configurations: positions in the widths.
    """
    names = list(integers.tables)
    layers = [model.get_layer(name) for name in names]
    probe = keras.Model(model.input, [*(layer.output for layer in layers), model.output])
    forward = tf.function(lambda x: probe(x, training=False))
    codes = integers.input.codes(samples)
    reals = integers.input.reals(codes).reshape(-1, *integers.plan.spec.input_shape)
    activations = total = labels = 0
    for positions in configurations:
        model.select(positions)
        units = [
            2.0**layer.exponent if isinstance(layer, FixedActivation) else layer.steps.numpy()[positions[layer.select]]
            for layer in layers
        ]
        for start in range(0, len(codes), _BATCH):
            *want, want_logits = (part.numpy() for part in forward(tf.constant(reals[start : start + _BATCH])))
            logits, have = run_twin(integers, codes[start : start + _BATCH], positions, names)
            for name, unit, values in zip(names, units, want, strict=True):
                activations += int(np.count_nonzero(np.rint(values / unit).astype(np.int64) != have[name]))
                total += values.size
            labels += int(np.count_nonzero(want_logits.argmax(axis=1) != logits.argmax(axis=1)))
    return Difference(activations, total, labels)


def _layer(integers: Integers, node: Node, x: np.ndarray, widths: dict[str, int]) -> np.ndarray:
    weights, layer = integers.weights[node.name], node.layer
    codes = weights.at(widths.get(node.name, weights.bits))
    if layer.kind != "dense":
        x = golden.window(x, layer.kernel, (layer.stride, layer.stride), padding_of(node, x.shape))
    matrix = codes.reshape(-1, codes.shape[-1]).T
    bias = np.zeros(len(matrix), np.int64) if weights.bias is None else weights.bias
    return golden.matvec(x, matrix, bias)
