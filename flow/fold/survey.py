"""What of a network cannot be deployed, found in its configuration alone: all layers at once, before any work.

Reads the dictionary that Keras saves a model as; nothing is built and TensorFlow is not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flow.errors import FlowError
from flow.fold.grids import POWERS_OF_TWO, QUANTIZERS

#: layers that do nothing once a network is trained
IDENTITIES = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "ActivityRegularization",
)  # fmt: skip
POOLS = ("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "QAveragePooling2D")
GLOBAL_POOLS = (
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "QGlobalAveragePooling2D",
)  # fmt: skip
CONVOLUTIONS = (
    "QConv1D", "QConv2D", "QDepthwiseConv2D", "QSeparableConv1D", "QSeparableConv2D", "QConv2DBatchnorm",
    "QDepthwiseConv2DBatchnorm",
)  # fmt: skip
WEIGHTED = (*CONVOLUTIONS, "QDense", "QDenseBatchnorm")
SUPPORTED = (
    "InputLayer", *WEIGHTED, "BatchNormalization", "QBatchNormalization", "QActivation", "Activation", "ReLU",
    "LeakyReLU", "PReLU", "N2UQActivation", *IDENTITIES, "Add", "Concatenate", *POOLS, *GLOBAL_POOLS, "Flatten",
    "Reshape", "ZeroPadding1D", "ZeroPadding2D",
)  # fmt: skip
#: at the end of a network only, left to the host
HOST_ACTIVATIONS = ("softmax", "sigmoid")

#: what a layer with float weights becomes
QUANTIZED = {
    "Dense": "QDense", "Conv1D": "QConv1D", "Conv2D": "QConv2D", "DepthwiseConv2D": "QDepthwiseConv2D",
    "SeparableConv1D": "QSeparableConv1D", "SeparableConv2D": "QSeparableConv2D",
}  # fmt: skip
RANDOM = ("bernoulli", "stochastic_binary", "stochastic_ternary")
CODE = ("Lambda", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty")


def check_network(config: dict) -> None:
    """Raises one FlowError that names every layer that cannot be deployed, and what to write instead.

    Args:
        config: of a functional or sequential model.
    """
    layers = config["layers"]
    outputs = output_names(config)
    unknown, problems = [], []
    for entry in layers:
        name, kind = entry["config"].get("name", "a layer"), entry["class_name"]
        if kind in QUANTIZED:
            problems.append(_float(name, kind, QUANTIZED[kind]))
        elif kind in CODE:
            problems.append(f"{name} ({kind}) is code, which a file may not bring; write it with the supported layers")
        elif kind not in SUPPORTED and not is_host(entry, outputs):
            unknown.append(f"{name} ({kind})")
        else:
            problems += _layer_problems(name, kind, entry, outputs)
    if unknown:
        problems.insert(0, f"unsupported layers: {', '.join(unknown)}; supported: {', '.join(sorted(SUPPORTED))}")
    if problems:
        raise FlowError("; ".join(problems))


def output_names(config: dict) -> list[str]:
    """The layers whose outputs are the network's."""
    if "output_layers" not in config:
        return [config["layers"][-1]["config"].get("name", "")]
    outputs = config["output_layers"]
    # a single output may be written without the list around it
    return [outputs[0]] if outputs and isinstance(outputs[0], str) else [entry[0] for entry in outputs]


def is_host(entry: dict, outputs: list[str]) -> bool:
    """A softmax or sigmoid at the end is left out: the logits are what is deployed and compared."""
    if entry["config"].get("name") not in outputs:
        return False
    return entry["class_name"] == "Softmax" or (
        entry["class_name"] in ("Activation", "QActivation") and entry["config"].get("activation") in HOST_ACTIVATIONS
    )


def quantizer_name(value: Any) -> str | None:
    """The class or function that a quantizer or activation is, however it is written; None for none."""
    if value is None:
        return None
    if isinstance(value, str):
        return re.split(r"\(", value.strip(), maxsplit=1)[0]
    if isinstance(value, dict):
        inner, kind = value.get("config"), value.get("class_name")
        return inner if kind == "function" and isinstance(inner, str) else kind and kind.removeprefix("flow>")
    return getattr(value, "__name__", type(value).__name__)


def _layer_problems(name: str, kind: str, entry: dict, outputs: list[str]) -> Iterator[str]:
    config = entry["config"]
    if config.get("data_format") == "channels_first":
        yield f"{name}: channels come first; only channels_last is supported"
    if kind in CONVOLUTIONS and (_other_than_one(config.get("dilation_rate")) or config.get("groups", 1) != 1):
        yield f"{name}: only convolutions without dilation and groups are supported"
    if kind in POOLS:
        yield from _pool_problems(name, config)
    if kind in WEIGHTED:
        for key in (key for key in config if key.endswith("_quantizer")):
            if config[key] is None and key != "bias_quantizer":
                yield _float(name, kind, kind, key)
            if key == "bias_quantizer" or quantizer_name(config[key]) != POWERS_OF_TWO:
                yield from _quantizer_problems(name, config[key])
    if kind in (*WEIGHTED, "QActivation", "Activation") and not is_host(entry, outputs):
        yield from _activation_problems(name, kind, config.get("activation"), name in outputs)


def _float(name: str, kind: str, wanted: str, key: str = "kernel_quantizer") -> str:
    if wanted == "QDepthwiseConv2D" and key == "kernel_quantizer":
        key = "depthwise_quantizer"
    if wanted in ("QSeparableConv1D", "QSeparableConv2D") and key == "kernel_quantizer":
        key = "depthwise_quantizer and pointwise_quantizer"
    return f"{name} ({kind}): has no kernel quantizer; use {wanted}(..., {key}=quantized_bits(bits, 0, alpha=1))"


def _other_than_one(value: Any) -> bool:
    return value is not None and any(v != 1 for v in (value if isinstance(value, (list, tuple)) else [value]))


def _pool_problems(name: str, config: dict) -> Iterator[str]:
    size, strides = (
        tuple(v) if isinstance(v, (list, tuple)) else (v,) for v in (config["pool_size"], config.get("strides"))
    )
    if strides != (None,) and strides != size and len(set(strides + size)) > 1:
        yield f"{name}: pooling needs strides equal to pool_size, and they are {strides} and {size}"


def _quantizer_problems(name: str, value: Any) -> Iterator[str]:
    found = quantizer_name(value)
    if found in RANDOM:
        yield f"{name}: {found} draws at random, so that no two runs agree; train with binary or ternary instead"
    elif found is not None and found not in (*QUANTIZERS, "WideBits", "WideBinary"):
        yield f"{name}: quantizer {found} is not supported; supported: {', '.join(QUANTIZERS)}"


def _activation_problems(name: str, kind: str, value: Any, last: bool) -> Iterator[str]:
    found = quantizer_name(value)
    if found in (None, "linear", "relu") or (last and found in HOST_ACTIVATIONS):
        return
    if found in ("relu6", "tanh", "sigmoid", "softmax", "elu", "selu", "gelu", "swish", "softplus", "exponential"):
        yield f"{name}: activation {found} is not supported; relu or a QKeras quantizer ({', '.join(QUANTIZERS)}) is"
        return
    yield from _quantizer_problems(name, value)
