"""Trained network to deployed twin: batch normalization, rectifier and quantizer become integers.

    twin = fold_network(trained)            # raises FlowError, naming every layer that it does not know
    compare_trained_deployed(trained, twin, images)

Importing this package does not import TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow.fold.compare import Difference, compare_trained_deployed

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.twin import InputGrid, Twin

__all__ = ["Difference", "compare_trained_deployed", "fold_network"]


def fold_network(model: keras.Model, input_grid: InputGrid | None = None, argmax: bool = False) -> Twin:
    """Folds a trained QKeras network; see `flow.fold.network`."""
    from flow.fold.network import fold_network as fold

    return fold(model, input_grid, argmax)
