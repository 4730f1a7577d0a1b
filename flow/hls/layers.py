"""What hls4ml has to be told about a twin: its own layers, their types, their Keras handlers and their C++.

Both of hls4ml's backends that we use, Vitis and our own, convert through these handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.converters.keras.convolution import parse_conv2d_layer
from hls4ml.converters.keras.core import parse_dense_layer, parse_input_layer
from hls4ml.converters.keras_v2_to_hls import (
    get_weights_data,
    parse_default_keras_layer,
)
from hls4ml.model.layers import Attribute, Layer, ZeroPadding2D
from hls4ml.model.optimizer.passes.bit_exact import get_input_kifs
from hls4ml.model.quantizers import QKerasBinaryQuantizer, QKerasQuantizer
from hls4ml.model.types import FixedPrecisionType, IntegerPrecisionType

from flow.ir.geometry import windows
from flow.ir.types import signed_width
from flow.twin.inputs import CONFIGURATION

# -- hls4ml layers -----------------------------------------------------------------------------------------------------


class _IntegerActivation(Layer):
    """What the layers share: an explicit output type and integer tables."""

    _expected_attributes = (
        Attribute("n_in"),
        Attribute("n_chan"),
        Attribute("input_fraction_bits"),
        Attribute("output_fraction_bits"),
        Attribute("bits"),
        Attribute("signed", value_type=bool),
    )

    #: names of the integer tables, C rows each
    tables: tuple[str, ...] = ()

    def output_shape(self) -> list[int]:
        return self.get_input_variable().shape

    def initialize(self) -> None:
        shape = self.output_shape()
        bits, fraction_bits = self.get_attr("bits"), self.get_attr("output_fraction_bits")
        precision = FixedPrecisionType(bits, bits - fraction_bits, self.get_attr("signed"))
        self.add_output_variable(shape, precision=precision)
        for name in self.tables:
            precision = IntegerPrecisionType(self.table_bits(self.get_attr(f"{name}_data")), True)
            self.add_weights_variable(name, var_name=name + "{index}", precision=precision)

    def table_bits(self, data: np.ndarray) -> int:
        """Signed bits of a table's numbers."""
        return max(signed_width(int(data.min()), int(data.max())), 2)


class Threshold(_IntegerActivation):
    """Counts thresholds reached; see `flow.ir.Threshold`."""

    _expected_attributes = (Attribute("count"), Attribute("offset"))
    tables = ("thresholds", "flip")


class Requantize(_IntegerActivation):
    """Multiplies, adds, shifts, saturates; see `flow.ir.Requantize`."""

    _expected_attributes = (Attribute("shift"), Attribute("ties_to_even", value_type=bool))
    tables = ("multiplier", "bias")


class SumPool(_IntegerActivation):
    """Sum of each window; see `flow.ir.SumPool`."""

    _expected_attributes = (
        Attribute("in_height"),
        Attribute("in_width"),
        Attribute("pool_height"),
        Attribute("pool_width"),
    )

    def output_shape(self) -> list[int]:
        out_h, out_w = (self.get_attr(f"in_{side}") // self.get_attr(f"pool_{side}") for side in ("height", "width"))
        return [out_h, out_w, self.get_attr("n_chan")]


class Depthwise(_IntegerActivation):
    """Filters of one channel each, padding included; see `flow.ir.Depthwise`."""

    _expected_attributes = (
        *(Attribute(f"{what}_{side}") for what in ("in", "filt", "stride") for side in ("height", "width")),
        *(Attribute(f"pad_{side}") for side in ("top", "left", "bottom", "right")),
        Attribute("multiplier"),
        Attribute("weight_bits"),
        Attribute("binary", value_type=bool),
    )
    tables = ("weight", "bias")

    def output_shape(self) -> list[int]:
        return [*window_counts(self.get_attr), self.get_attr("n_chan") * self.get_attr("multiplier")]


class Argmax(_IntegerActivation):
    """The first position of the largest; see `flow.ir.Argmax`."""

    def output_shape(self) -> list[int]:
        return [1]


#: our layers by the Keras class that hls4ml reads
OWN_LAYERS = {kind.__name__: kind for kind in (Threshold, Requantize, SumPool, Depthwise, Argmax)}


def output_kif(layer: _IntegerActivation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sign, integer and fraction bits of every output, for hls4ml's exact type inference."""
    shape = tuple(layer.get_output_variable().shape)
    signed, bits, fraction_bits = (layer.get_attr(k) for k in ("signed", "bits", "output_fraction_bits"))
    parts = (int(signed), bits - int(signed) - fraction_bits, fraction_bits)
    return tuple(np.full(shape, part, dtype=np.int16) for part in parts)  # type: ignore[return-value]


def padded_kif(layer: ZeroPadding2D) -> tuple[np.ndarray, ...]:
    """The same for zero padding, which hls4ml 1.3.0 leaves out: a zero needs no bits."""
    top, bottom, left, right = (layer.get_attr(f"pad_{side}") for side in ("top", "bottom", "left", "right"))
    (source,) = get_input_kifs(layer)
    return tuple(np.pad(part, ((top, bottom), (left, right), (0, 0))) for part in source)


# -- Keras handlers ----------------------------------------------------------------------------------------------------


def parse_integer_activation(keras_layer: dict, input_names: Any, input_shapes: Any, data_reader: Any):
    layer = parse_default_keras_layer(keras_layer, input_names)
    kind = OWN_LAYERS[keras_layer["class_name"]]
    layer["class_name"] = kind.__name__
    layer["trusted"] = True  # the explicit output type is not inferred again
    layer["n_in"] = int(np.prod(input_shapes[0][1:]))
    layer["n_chan"] = input_shapes[0][-1]
    shape = list(input_shapes[0])
    if kind is SumPool:
        layer["pool_height"], layer["pool_width"] = keras_layer["config"]["size"]
        layer["in_height"], layer["in_width"] = shape[1:3]
        shape[1:3] = shape[1] // layer["pool_height"], shape[2] // layer["pool_width"]
    if kind is Argmax:
        shape[1:] = [1]
    if kind is Depthwise:
        shape[1:] = _read_depthwise(layer, keras_layer["config"], shape)
    for attribute in kind.expected_attributes:
        if attribute.name in keras_layer["config"] and attribute.name not in layer:
            layer[attribute.name] = keras_layer["config"][attribute.name]
    for name in kind.tables:
        layer[f"{name}_data"] = get_weights_data(data_reader, layer["name"], name)
    return layer, shape


def _read_depthwise(layer: dict, config: dict, shape: list[int]) -> list[int]:
    """Sizes of a depthwise layer by hls4ml's names; gives its output shape."""
    name_sizes(layer, config, shape[1:3])
    return [*window_counts(layer.__getitem__), shape[3] * config["multiplier"]]


def name_sizes(layer: dict, config: dict, image: Sequence[int]) -> None:
    """Puts the sizes of one of our layers that has a window under hls4ml's names."""
    layer["in_height"], layer["in_width"] = image
    layer["filt_height"], layer["filt_width"] = config["size"]
    layer["stride_height"], layer["stride_width"] = config["stride"]
    layer["pad_top"], layer["pad_left"], layer["pad_bottom"], layer["pad_right"] = config["padding"]


def window_counts(attribute: Callable[[str], int]) -> tuple[int, int]:
    """How many windows a layer has, in rows and columns, from its sizes by hls4ml's names."""
    size, kernel, stride = (
        (attribute(f"{what}_height"), attribute(f"{what}_width")) for what in ("in", "filt", "stride")
    )
    top, left, bottom, right = (attribute(f"pad_{end}") for end in ("top", "left", "bottom", "right"))
    return windows(size, kernel, stride, (top, left, bottom, right))


def _weight_quantizer(keras_layer: dict) -> Any:
    """hls4ml's own handler maps -1 and +1 to 0 and 1 for an XNOR unit, which its exact types do not know."""
    config = keras_layer["config"]["kernel_quantizer"]
    name = config["class_name"].rpartition(">")[2]
    config = {**config, "class_name": {"WideBits": "quantized_bits", "WideBinary": "binary"}.get(name, name)}
    if "integer" in config["config"]:
        config["config"] = {**config["config"], "integer": int(config["config"]["integer"])}
    return QKerasBinaryQuantizer(config, xnor=False) if config["class_name"] == "binary" else QKerasQuantizer(config)


def _parse_conv(keras_layer: dict, input_names: Any, input_shapes: Any, data_reader: Any):
    layer, shape = parse_conv2d_layer(keras_layer, input_names, input_shapes, data_reader)
    layer["weight_quantizer"], layer["bias_quantizer"] = _weight_quantizer(keras_layer), None
    return layer, shape


def _parse_dense(keras_layer: dict, input_names: Any, input_shapes: Any, data_reader: Any):
    layer, shape = parse_dense_layer(keras_layer, input_names, input_shapes, data_reader)
    layer["weight_quantizer"], layer["bias_quantizer"] = _weight_quantizer(keras_layer), None
    return layer, shape


def _parse_input(keras_layer: dict, input_names: Any, input_shapes: Any, data_reader: Any):
    layer, shape = parse_input_layer(keras_layer, input_names, input_shapes, data_reader)
    layer["trusted"] = True
    if layer["name"] == CONFIGURATION:
        layer["type_name"] = f"{CONFIGURATION}_t"
    return layer, shape


#: handlers that replace hls4ml's own while a twin is converted
TWIN_HANDLERS = {"QConv2D": _parse_conv, "QDense": _parse_dense, "InputLayer": _parse_input}


# -- C++ ---------------------------------------------------------------------------------------------------------------

_THRESHOLD_CONFIG = """struct config{index} : nnet::threshold_config {{
    static const unsigned n_in = {n_in};
    static const unsigned n_chan = {n_chan};
    static const unsigned count = {count};
    static const int offset = {offset};
    static const int input_fraction_bits = {input_fraction_bits};
    static const unsigned reuse_factor = {reuse};
    typedef {thresholds_t.name} threshold_t;
    typedef {flip_t.name} flip_t;
}};\n"""

_REQUANTIZE_CONFIG = """struct config{index} : nnet::requantize_config {{
    static const unsigned n_in = {n_in};
    static const unsigned n_chan = {n_chan};
    static const unsigned shift = {shift};
    static const bool ties_to_even = {ties_to_even};
    static const int input_fraction_bits = {input_fraction_bits};
    static const int low = {low};
    static const int high = {high};
    static const unsigned reuse_factor = {reuse};
    typedef {multiplier_t.name} multiplier_t;
    typedef {bias_t.name} bias_t;
}};\n"""

_SUM_POOL_CONFIG = """struct config{index} : nnet::sum_pool_config {{
    static const unsigned in_height = {in_height};
    static const unsigned in_width = {in_width};
    static const unsigned n_chan = {n_chan};
    static const unsigned pool_height = {pool_height};
    static const unsigned pool_width = {pool_width};
    static const int input_fraction_bits = {input_fraction_bits};
    static const unsigned reuse_factor = {reuse};
}};\n"""

#: what the configurations of layers with a window share
WINDOW_FIELDS = """    static const unsigned in_height = {in_height};
    static const unsigned in_width = {in_width};
    static const unsigned n_chan = {n_chan};
    static const unsigned filt_height = {filt_height};
    static const unsigned filt_width = {filt_width};
    static const unsigned stride_height = {stride_height};
    static const unsigned stride_width = {stride_width};
    static const unsigned pad_top = {pad_top};
    static const unsigned pad_left = {pad_left};
    static const unsigned pad_bottom = {pad_bottom};
    static const unsigned pad_right = {pad_right};
"""

_DEPTHWISE_CONFIG = (
    """struct config{index} : nnet::depthwise_config {{
"""
    + WINDOW_FIELDS
    + """    static const unsigned multiplier = {multiplier};
    static const int input_fraction_bits = {input_fraction_bits};
    static const unsigned reuse_factor = {reuse};
    typedef {weight_t.name} weight_t;
    typedef {bias_t.name} bias_t;
}};\n"""
)

_ARGMAX_CONFIG = """struct config{index} : nnet::argmax_config {{
    static const unsigned n_in = {n_in};
    static const unsigned reuse_factor = {reuse};
}};\n"""

_CALL = "nnet::{function}<{input_t}, {output_t}, {config}>({arguments});"


class ThresholdConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(Threshold)

    def format(self, node: Any) -> str:
        return _THRESHOLD_CONFIG.format(**self._default_config_params(node))


class RequantizeConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(Requantize)

    def format(self, node: Any) -> str:
        bits, signed = node.get_attr("bits"), node.get_attr("signed")
        low = -(1 << (bits - 1)) if signed else 0
        high = (1 << (bits - signed)) - 1
        return _REQUANTIZE_CONFIG.format(**self._default_config_params(node), low=low, high=high)


class SumPoolConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(SumPool)

    def format(self, node: Any) -> str:
        return _SUM_POOL_CONFIG.format(**self._default_config_params(node))


class DepthwiseConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(Depthwise)

    def format(self, node: Any) -> str:
        return _DEPTHWISE_CONFIG.format(**self._default_config_params(node))


class ArgmaxConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(Argmax)

    def format(self, node: Any) -> str:
        return _ARGMAX_CONFIG.format(**self._default_config_params(node))


class Call(FunctionCallTemplate):
    def __init__(self, kind: type[_IntegerActivation], function: str, header: str | None = None) -> None:
        self._function = function
        super().__init__(kind, include_header=[f"nnet_utils/{header or function}.h"])

    def format(self, node: Any) -> str:
        params = self._default_function_params(node)
        arguments = [params["input"], params["output"], *(node.get_weights(name).name for name in node.tables)]
        return _CALL.format(**params, function=self._function, arguments=", ".join(arguments))


class ThresholdCall(Call):
    def __init__(self) -> None:
        super().__init__(Threshold, "threshold")


class RequantizeCall(Call):
    def __init__(self) -> None:
        super().__init__(Requantize, "requantize")


class SumPoolCall(Call):
    def __init__(self) -> None:
        super().__init__(SumPool, "sum_pool")


class DepthwiseCall(Call):
    def __init__(self) -> None:
        super().__init__(Depthwise, "depthwise")


class ArgmaxCall(Call):
    def __init__(self) -> None:
        super().__init__(Argmax, "argmax")


TEMPLATES = (
    ThresholdConfig, ThresholdCall, RequantizeConfig, RequantizeCall, SumPoolConfig, SumPoolCall, DepthwiseConfig,
    DepthwiseCall, ArgmaxConfig, ArgmaxCall,
)  # fmt: skip
