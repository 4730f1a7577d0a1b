"""The deployed twin: the Keras network of integers that every engine must equal.

A twin has integer-valued convolutions on power-of-two grids, our `Threshold` and `Requantize` layers, adds and
pooling; no batch normalization and no float scale. `flow.fold` makes it from a trained network.
"""

from flow.twin.inputs import InputGrid
from flow.twin.twin import Folded, Twin, load, save, twin_outputs

__all__ = ["Folded", "InputGrid", "Twin", "load", "save", "twin_outputs"]
