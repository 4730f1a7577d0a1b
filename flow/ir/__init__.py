"""The intermediate representation: small, frozen, integer. Nothing here knows TensorFlow, hls4ml or Verilog."""

from flow.ir.configuration import Configuration, RuntimeWidths, table_number
from flow.ir.geometry import NO_PADDING, Padding, same_padding, windows
from flow.ir.graph import Graph, fields_of
from flow.ir.kinds import KINDS
from flow.ir.nodes import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Flatten,
    Fork,
    Input,
    Matvec,
    MaxPool,
    Node,
    Output,
    Requantize,
    SumPool,
    Threshold,
    WeightCode,
    Weighted,
    Window,
    sum_type,
)
from flow.ir.runtime import RequantizeTable, SerialMatvec
from flow.ir.serialize import load, save
from flow.ir.types import TensorType, signed_width, unsigned_width

__all__ = [
    "KINDS", "NO_PADDING", "Add", "Argmax", "Concat", "Configuration", "Depthwise", "Flatten", "Fork", "Graph", "Input",
    "Matvec", "MaxPool", "Node", "Output", "Padding", "Requantize", "RequantizeTable", "RuntimeWidths", "SerialMatvec",
    "SumPool", "TensorType", "Threshold", "WeightCode", "Weighted", "Window", "fields_of", "load", "same_padding",
    "save", "signed_width", "sum_type", "table_number", "unsigned_width", "windows",
]  # fmt: skip
