"""Where the training of N2UQ activations starts: the uniform quantizer with the least squared error on images."""

from __future__ import annotations

import numpy as np

from flow.keras_env import keras
from flow.quantizers.n2uq import N2UQActivation

IMAGES = 512
_RATIOS = np.geomspace(0.02, 1.2, 120)


def best_step(values: np.ndarray, bits: int) -> float:
    """The step of an unsigned uniform quantizer with the least squared error.

    Args:
        values: of any shape; those below 0 are rectified.
        bits: width; codes are 0..2^bits - 1.
    """
    positive = np.maximum(np.asarray(values, np.float64).ravel(), 0)
    top = 2**bits - 1
    full = max(positive.max(), 1e-6) / top
    errors = []
    for ratio in _RATIOS:
        codes = np.minimum(np.rint(positive / (ratio * full)), top)
        errors.append(np.mean((codes * (ratio * full) - positive) ** 2))
    return float(full * _RATIOS[np.argmin(errors)])


def start_activations(model: keras.Model, inputs: np.ndarray) -> dict[str, float]:
    """Sets every `N2UQActivation` of a network in place, front to back, so that each sees what those before it give.

    Batch normalizations use the statistics of `inputs`; what they keep moves a little and is to be measured again.

    Args:
        model: any functional network.
        inputs: what the model takes; some hundred samples.

    Returns:
        The step of each, by layer name.
    """
    steps = {}
    for layer in model.layers:
        if isinstance(layer, N2UQActivation):
            probe = keras.Model(model.input, layer.input)
            steps[layer.name] = best_step(np.asarray(probe(inputs, training=True)), layer.bits)
            layer.set_step(steps[layer.name])
    return steps
