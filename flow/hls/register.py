"""Makes our layers and their C++ known to hls4ml."""

from __future__ import annotations

from functools import cache

from hls4ml.backends import get_backend
from hls4ml.converters.keras_v2_to_hls import register_keras_v2_layer_handler
from hls4ml.model.layers import Layer, ZeroPadding2D, register_layer
from hls4ml.model.optimizer.passes.bit_exact import _produce_kif

from flow.hls.layers import OWN_LAYERS, TEMPLATES, output_kif, padded_kif, parse_integer_activation
from flow.hls.runtime import RUNTIME_LAYERS, RUNTIME_TEMPLATES, parse_runtime_layer
from flow.paths import hls_templates

HEADERS = ("raw_bits.h", "threshold.h", "requantize.h", "sum_pool.h", "depthwise.h", "argmax.h")
RUNTIME_HEADERS = ("configuration.h", "serial_matvec.h", "requantize_table.h")


def register_layers() -> None:
    """Registers layers, types, handlers and headers; more than once does no harm."""
    _register_once()
    for header in (*HEADERS, *RUNTIME_HEADERS):
        get_backend("Vitis").register_source(hls_templates() / header)


@cache
def _register_once() -> None:
    for layers, handler in ((OWN_LAYERS, parse_integer_activation), (RUNTIME_LAYERS, parse_runtime_layer)):
        for name, kind in layers.items():
            register_layer(name, kind)
            register_keras_v2_layer_handler(name, handler)
            _produce_kif.register(kind, output_kif)
    if _produce_kif.dispatch(ZeroPadding2D) is _produce_kif.dispatch(Layer):
        _produce_kif.register(ZeroPadding2D, padded_kif)
    vitis = get_backend("Vitis")
    for template in (*TEMPLATES, *RUNTIME_TEMPLATES):
        vitis.register_template(template)
