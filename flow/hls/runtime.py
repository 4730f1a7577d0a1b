"""hls4ml's side of the layers that choose their width for each frame; see `flow.twin.runtime`.

Streams only: a frame's configuration is one token beside the frame's pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.converters.keras_v2_to_hls import get_weights_data, parse_default_keras_layer
from hls4ml.model.layers import Attribute

from flow.hls.layers import WINDOW_FIELDS, Call, _IntegerActivation, name_sizes, window_counts


class _Selecting(_IntegerActivation):
    """A layer that reads [x, configuration]."""

    _expected_attributes = (Attribute("widths", value_type=list), Attribute("select", value_type=list))


class SerialMatvec(_Selecting):
    """A convolution, padding included, or a dense layer; see `flow.ir.SerialMatvec`."""

    _expected_attributes = (
        *(Attribute(f"{what}_{side}") for what in ("in", "filt", "stride") for side in ("height", "width")),
        *(Attribute(f"pad_{side}") for side in ("top", "left", "bottom", "right")),
        Attribute("n_filt"),
        Attribute("odd", value_type=bool),
    )
    tables = ("weight",)

    def table_bits(self, data: np.ndarray) -> int:
        """All planes, whether the codes use them or not."""
        return self.get_attr("widths")[-1]

    def output_shape(self) -> list[int]:
        source = self.get_input_variable().shape
        if len(source) == 1:
            return [self.get_attr("n_filt")]
        return [*window_counts(self.get_attr), self.get_attr("n_filt")]


class RequantizeTable(_Selecting):
    """`Requantize` whose constants the configuration selects; see `flow.ir.RequantizeTable`."""

    _expected_attributes = (Attribute("shift"),)
    tables = ("multiplier", "bias", "maximum")


class PassThrough(_IntegerActivation):
    """The configuration for more readers than a stream can be copied for."""


RUNTIME_LAYERS = {kind.__name__: kind for kind in (SerialMatvec, RequantizeTable, PassThrough)}


def parse_runtime_layer(keras_layer: dict, input_names: Any, input_shapes: Any, data_reader: Any):
    """hls4ml's handler of these layers: gives its description of one and the shape of the output."""
    config, kind = keras_layer["config"], RUNTIME_LAYERS[keras_layer["class_name"]]
    layer = parse_default_keras_layer(keras_layer, input_names)
    layer |= {"class_name": kind.__name__, "trusted": True}  # the explicit output type is not inferred again
    shape = list(input_shapes[0])
    layer |= {"n_in": int(np.prod(shape[1:])), "n_chan": shape[-1]}
    if kind is SerialMatvec:
        shape = _read_serial(layer, config, shape)
    for attribute in kind.expected_attributes:
        if attribute.name in config and attribute.name not in layer:
            layer[attribute.name] = config[attribute.name]
    for name in kind.tables:
        layer[f"{name}_data"] = get_weights_data(data_reader, layer["name"], name)
    return layer, shape


def _read_serial(layer: dict, config: dict, shape: list[int]) -> list[int]:
    """Sizes by hls4ml's names, a vector being an image of one pixel; gives the output shape."""
    name_sizes(layer, config, shape[1:3] if len(shape) == 4 else (1, 1))
    layer["n_filt"] = config["outputs"]
    if len(shape) == 2:
        return [shape[0], config["outputs"]]
    return [shape[0], *window_counts(layer.__getitem__), config["outputs"]]


# -- C++ ---------------------------------------------------------------------------------------------------------------

_SERIAL_MATVEC_CONFIG = (
    """struct config{index} : nnet::serial_matvec_config {{
"""
    + WINDOW_FIELDS
    + """    static const unsigned n_filt = {n_filt};
    static const unsigned top_bits = {top_bits};
    static const bool odd = {odd};
    static const int input_fraction_bits = {input_fraction_bits};
    static const unsigned reuse_factor = {reuse};
    typedef {weight_t.name} weight_t;
    template <class fields_T> static unsigned bits(const fields_T &fields) {{
        static const unsigned widths[] = {{{widths}}};
        return widths[{entry}];
    }}
}};\n"""
)

_REQUANTIZE_TABLE_CONFIG = """struct config{index} : nnet::requantize_table_config {{
    static const unsigned n_in = {n_in};
    static const unsigned n_chan = {n_chan};
    static const unsigned tables = {table_count};
    static const unsigned shift = {shift};
    static const bool is_signed = {signed};
    static const int input_fraction_bits = {input_fraction_bits};
    static const unsigned reuse_factor = {reuse};
    typedef {multiplier_t.name} multiplier_t;
    typedef {bias_t.name} bias_t;
    typedef {maximum_t.name} maximum_t;
    template <class fields_T> static unsigned entry(const fields_T &fields) {{ return {entry}; }}
}};\n"""

_PASS_THROUGH_CONFIG = """struct config{index} : nnet::pass_through_config {{
    static const unsigned reuse_factor = {reuse};
}};\n"""

_CALL = "nnet::{function}<{input_t}, {fields_t}, {output_t}, {config}>({arguments});"


def _entry(node: Any) -> str:
    """The number whose digits are the fields that a layer looks at, the first on top, as a C++ expression."""
    count, found = len(node.get_attr("widths")), ""
    for position in node.get_attr("select"):
        digit = f"nnet::width_index<{count}>(fields[{position}])"
        found = f"({found}) * {count} + {digit}" if found else digit
    return found


class SerialMatvecConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(SerialMatvec)

    def format(self, node: Any) -> str:
        widths = node.get_attr("widths")
        params = self._default_config_params(node)
        params |= {"odd": str(node.get_attr("odd")).lower(), "widths": ", ".join(map(str, widths))}
        return _SERIAL_MATVEC_CONFIG.format(**params, top_bits=widths[-1], entry=_entry(node))


class RequantizeTableConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(RequantizeTable)

    def format(self, node: Any) -> str:
        params = self._default_config_params(node)
        params |= {"signed": str(node.get_attr("signed")).lower()}
        count = len(node.get_attr("widths")) ** len(node.get_attr("select"))
        return _REQUANTIZE_TABLE_CONFIG.format(**params, table_count=count, entry=_entry(node))


class PassThroughConfig(LayerConfigTemplate):
    def __init__(self) -> None:
        super().__init__(PassThrough)

    def format(self, node: Any) -> str:
        return _PASS_THROUGH_CONFIG.format(**self._default_config_params(node))


class _SelectingCall(FunctionCallTemplate):
    def format(self, node: Any) -> str:
        params = self._default_function_params(node)
        fields = node.get_input_variable(node.inputs[1])
        tables = (node.get_weights(name).name for name in node.tables)
        arguments = [params["input"], fields.name, params["output"], *tables]
        return _CALL.format(
            **params, fields_t=fields.type.name, function=self.function(node), arguments=", ".join(arguments)
        )


class SerialMatvecCall(_SelectingCall):
    def __init__(self) -> None:
        super().__init__(SerialMatvec, include_header=["nnet_utils/serial_matvec.h"])

    def function(self, node: Any) -> str:
        return "serial_matvec_vector" if len(node.get_input_variable().shape) == 1 else "serial_matvec"


class RequantizeTableCall(_SelectingCall):
    def __init__(self) -> None:
        super().__init__(RequantizeTable, include_header=["nnet_utils/requantize_table.h"])

    def function(self, node: Any) -> str:
        return "requantize_table"


class PassThroughCall(Call):
    def __init__(self) -> None:
        super().__init__(PassThrough, "pass_through", "configuration")


RUNTIME_TEMPLATES = (
    SerialMatvecConfig, SerialMatvecCall, RequantizeTableConfig, RequantizeTableCall, PassThroughConfig,
    PassThroughCall,
)  # fmt: skip
