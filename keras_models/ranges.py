"""The power-of-two step of every quantizer of a network, without TensorFlow.

Every quantizer of a network counts in steps of 2**e. `Ranges` holds the exponents e, which a
calibration chooses once; they are constants afterwards, in training as in hardware.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flow.bits import BitsSpec
from keras_models.spec import INPUT, ModelSpec, WeightLayer

INPUT_EXPONENT = -8
"""A pixel is the fixed-point number pixel / 256."""

BIAS_BITS = 16
"""Width of a bias, sign included."""


class Ranges(BaseModel):
    """The step of each quantizer as an exponent of two.

    Attributes:
        activations: exponent by activation quantizer.
        weights: exponent by weight layer (1-bit weights are -1 and +1 steps).
        biases: exponent by weight layer that has a bias.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activations: dict[str, int]
    weights: dict[str, int]
    biases: dict[str, int]

    @classmethod
    def default(cls, spec: ModelSpec, bits: BitsSpec) -> Ranges:
        """Ranges for a network that was not calibrated: activations up to 4, weights up to 1."""
        activations = {a.name: 2 - bits.activations[a.name] for a in spec.activation_layers()}
        for _, left, right in spec.adds():
            activations[left] = activations[right] = max(activations[left], activations[right])
        weights = {w.name: fraction_exponent(bits.weights[w.name]) for w in spec.weight_layers()}
        biases = {
            w.name: max(accumulator_exponent(w, activations, weights), bias_exponent_for(4.0))
            for w in spec.weight_layers()
            if w.batchnorm is None
        }
        return cls(activations=activations, weights=weights, biases=biases)


def fraction_exponent(bits: int) -> int:
    """Exponent of a weight grid that spans [-1, 1): -(bits - 1), and 0 for {-1, +1}."""
    return 1 - bits


def bias_exponent_for(limit: float) -> int:
    """The finest bias exponent at which values up to `limit` fit `BIAS_BITS`."""
    exponent = 1 - BIAS_BITS
    while limit > (2 ** (BIAS_BITS - 1) - 1) * 2.0**exponent:
        exponent += 1
    return exponent


def accumulator_exponent(layer: WeightLayer, activations: dict[str, int], weights: dict[str, int]) -> int:
    """Exponent of the grid that a layer's sums of products lie on.

    Behind an average pooling over a power-of-two number of values the grid is finer by that power.
    """
    source = INPUT_EXPONENT if layer.source == INPUT else activations[layer.source]
    return source + weights[layer.name] - (layer.averaged.bit_length() - 1)
