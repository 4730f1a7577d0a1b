"""Makes the layers of a checked configuration from our own table of classes, and joins them."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import POWERS_OF_TWO, QUANTIZERS
from flow.fold.survey import HOST_ACTIVATIONS, SUPPORTED, quantizer_name
from flow.keras_env import keras, qkeras
from flow.network.later import QDenseBatchnorm
from flow.quantizers.n2uq import N2UQActivation, N2UQWeights

#: plain functions that an activation may name
FUNCTIONS = ("linear", "relu", *HOST_ACTIVATIONS)
#: what only QBatchNormalization's quantizers are
PO2 = ("quantized_po2", "quantized_relu_po2")


def _class(kind: str) -> type:
    """A layer's class, from Keras, QKeras and our own quantizers alone."""
    if kind == "QDenseBatchnorm":
        return QDenseBatchnorm
    if kind == "N2UQActivation":
        return N2UQActivation
    return getattr(qkeras, kind, None) or getattr(keras.layers, kind)


def build_network(config: dict, name: str) -> keras.Model:
    """The network of a plain configuration, with fresh weights.

    Raises:
        FlowError: a layer has settings that its class does not take; names the layer.
    """
    tensors: dict[str, Any] = {}
    previous: str | None = None
    for entry in config["layers"]:
        kind, layer_config = entry["class_name"], entry["config"]
        layer_name = layer_config["name"]
        if kind == "InputLayer":
            shape = layer_config["batch_input_shape"][1:]
            if None in shape:
                raise FlowError(
                    f"the input has the dynamic shape {tuple(shape)}; build the model with every size but the batch's"
                )
            tensors[layer_name] = keras.layers.Input(shape, name=layer_name)
        else:
            sources = _sources(entry, previous, layer_name)
            try:
                layer = _make(kind, layer_config)
                inputs = [tensors[source] for source in sources]
                tensors[layer_name] = layer(inputs[0] if len(inputs) == 1 else inputs)
            except FlowError:
                raise
            except Exception as error:  # Keras and TensorFlow raise many kinds for a wrong setting
                reason = " ".join(str(error).split())[:200]
                raise FlowError(f"{layer_name} ({kind}): cannot be built as the file says: {reason}") from error
        previous = layer_name
    inputs = [tensors[entry["config"]["name"]] for entry in config["layers"] if entry["class_name"] == "InputLayer"]
    outputs = (
        [tensors[entry[0]] for entry in config["output_layers"]] if "output_layers" in config else [tensors[previous]]
    )
    return keras.Model(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs, name=name
    )


def _sources(entry: dict, previous: str | None, name: str) -> list[str]:
    nodes = entry.get("inbound_nodes")
    if nodes is None:
        return [previous] if previous else []
    if len(nodes) != 1:
        raise FlowError(f"{name}: a layer that is used {len(nodes)} times is not supported; give each use its own")
    return [tensor[0] for tensor in nodes[0]]


def _make(kind: str, config: dict) -> Any:
    """One layer, with quantizers as objects."""
    if kind not in (*SUPPORTED, "Softmax"):
        raise FlowError(f"{config['name']} ({kind}) is not supported")
    settings = {key: value for key, value in config.items() if key not in ("batch_input_shape", "batch_shape")}
    for key in settings:
        if key.endswith("_quantizer") or key == "activation":
            settings[key] = make_quantizer(config["name"], settings[key], kind)
    if kind == "QActivation" and settings["activation"] in FUNCTIONS:
        kind = "Activation"
    if kind == "BatchNormalization" and isinstance(settings.get("axis"), list):
        settings["axis"] = list(settings["axis"])
    cls = _class(kind)
    # a newer Keras writes settings that this one does not have, as None or False where they are not used
    taken = _parameters(cls)
    unused = (None, False, "channels_last")
    settings = {key: value for key, value in settings.items() if key in taken or value not in unused}
    return cls(**settings)


def _parameters(cls: type) -> set[str]:
    """Keyword arguments that a class takes, with its bases' where it hands on the rest."""
    found: set[str] = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters.values()
            found |= {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return found | {"name"}


def make_quantizer(layer: str, value: Any, kind: str = "") -> Any:
    """A quantizer object, or the name of a plain function, from what a file says.

    Raises:
        FlowError: neither one of ours, nor written as a call with plain values.
    """
    name = quantizer_name(value)
    if name is None:
        return None
    if name in FUNCTIONS:
        return name
    if name not in (*QUANTIZERS, POWERS_OF_TWO) and not (kind == "QBatchNormalization" and name in PO2):
        raise FlowError(f"{layer}: quantizer {name} is not supported; supported: {', '.join(QUANTIZERS)}")
    cls = N2UQWeights if name == "N2UQWeights" else getattr(qkeras, name)
    positional, keywords = ([], dict(value["config"])) if isinstance(value, dict) else _parsed(layer, value)
    known = set(inspect.signature(cls.__init__).parameters)
    extra = [key for key, setting in keywords.items() if key not in known and setting not in (None, False, [])]
    keywords = {key: setting for key, setting in keywords.items() if key in known}
    extra = [key for key in extra if key not in ("qnoise_factor", "var_name", "use_ste", "use_variables", "name")]
    if extra:
        raise FlowError(f"{layer}: {name} has the setting {extra[0]}, which QKeras 0.9.0 does not know")
    alpha = keywords.get("alpha")
    if isinstance(alpha, dict):
        alpha = alpha.get("value", alpha.get("config", {}).get("value"))
    if isinstance(alpha, (list, tuple)):
        alpha = np.asarray(alpha, dtype=np.float32)
    if "alpha" in keywords:
        keywords["alpha"] = alpha
    return cls(*positional, **keywords)


def _parsed(layer: str, text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a quantizer that is written as a call, plain values only."""
    if re.fullmatch(r"\w+", text.strip()):
        return [], {}
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("not a call")
        return [ast.literal_eval(a) for a in call.args], {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise FlowError(
            f"{layer}: cannot read the quantizer {text!r}; write it as quantized_bits(8, 0, alpha=1)"
        ) from error
