"""Walks a trained Keras graph and builds the deployed twin.

A table of small handlers, one per kind of layer. Each takes a `Value` per input, an exact integer tensor and what is
still pending on it (bias, batch normalization, rectifier), and gives the `Value` of its output. A quantizer ends what
is pending: `Threshold` up to 5 bits, `Requantize` for 6 to 8, where 255 thresholds a channel would cost too much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import Grid, read_grid, weight_codes
from flow.fold.rescale import find_rescale
from flow.fold.steps import Affine, Chain, Clamp, find_steps
from flow.keras_env import keras, qkeras
from flow.twin.layers import Requantize, Threshold, WideBinary, WideBits
from flow.twin.twin import INPUT_FRACTION_BITS, Folded, Twin

#: widest code that thresholds make; wider ones are rescaled
MAX_THRESHOLD_BITS = 5
#: share of the reachable integers on which a rescale may differ from what was trained; beyond it (a rectifier that
#: clips inside the range of the codes is no affine map) thresholds are taken at any width
MAX_DIFFERING = 1e-4
MAX_ACTIVATION_BITS = 8
MAX_WEIGHT_BITS = 8

#: hls4ml reserves the name "input" for itself
INPUT_NAME = "image"

#: integers up to here are exact in float32
EXACT_FLOAT32 = 1 << 24


@dataclass(frozen=True)
class Value:
    """A tensor of the twin.

    Attributes:
        tensor: Keras tensor; real value = integer * 2**-fraction_bits.
        low, high: int64 (C,), the reachable integers of each channel.
        chain: what the trained network does to it before the next quantizer.
        source: name of the trained layer, for messages.
    """

    tensor: Any
    low: np.ndarray
    high: np.ndarray
    chain: Chain
    source: str

    @property
    def fraction_bits(self) -> int:
        return self.chain.fraction_bits

    @property
    def magnitude(self) -> int:
        return int(max(-self.low.min(), self.high.max()))

    @property
    def dtype(self) -> str:
        """The narrowest float type that holds every integer (and one more on each side, as thresholds may be)."""
        return _float_type(self.magnitude + 1)


def _float_type(magnitude: int) -> str:
    return "float32" if magnitude <= EXACT_FLOAT32 else "float64"


def fold_network(model: keras.Model) -> Twin:
    """The deployed twin of a trained network.

    Args:
        model: a functional or sequential tf_keras model from code / 256 to logits.

    Raises:
        FlowError: a layer or quantizer that has no exact integer form; all unsupported kinds of layer are named.
    """
    return _Fold(model).run()


class _Fold:
    """One run over one model."""

    def __init__(self, model: keras.Model) -> None:
        config = model.get_config()
        self.model = model
        self.layers: list[dict] = config["layers"]
        self.activations: list[Folded] = []
        self.sources: dict[str, list[str]] = {}
        previous: str | None = None
        for entry in self.layers:
            name = entry["config"]["name"]
            nodes = entry.get("inbound_nodes")
            if nodes is None:  # a Sequential model is a chain
                self.sources[name] = [previous] if previous else []
            elif len(nodes) > 1:
                raise FlowError(
                    f"{name}: a layer that is used {len(nodes)} times is not supported; give each use its own"
                )
            else:
                self.sources[name] = [tensor[0] for tensor in nodes[0]] if nodes else []
            previous = name
        self.outputs = [entry[0] for entry in config["output_layers"]] if "output_layers" in config else [previous]
        self._check_kinds()

    def _check_kinds(self) -> None:
        unknown = [
            f"{entry['config']['name']} ({entry['class_name']})"
            for entry in self.layers
            if entry["class_name"] not in HANDLERS and not self._is_softmax(entry)
        ]
        if unknown:
            raise FlowError(f"unsupported layers: {', '.join(unknown)}; supported: {', '.join(sorted(HANDLERS))}")
        inputs = [entry["config"]["name"] for entry in self.layers if entry["class_name"] == "InputLayer"]
        if len(inputs) != 1:
            raise FlowError(f"the network has {len(inputs)} inputs ({', '.join(inputs)}); exactly one is supported")
        self.input = inputs[0]
        if len(self.outputs) != 1:
            raise FlowError(
                f"the network has {len(self.outputs)} outputs ({', '.join(self.outputs)}); one is supported"
            )

    def _is_softmax(self, entry: dict) -> bool:
        """A softmax at the end is left out: the logits are what is deployed and compared."""
        if entry["config"]["name"] not in self.outputs:
            return False
        return entry["class_name"] == "Softmax" or (
            entry["config"].get("activation") == "softmax" and not _has_weights(entry)
        )

    def run(self) -> Twin:
        values: dict[str, Value] = {}
        for entry in self.layers:
            name = entry["config"]["name"]
            inputs = [values[source] for source in self.sources[name]]
            if self._is_softmax(entry):
                values[name] = inputs[0]
            else:
                values[name] = HANDLERS[entry["class_name"]](self, self._layer(entry), *inputs)
        final = codes(values[self.outputs[0]], "the output")
        twin = keras.Model(values[self.input].tensor, final.tensor, name=f"{self.model.name}_twin")
        return Twin(twin, final.fraction_bits, tuple(self.activations))

    def _layer(self, entry: dict) -> Any:
        """The layer object; a Sequential model does not hand out its input layer, whose shape is the model's own."""
        return self.model if entry["class_name"] == "InputLayer" else self.model.get_layer(entry["config"]["name"])

    def quantized_later(self, name: str) -> bool:
        """Whether every use of a layer's output ends in a quantizer that can absorb a bias."""
        readers = [entry for entry in self.layers if name in self.sources[entry["config"]["name"]]]
        if name in self.outputs or not readers:
            return False
        return all(
            entry["class_name"] == "QActivation"
            or (entry["class_name"] in _ABSORBED and self.quantized_later(entry["config"]["name"]))
            for entry in readers
        )

    def quantize(self, name: str, value: Value, grid: Grid) -> Value:
        """Ends what is pending on `value` with the twin's layer `name`."""
        if grid.binary or not 1 <= grid.bits <= MAX_ACTIVATION_BITS:
            raise FlowError(f"{name}: activations have 1 to {MAX_ACTIVATION_BITS} bits and no binary quantizer")
        if grid.bits > MAX_THRESHOLD_BITS and grid.low == -grid.high:
            raise FlowError(f"{name}: a symmetric quantizer of {grid.bits} bits is not supported; use symmetric=0")
        steps = find_steps(value.chain, grid, value.low, value.high)
        shared = {
            "input_fraction_bits": value.fraction_bits,
            "output_fraction_bits": grid.fraction_bits,
            "bits": grid.bits,
            "signed": grid.signed,
            "dtype": value.dtype,
            "name": name,
        }
        rescale = find_rescale(value.chain, steps) if grid.bits > MAX_THRESHOLD_BITS else None
        if rescale is None or rescale.differing > MAX_DIFFERING * (value.high - value.low + 1).sum():
            layer = Threshold(count=grid.high - grid.low, offset=grid.low, **shared)
            weights = [steps.thresholds, steps.flip.astype(np.int64)]
            differing = 0
        else:
            layer = Requantize(shift=rescale.shift, ties_to_even=rescale.ties_to_even, **shared)
            weights = [rescale.multiplier, rescale.bias]
            differing = rescale.differing
        tensor = layer(value.tensor)
        layer.set_weights(weights)
        self.activations.append(Folded(name, type(layer).__name__.lower(), grid.bits, differing))
        channels = len(value.low)
        return Value(tensor, np.full(channels, grid.low), np.full(channels, grid.high), Chain(grid.fraction_bits), name)


def codes(value: Value, reader: str) -> Value:
    """`value`, which must have nothing pending."""
    if value.chain.operations:
        raise FlowError(
            f"{reader} reads {value.source}, which no quantizer follows; "
            "put a QActivation (quantized_relu or quantized_bits) behind it"
        )
    return value


# -- inputs ------------------------------------------------------------------------------------------------------------


def _input(fold: _Fold, model: Any) -> Value:
    shape = model.input_shape[1:]
    if len(shape) not in (1, 3) or None in shape:
        raise FlowError(
            f"{model.name}: the input has shape {shape}; (height, width, channels) or (channels,) are supported"
        )
    tensor = keras.layers.Input(shape, name=INPUT_NAME, dtype="float32")
    channels = shape[-1]
    return Value(tensor, np.zeros(channels, np.int64), np.full(channels, 255), Chain(INPUT_FRACTION_BITS), INPUT_NAME)


# -- weights -----------------------------------------------------------------------------------------------------------


def _weights(layer: Any) -> tuple[Grid, np.ndarray]:
    """The kernel as the layer itself quantizes it, as integers."""
    if layer.kernel_quantizer_internal is None:
        raise FlowError(f"{layer.name}: has no kernel quantizer; use quantized_bits(..., alpha=1) or binary(alpha=1)")
    grid = read_grid(layer.name, layer.kernel_quantizer_internal)
    if not grid.signed or grid.bits > MAX_WEIGHT_BITS:
        raise FlowError(f"{layer.name}: weights are signed and have 1 to {MAX_WEIGHT_BITS} bits")
    return grid, weight_codes(layer.name, grid, layer.kernel_quantizer_internal(layer.kernel).numpy())


def _bias(layer: Any) -> np.ndarray | None:
    """The trained bias, float64, exactly on its quantizer's grid where it has one."""
    if not layer.use_bias:
        return None
    quantizer = layer.bias_quantizer_internal
    if quantizer is None:
        return layer.bias.numpy().astype(np.float64)
    grid = read_grid(layer.name, quantizer)
    return np.ldexp(
        weight_codes(layer.name, grid, quantizer(layer.bias).numpy()).astype(np.float64), -grid.fraction_bits
    )


def _inline_activation(layer: Any) -> Any:
    """A QKeras layer's own `activation`: None, "relu", or a quantizer."""
    activation = layer.activation
    name = getattr(activation, "__name__", None)
    if activation is None or name == "linear":
        return None
    if name == "relu":
        return "relu"
    if name is not None:
        raise FlowError(f"{layer.name}: activation {name} is not supported; relu or a QKeras quantizer are")
    return activation


def _twin_quantizer(grid: Grid, dtype: str) -> Any:
    """A fresh weight quantizer with the same grid, in the layer's float type."""
    if grid.binary:
        return (qkeras.binary if dtype == "float32" else WideBinary)(alpha=1)
    kind = qkeras.quantized_bits if dtype == "float32" else WideBits
    symmetric = int(grid.low == -grid.high)
    return kind(grid.bits, grid.bits - 1 - grid.fraction_bits, symmetric=symmetric, keep_negative=1, alpha=1)


def _matvec(fold: _Fold, layer: Any, value: Value, make: Callable[..., Any]) -> Value:
    """What convolution and dense layers share: weights on their grid, bias pending or in the accumulator.

    Args:
        make: makes the twin's layer from keyword arguments.
    """
    value = codes(value, layer.name)
    grid, kernel = _weights(layer)
    bias = _bias(layer)
    activation = _inline_activation(layer)
    fraction_bits = value.fraction_bits + grid.fraction_bits

    rows = kernel.reshape(-1, len(value.low), kernel.shape[-1])
    # a window may hang over the zero padding, so that 0 is always among the inputs
    low_in, high_in = np.minimum(value.low, 0)[:, None], np.maximum(value.high, 0)[:, None]
    low = np.minimum(rows * low_in, rows * high_in).sum(axis=(0, 1))
    high = np.maximum(rows * low_in, rows * high_in).sum(axis=(0, 1))

    chain = Chain(fraction_bits)
    inside = None
    if bias is not None:
        if activation is not None or fold.quantized_later(layer.name):
            chain = chain.then(Affine(np.float64(0), np.float64(1), bias))
        else:
            inside = np.ldexp(bias, fraction_bits)
            if not np.array_equal(inside, np.rint(inside)):
                raise FlowError(
                    f"{layer.name}: its bias is finer than its accumulator's grid, 2**-{fraction_bits}; give it "
                    f"bias_quantizer=quantized_bits(b, i, alpha=1) with b - i - 1 <= {fraction_bits}"
                )
            low, high = low + inside.astype(np.int64), high + inside.astype(np.int64)
    dtype = _float_type(int(np.maximum(-low, high).max()))
    twin_layer = make(
        use_bias=inside is not None, kernel_quantizer=_twin_quantizer(grid, dtype), dtype=dtype, name=layer.name
    )
    tensor = twin_layer(value.tensor)
    real = np.ldexp(kernel.astype(np.float64), -grid.fraction_bits)
    twin_layer.set_weights([real] if inside is None else [real, bias])
    result = Value(tensor, low, high, chain, layer.name)
    return result if activation is None else _activate(fold, f"{layer.name}_act", result, activation)


def _conv(fold: _Fold, layer: Any, value: Value) -> Value:
    if layer.data_format != "channels_last" or tuple(layer.dilation_rate) != (1, 1) or getattr(layer, "groups", 1) != 1:
        raise FlowError(f"{layer.name}: only channels_last convolutions without dilation and groups are supported")

    def make(**kwargs: Any) -> Any:
        return qkeras.QConv2D(layer.filters, layer.kernel_size, strides=layer.strides, padding=layer.padding, **kwargs)

    return _matvec(fold, layer, value, make)


def _dense(fold: _Fold, layer: Any, value: Value) -> Value:
    if len(layer.input_shape) != 2:
        raise FlowError(f"{layer.name}: a dense layer reads a vector; put Flatten before it")
    return _matvec(fold, layer, value, lambda **kwargs: qkeras.QDense(layer.units, **kwargs))


# -- what is pending ---------------------------------------------------------------------------------------------------


def _batchnorm(fold: _Fold, layer: Any, value: Value) -> Value:
    """y = (x - mean) * (gamma / sqrt(variance + epsilon)) + beta, in float64 from the stored float32."""
    axis = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axis not in ([-1], [len(layer.input_shape) - 1]):
        raise FlowError(f"{layer.name}: normalizes axis {axis}; only the channels, which come last, are supported")
    mean = layer.moving_mean.numpy().astype(np.float64)
    variance = layer.moving_variance.numpy().astype(np.float64)
    gamma = layer.gamma.numpy().astype(np.float64) if layer.scale else np.ones_like(mean)
    beta = layer.beta.numpy().astype(np.float64) if layer.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    if not (np.isfinite(scale).all() and np.isfinite(mean).all() and np.isfinite(beta).all()):
        raise FlowError(f"{layer.name}: its statistics are not finite; the training diverged")
    return replace(value, chain=value.chain.then(Affine(mean, scale, beta)), source=layer.name)


def _activate(fold: _Fold, name: str, value: Value, activation: Any) -> Value:
    """`activation` is "relu" or a quantizer object."""
    if activation == "relu":
        return replace(value, chain=value.chain.then(Clamp()), source=name)
    return fold.quantize(name, value, read_grid(name, activation))


def _qactivation(fold: _Fold, layer: Any, value: Value) -> Value:
    quantizer = layer.quantizer if hasattr(layer, "quantizer") else layer.activation
    return _activate(fold, layer.name, value, quantizer)


def _activation(fold: _Fold, layer: Any, value: Value) -> Value:
    kind = layer.activation.__name__
    if kind == "linear":
        return value
    if kind != "relu":
        raise FlowError(f"{layer.name}: activation {kind} is not supported; relu before a quantizer is")
    return _activate(fold, layer.name, value, "relu")


def _relu(fold: _Fold, layer: Any, value: Value) -> Value:
    if float(layer.negative_slope) != 0.0 or float(layer.threshold) != 0.0:
        raise FlowError(f"{layer.name}: only a ReLU without negative_slope and threshold is supported")
    ceiling = np.inf if layer.max_value is None else float(layer.max_value)
    return replace(value, chain=value.chain.then(Clamp(ceiling)), source=layer.name)


def _dropout(fold: _Fold, layer: Any, value: Value) -> Value:
    return value


# -- between integers --------------------------------------------------------------------------------------------------


def _add(fold: _Fold, layer: Any, *values: Value) -> Value:
    if len(values) != 2:
        raise FlowError(f"{layer.name}: adds {len(values)} tensors; two are supported")
    a, b = (codes(value, layer.name) for value in values)
    if a.fraction_bits != b.fraction_bits:
        raise FlowError(
            f"{layer.name}: its operands have steps 2**{-a.fraction_bits} ({a.source}) and 2**{-b.fraction_bits} "
            f"({b.source}); both quantizers need the same step"
        )
    low, high = a.low + b.low, a.high + b.high
    dtype = _float_type(int(max(-low.min(), high.max())))
    tensor = keras.layers.Add(name=layer.name, dtype=dtype)([a.tensor, b.tensor])
    return Value(tensor, low, high, Chain(a.fraction_bits), layer.name)


def _check_pool(layer: Any) -> tuple[int, int]:
    """The window, which must tile its input."""
    size, height, width = tuple(layer.pool_size), layer.input_shape[1], layer.input_shape[2]
    if layer.data_format != "channels_last" or tuple(layer.strides) != size:
        raise FlowError(f"{layer.name}: pooling needs channels_last and strides equal to pool_size")
    if height % size[0] or width % size[1]:
        raise FlowError(f"{layer.name}: pool_size {size} does not divide the {height}x{width} input")
    return size


def _max_pool(fold: _Fold, layer: Any, value: Value) -> Value:
    value = codes(value, layer.name)
    pool = keras.layers.MaxPooling2D(_check_pool(layer), name=layer.name, dtype=value.dtype)
    return replace(value, tensor=pool(value.tensor), source=layer.name)


def _average(name: str, size: tuple[int, int], value: Value) -> Value:
    """An exact sum whose grid is finer by the size of the window."""
    area = prod(size)
    if area & (area - 1):
        raise FlowError(f"{name}: averages {area} values; only powers of two are exact")
    value = codes(value, name)
    low, high = value.low * area, value.high * area
    dtype = _float_type(int(max(-low.min(), high.max())))
    tensor = keras.layers.AveragePooling2D(size, name=name, dtype=dtype)(value.tensor)
    return Value(tensor, low, high, Chain(value.fraction_bits + area.bit_length() - 1), name)


def _average_pool(fold: _Fold, layer: Any, value: Value) -> Value:
    return _average(layer.name, _check_pool(layer), value)


def _global_average_pool(fold: _Fold, layer: Any, value: Value) -> Value:
    pooled = _average(layer.name, tuple(layer.input_shape[1:3]), value)
    return pooled if layer.keepdims else _to_vector(f"{layer.name}_flatten", pooled)


def _to_vector(name: str, value: Value) -> Value:
    pixels = prod(value.tensor.shape[1:-1])
    tensor = keras.layers.Flatten(name=name, dtype=value.dtype)(value.tensor)
    return replace(value, tensor=tensor, low=np.tile(value.low, pixels), high=np.tile(value.high, pixels), source=name)


def _flatten(fold: _Fold, layer: Any, value: Value) -> Value:
    return _to_vector(layer.name, codes(value, layer.name))


def _zero_pad(fold: _Fold, layer: Any, value: Value) -> Value:
    value = codes(value, layer.name)
    pad = keras.layers.ZeroPadding2D(layer.padding, name=layer.name, dtype=value.dtype)
    low, high = np.minimum(value.low, 0), np.maximum(value.high, 0)
    return replace(value, tensor=pad(value.tensor), low=low, high=high, source=layer.name)


#: every kind of layer that the fold knows, by its Keras class
HANDLERS: dict[str, Callable[..., Value]] = {
    "InputLayer": _input,
    "QConv2D": _conv,
    "QDense": _dense,
    "BatchNormalization": _batchnorm,
    "QActivation": _qactivation,
    "Activation": _activation,
    "ReLU": _relu,
    "Dropout": _dropout,
    "Add": _add,
    "MaxPooling2D": _max_pool,
    "AveragePooling2D": _average_pool,
    "GlobalAveragePooling2D": _global_average_pool,
    "Flatten": _flatten,
    "ZeroPadding2D": _zero_pad,
}

#: layers that leave a bias pending
_ABSORBED = {"BatchNormalization", "Activation", "ReLU", "Dropout"}


def _has_weights(entry: dict) -> bool:
    return entry["class_name"] in ("QConv2D", "QDense")
