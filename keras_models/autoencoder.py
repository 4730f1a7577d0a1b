"""MLPerf Tiny's anomaly detector: a dense autoencoder of 640 spectrogram values (github.com/mlcommons/tiny).

640 -> 128 x 4 -> 8 -> 128 x 4 -> 640; what it reconstructs badly is an anomaly.
"""

from __future__ import annotations

from keras_models.perceptron import hidden_layers
from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology


def dense_autoencoder(name: str, description: str, values: int, units: list[int], code: int) -> ModelSpec:
    """Dense layers, one in the middle, the same dense layers in reverse, and the output.

    Args:
        name: as users write it.
        description: one line.
        values: of a sample, and of its reconstruction.
        units: of the layers before the middle.
        code: of the layer in the middle.
    """
    net = Topology(name, description, (values,), task="reconstruction")
    x = net.signed(net.input, "input_codes")
    x = hidden_layers(net, x, [*units, code, *reversed(units)], edge=True)
    return net.spec(net.dense(x, f"dense{2 * len(units) + 2}", values, bits=EDGE_BITS))


AUTOENCODER = dense_autoencoder(
    "autoencoder",
    "MLPerf Tiny's anomaly detector: 640 values, dense layers of 128 (4), 8, 128 (4), 640 values again",
    values=640,
    units=[128] * 4,
    code=8,
)
