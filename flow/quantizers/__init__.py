"""Quantization systems beside QKeras' own: which parts of a network a system quantizes, without TensorFlow.

from flow.quantizers.n2uq import N2UQActivation, N2UQWeights      # Keras layer and weight quantizer
from flow.quantizers.start import start_activations               # their start from training images
system = find_system("n2uq")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flow.errors import FlowError, unknown

if TYPE_CHECKING:
    from flow.bits import BitsSpec
    from keras_models.spec import ModelSpec, WeightLayer

UNIFORM = "uniform"


@dataclass(frozen=True)
class System:
    """How the layers are quantized whose width a model leaves open.

    The first convolution, the last layer and the operands of adds are uniform in every system.

    Attributes:
        name: as users write it.
        description: one line.
        thresholds: activations have learned thresholds (N2UQ), else a uniform power-of-two grid.
        weights: weights are rescaled by filter and have odd integer codes (N2UQ), else a uniform grid.
    """

    name: str
    description: str
    thresholds: bool = False
    weights: bool = False

    @property
    def uniform(self) -> bool:
        """Whether all of it is QKeras."""
        return not (self.thresholds or self.weights)

    def quantizes(self, layer: WeightLayer) -> bool:
        """Whether a layer's weights are rescaled; those of depthwise convolutions stay uniform."""
        return self.weights and layer.default_bits is None and layer.kind != "depthwise"


SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        System(UNIFORM, "QKeras' uniform quantizers on power-of-two grids"),
        System("n2uq", "learned thresholds and rescaled weights (arXiv 2111.14826)", thresholds=True, weights=True),
        System("n2uq-thresholds", "N2UQ's learned thresholds alone", thresholds=True),
        System("n2uq-weights", "N2UQ's rescaled weights alone", weights=True),
    )
}

MAX_THRESHOLD_BITS = 5
"""Widest activation that the hardware makes with thresholds, 31 a channel; wider ones are rescaled."""

FLOOR = 1e-3
"""N2UQ's narrowest interval, and its least scale."""

MAX_ODD_BITS = 7
"""Widest weight code k; its weight 2k - (2^n - 1) has a bit more in two's complement."""


def find_system(name: str) -> System:
    """The system of a name.

    Raises:
        FlowError: no system has that name; the nearest one is named.
    """
    if name not in SYSTEMS:
        raise unknown("quantizer", name, SYSTEMS)
    return SYSTEMS[name]


def check_widths(spec: ModelSpec, bits: BitsSpec, system: System) -> None:
    """Whether a system can quantize a model at given widths.

    Raises:
        FlowError: with the name of the layer that is wrong.
    """
    bits.check(spec)
    for layer in spec.activation_layers() if system.thresholds else ():
        width = bits.activations[layer.name]
        if layer.default_bits is None and width > MAX_THRESHOLD_BITS:
            raise FlowError(
                f"{layer.name}: {width} bits; quantizer {system.name} has learned thresholds of 1 to "
                f"{MAX_THRESHOLD_BITS} bits"
            )
    for layer in spec.weight_layers() if system.weights else ():
        if system.quantizes(layer) and bits.weights[layer.name] > MAX_ODD_BITS:
            raise FlowError(
                f"{layer.name}: {bits.weights[layer.name]} bits; quantizer {system.name} has weights of 1 to "
                f"{MAX_ODD_BITS} bits"
            )
