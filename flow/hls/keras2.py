"""hls4ml's Keras 2 path, with folding, from a plain script.

hls4ml 1.3.0 looks at `keras.__version__` and takes its Keras 3 path even for tf_keras models. The context manager
below lets that one look find tf_keras, folds what it is given into its twin, and asks for exact types.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hls4ml.model import ModelGraph

    from flow.twin import Twin

#: hls4ml rounds to this where it infers nothing; with exact types nothing is left to round
DEFAULT_PRECISION = "fixed<32,16>"


@contextmanager
def hls4ml_keras2() -> Iterator[None]:
    """Inside the block `hls4ml.converters.convert_from_keras_model` takes tf_keras and QKeras models.

    - `import keras` finds tf_keras, and afterwards what it found before.
    - A QKeras network that is no twin yet is folded first (`flow.fold`); so is anything that goes to FlowRTL.
    - Types are inferred bit-exactly from the twin's own grids; precisions in `hls_config` are ignored, reuse factors
      and strategies are kept.

    Raises:
        FlowError: the network has layers that cannot be folded.
    """
    from flow.keras_env import keras  # before hls4ml, so that TensorFlow starts with Keras 2

    converters = _converters()
    before, original = sys.modules.get("keras"), converters.keras_v2_to_hls
    sys.modules["keras"] = keras
    converters.keras_v2_to_hls = lambda config: _convert(original, config)
    try:
        yield
    finally:
        converters.keras_v2_to_hls = original
        if before is None:
            sys.modules.pop("keras", None)
        else:
            sys.modules["keras"] = before


def _converters() -> Any:
    """hls4ml's module of that name, with our backend and layers registered."""
    from hls4ml import converters

    from flow.hls.plugin import ensure_registered
    from flow.hls.register import register_layers

    ensure_registered()
    register_layers()
    return converters


def to_hls4ml(twin: Twin, backend: str, name: str, **settings: Any) -> ModelGraph:
    """A twin through hls4ml's converter.

    Args:
        twin: the network.
        backend: ``"FlowRTL"`` or ``"Vitis"``.
        name: of the project.
        settings: further arguments of `convert_from_keras_model`.
    """
    with hls4ml_keras2():
        import hls4ml

        return hls4ml.converters.convert_from_keras_model(
            twin.model, backend=backend, project_name=name, io_type="io_stream", **settings
        )


def _is_twin(model: Any) -> bool:
    return any(type(layer).__module__.startswith("flow.twin.") for layer in model.layers)


def _convert(original: Any, config: dict) -> ModelGraph:
    """Folds `config`'s model if it has to be, fills in exact types, and converts with our handlers."""
    from hls4ml.converters.keras_v2_to_hls import layer_handlers

    from flow.fold import fold_network
    from flow.hls.layers import TWIN_HANDLERS
    from flow.hls.plugin import NAME

    model = config.get("KerasModel")
    quantized = hasattr(model, "layers") and any(type(layer).__module__.startswith("qkeras") for layer in model.layers)
    if not hasattr(model, "layers") or not (quantized or config["Backend"] == NAME):
        return original(config)
    if not _is_twin(model):
        model = fold_network(model).model
    config["KerasModel"] = model
    config["HLSConfig"] = _exact(config["HLSConfig"], _input_precisions(model))
    before = {name: layer_handlers[name] for name in TWIN_HANDLERS}
    layer_handlers.update(TWIN_HANDLERS)
    try:
        return original(config)
    finally:
        layer_handlers.update(before)


def _input_precisions(model: Any) -> dict[str, str]:
    """The types of a twin's inputs in hls4ml's words: of its samples, and of the configuration if it takes one."""
    grid, runtime = model.flow_input, model.flow_runtime
    types = [grid.precision] + ([f"ufixed<{runtime.field_bits},{runtime.field_bits}>"] if runtime else [])
    return dict(zip(model.input_names, types, strict=True))


def _exact(given: dict, inputs: dict[str, str]) -> dict:
    """`given` with every precision replaced by exact inference from the types of the inputs."""
    kept = {
        name: {key: value for key, value in settings.items() if key != "Precision"}
        for name, settings in given.get("LayerName", {}).items()
    }
    kept |= {name: {"Precision": {"result": precision}} for name, precision in inputs.items()}
    model = {**given.get("Model", {}), "Precision": DEFAULT_PRECISION, "BitExact": True}
    return {**given, "Model": model, "LayerName": kept}
