"""MLPerf Tiny's anomaly detector: a dense autoencoder of 640 spectrogram values (github.com/mlcommons/tiny).

640 -> 128 x 4 -> 8 -> 128 x 4 -> 640; what it reconstructs badly is an anomaly.
"""

from __future__ import annotations

from keras_models.perceptron import hidden_layers
from keras_models.spec import ModelSpec
from keras_models.topology import EDGE_BITS, Topology

VALUES = 640


def autoencoder() -> ModelSpec:
    """The description."""
    net = Topology(
        "autoencoder",
        "MLPerf Tiny's anomaly detector: 640 values, dense layers of 128 (4), 8, 128 (4), 640 values again",
        (VALUES,),
        task="reconstruction",
    )
    x = net.signed(net.input, "input_codes")
    x = hidden_layers(net, x, (128, 128, 128, 128, 8, 128, 128, 128, 128), edge=True)
    return net.spec(net.dense(x, "dense10", VALUES, bits=EDGE_BITS))


AUTOENCODER = autoencoder()
