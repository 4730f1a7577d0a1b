"""Handlers of layers with weights: integers on their grid, a scale of their own and a bias pending or taken in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.errors import FlowError
from flow.fold.grids import POWERS_OF_TWO, Grid, code_grid, has_scale, read_grid, weight_codes
from flow.fold.pending import activate
from flow.fold.steps import Affine, Chain, Step
from flow.fold.value import Value, float_type, integers_and_step
from flow.ir.geometry import NO_PADDING, same_padding
from flow.ir.types import MAX_WEIGHT_BITS, signed_width
from flow.keras_env import keras, qkeras
from flow.twin.layers import Depthwise, WideBinary, WideBits

if TYPE_CHECKING:
    from flow.fold.network import Fold

#: wider grids are cut to what a layer's weights use
USUAL_WEIGHT_BITS = 8


@dataclass(frozen=True)
class Kernel:
    """Weights as integers: real weight = code * 2**-grid.fraction_bits * scale.

    Attributes:
        codes: int64, output channels last.
        scale: float64 (outputs,), or None for 1.
    """

    grid: Grid
    codes: np.ndarray
    scale: np.ndarray | None

    @property
    def real(self) -> np.ndarray:
        """The twin's weights: without the scale."""
        return np.ldexp(self.codes.astype(np.float64), -self.grid.fraction_bits)


def read_kernel(name: str, quantizer: Any, values: Any, outputs_last: int = 1) -> Kernel:
    """The weights as the layer itself quantizes them.

    Args:
        quantizer: the layer's own, an object.
        values: latent weights, a Keras variable or tensor.
        outputs_last: trailing axes that number the outputs, 2 for a depthwise kernel.

    Raises:
        FlowError: no quantizer, one that has no integers, or a weight off its grid.
    """
    if quantizer is None:
        raise FlowError(f"{name}: has no kernel quantizer; use quantized_bits(..., alpha=1) or binary(alpha=1)")
    if type(quantizer).__name__ == POWERS_OF_TWO:
        return _powers_of_two(name, np.asarray(quantizer(values), dtype=np.float64))
    grid = code_grid(name, quantizer)
    if not grid.signed:
        raise FlowError(f"{name}: weights are signed; give its quantizer keep_negative=True")
    quantized = np.asarray(quantizer(values), dtype=np.float64)
    if not has_scale(quantizer):
        return _narrowed(name, Kernel(grid, weight_codes(name, grid, quantized), None))
    scale = np.broadcast_to(np.asarray(quantizer.scale, dtype=np.float64), quantized.shape)
    flat = scale.reshape(-1, int(np.prod(quantized.shape[-outputs_last:])))
    if not np.array_equal(flat, np.broadcast_to(flat[:1], flat.shape)):
        raise FlowError(f"{name}: the scale of its weights (alpha) differs inside an output channel")
    # a filter of zeros may have a scale of zero, whose codes do not matter
    unscaled = np.divide(quantized, scale, out=np.full_like(quantized, float(grid.binary)), where=scale != 0)
    return _normalized(_narrowed(name, Kernel(grid, weight_codes(name, grid, unscaled), flat[0].copy())))


def _narrowed(name: str, kernel: Kernel) -> Kernel:
    """Wide weights in as many bits as they use; the grid's step stays."""
    if kernel.grid.bits <= USUAL_WEIGHT_BITS:
        return kernel
    bits = max(signed_width(int(kernel.codes.min()), int(kernel.codes.max())), 2)
    if bits > MAX_WEIGHT_BITS:
        raise FlowError(f"{name}: its weights need {bits} bits, and at most {MAX_WEIGHT_BITS} are supported")
    magnitude = 1 << (bits - 1)
    return replace(kernel, grid=replace(kernel.grid, bits=bits, low=-magnitude, high=magnitude - 1))


def _powers_of_two(name: str, quantized: np.ndarray) -> Kernel:
    """Weights that are signed powers of two, as integers whose step is the least of them."""
    exponents = np.rint(np.log2(np.abs(quantized))).astype(np.int64)
    # the straight-through sum leaves a float32 rounding error, as in `weight_codes`
    if not np.allclose(np.abs(quantized), np.ldexp(1.0, exponents), rtol=1e-3, atol=0):
        raise FlowError(f"{name}: its weights are no powers of two (qnoise_factor must be 1 for a trained network)")
    least = int(exponents.min())
    span = int(exponents.max()) - least
    if span + 2 > MAX_WEIGHT_BITS:
        raise FlowError(
            f"{name}: its weights are powers of two from 2^{least} to 2^{exponents.max()}, which are integers of "
            f"{span + 2} bits, and weights have up to {MAX_WEIGHT_BITS}; give quantized_po2 fewer bits"
        )
    shifted = np.sign(quantized).astype(np.int64) << (exponents - least)
    return _narrowed(name, Kernel(Grid(span + 2, -least, True, -(2 << span), (2 << span) - 1), shifted, None))


def _normalized(kernel: Kernel) -> Kernel:
    """One power of two for all channels is the grid's own."""
    mantissa, exponent = np.frexp(kernel.scale)
    if np.all(mantissa == 0.5) and np.all(exponent == exponent[0]):
        grid = replace(kernel.grid, fraction_bits=kernel.grid.fraction_bits - int(exponent[0] - 1))
        return Kernel(grid, kernel.codes, None)
    return kernel


def _taken_in(name: str, kernel: Kernel) -> Kernel:
    """Powers of two that differ by channel, which nothing behind takes: into the weights, if they hold them."""
    mantissa, exponent = np.frexp(kernel.scale)
    if np.all(mantissa == 0.5):
        shift = exponent - exponent.min()
        shifted = (kernel.codes.reshape(-1, len(shift)) << shift).reshape(kernel.codes.shape)
        bits = max(signed_width(int(shifted.min()), int(shifted.max())), 2)
        if bits <= MAX_WEIGHT_BITS:
            fraction_bits = kernel.grid.fraction_bits - int(exponent.min() - 1)
            magnitude = 1 << (bits - 1)
            return Kernel(Grid(bits, fraction_bits, True, -magnitude, magnitude - 1), shifted, None)
    raise FlowError(
        f"{name}: its weights have a scale for each channel (alpha), and nothing behind it can take that; "
        "put a QActivation behind it, or train it with alpha=1"
    )


def read_bias(layer: Any) -> np.ndarray | None:
    """The trained bias, float64, exactly on its quantizer's grid where it has one."""
    return quantized_bias(layer.name, layer.bias_quantizer_internal, layer.bias) if layer.use_bias else None


def quantized_bias(name: str, quantizer: Any, bias: Any) -> np.ndarray:
    """A bias as its quantizer, if there is one, makes it."""
    if quantizer is None:
        return np.asarray(bias, dtype=np.float64)
    if has_scale(quantizer) and isinstance(quantizer.alpha, str):
        return np.asarray(quantizer(bias), dtype=np.float64)
    grid = read_grid(name, quantizer)
    return np.ldexp(weight_codes(name, grid, quantizer(bias)).astype(np.float64), -grid.fraction_bits)


def _inline_activation(fold: Fold, layer: Any) -> Any:
    """A QKeras layer's own `activation`: None, "relu", or a quantizer."""
    activation = layer.activation
    name = getattr(activation, "__name__", None)
    if activation is None or name == "linear" or (name == "softmax" and layer.name in fold.outputs):
        return None
    if name == "relu":
        return "relu"
    if name is not None:
        raise FlowError(f"{layer.name}: activation {name} is not supported; relu or a QKeras quantizer are")
    return activation


def twin_quantizer(grid: Grid, dtype: str) -> Any:
    """A fresh weight quantizer with the same grid, in the layer's float type."""
    if grid.binary:
        if grid.fraction_bits == 0:
            return (qkeras.binary if dtype == "float32" else WideBinary)(alpha=1)
        # -1 and +1 times a power of two: two bits, whose middle is not used
        grid = Grid(2, grid.fraction_bits, True, -1, 1)
    integer = grid.bits - 1 - grid.fraction_bits
    kind = qkeras.quantized_bits if dtype == "float32" and integer >= 0 else WideBits
    return kind(grid.bits, integer, symmetric=int(grid.low == -grid.high), keep_negative=1, alpha=1)


def _reach(kernel: np.ndarray, value: Value) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest sum of each output; 0 is among the inputs, as a window may hang over the padding.

    Args:
        kernel: (..., C, outputs), or depthwise (..., C, multiplier) with `C * multiplier` outputs.
    """
    low_in, high_in = np.minimum(value.low, 0)[:, None], np.maximum(value.high, 0)[:, None]
    rows = kernel.reshape(-1, len(value.low), kernel.shape[-1])
    low, high = np.minimum(rows * low_in, rows * high_in), np.maximum(rows * low_in, rows * high_in)
    return low.sum(axis=0), high.sum(axis=0)


@dataclass(frozen=True)
class _AllChannels:
    """Every output sums over all channels.

    Attributes:
        make: makes the twin's QKeras layer from the quantizer and further keyword arguments.
    """

    make: Callable[..., Any]

    def reach(self, kernel: np.ndarray, value: Value) -> tuple[np.ndarray, np.ndarray]:
        low, high = _reach(kernel, value)
        return low.sum(axis=0), high.sum(axis=0)

    def place(self, value: Value, kernel: Kernel, bias: np.ndarray | None, result: Value, name: str) -> Any:
        """The tensor of the twin's layer; `bias` is an integer on the grid of `result`, or None."""
        dtype = float_type(result.magnitude)
        layer = self.make(twin_quantizer(kernel.grid, dtype), use_bias=bias is not None, dtype=dtype, name=name)
        tensor = layer(value.tensor)
        reals = [] if bias is None else [np.ldexp(bias.astype(np.float64), -result.fraction_bits)]
        layer.set_weights([kernel.real, *reals])
        return tensor


@dataclass(frozen=True)
class _OneChannel:
    """Every output sums over one channel.

    Attributes:
        stride: rows and columns.
        padding: "same" or "valid".
    """

    stride: tuple[int, int]
    padding: str

    def reach(self, kernel: np.ndarray, value: Value) -> tuple[np.ndarray, np.ndarray]:
        low, high = _reach(kernel, value)
        return low.ravel(), high.ravel()

    def place(self, value: Value, kernel: Kernel, bias: np.ndarray | None, result: Value, name: str) -> Any:
        height, width, _, multiplier = kernel.codes.shape
        low, high = int(min(result.low.min(), 0)), int(max(result.high.max(), 0))
        padded = self.padding == "same"
        padding = same_padding(value.shape[:2], (height, width), self.stride) if padded else NO_PADDING
        layer = Depthwise(
            size=(height, width), stride=self.stride, padding=padding, multiplier=multiplier,
            weight_bits=kernel.grid.bits, binary=kernel.grid.binary, input_fraction_bits=value.fraction_bits,
            output_fraction_bits=result.fraction_bits, bits=signed_width(low, high), signed=True,
            dtype=float_type(result.magnitude), name=name,
        )  # fmt: skip
        tensor = layer(value.tensor)
        layer.set_weights([kernel.codes, np.zeros(len(result.low), np.int64) if bias is None else bias])
        return tensor


def linear(
    fold: Fold, layer: Any, value: Value, kernel: Kernel, bias: np.ndarray | None, form: _AllChannels | _OneChannel,
    activation: Any = None, part: str = "",
) -> Value:  # fmt: skip
    """What all these layers share.

    Args:
        kernel: in the twin's shape.
        bias: float64 (outputs,), or None.
        form: which inputs an output sums over, and how the twin's layer is made.
        activation: "relu", a quantizer, or None.
        part: suffix of the name where this is the first half of a layer, whose result the second half reads.
    """
    value, step = integers_and_step(value, layer.name)
    absorbed = activation is not None or (not part and fold.quantized_later(layer.name))
    if step is not None and not (absorbed or part):
        raise FlowError(
            f"{layer.name}: reads levels with a learned step, and no quantizer follows that could take it in; "
            "give the N2UQActivation in front of it an output_exponent, in training too"
        )
    if kernel.scale is not None and not absorbed:
        kernel = _taken_in(layer.name, kernel)
    fraction_bits = value.fraction_bits + kernel.grid.fraction_bits
    low, high = form.reach(kernel.codes, value)

    chain, inside = Chain(fraction_bits), None
    if part and step is not None:
        chain = chain.then(Step(step))
    if absorbed and (bias is not None or kernel.scale is not None or step is not None):
        scale = (np.float64(1) if kernel.scale is None else kernel.scale) * (1.0 if step is None else step)
        chain = chain.then(Affine(np.float64(0), scale, np.float64(0) if bias is None else bias))
    elif bias is not None:
        inside = np.ldexp(bias, fraction_bits)
        if not np.array_equal(inside, np.rint(inside)):
            raise FlowError(
                f"{layer.name}: its bias is finer than its accumulator's grid, 2**-{fraction_bits}; give it "
                f"bias_quantizer=quantized_bits(b, i, alpha=1) with b - i - 1 <= {fraction_bits}"
            )
        inside = inside.astype(np.int64)
        low, high = low + inside, high + inside
    result = Value(None, low, high, chain, layer.name)
    result = replace(result, tensor=form.place(value, kernel, inside, result, fold.name(layer.name + part)))
    return result if activation is None else activate(fold, f"{layer.name}_act", layer.name, result, activation)


# -- handlers ----------------------------------------------------------------------------------------------------------


def _convolution(filters: int, size: Any, strides: Any, padding: str) -> _AllChannels:
    def make(quantizer: Any, **kwargs: Any) -> Any:
        return qkeras.QConv2D(filters, size, strides=strides, padding=padding, kernel_quantizer=quantizer, **kwargs)

    return _AllChannels(make)


def conv_2d(fold: Fold, layer: Any, value: Value) -> Value:
    kernel = read_kernel(layer.name, layer.kernel_quantizer_internal, layer.kernel)
    form = _convolution(layer.filters, layer.kernel_size, layer.strides, layer.padding)
    return linear(fold, layer, value, kernel, read_bias(layer), form, _inline_activation(fold, layer))


def conv_2d_batchnorm(fold: Fold, layer: Any, value: Value) -> Value:
    """The kernel times the slope of the batch normalization is what is quantized."""
    folded, bias = layer.get_folded_weights()
    kernel = read_kernel(layer.name, layer.kernel_quantizer_internal, folded)
    bias = quantized_bias(layer.name, layer.bias_quantizer_internal, bias)
    form = _convolution(layer.filters, layer.kernel_size, layer.strides, layer.padding)
    return linear(fold, layer, value, kernel, bias, form, _inline_activation(fold, layer))


def conv_1d(fold: Fold, layer: Any, value: Value) -> Value:
    """A sequence is an image of one row."""
    kernel = read_kernel(layer.name, layer.kernel_quantizer_internal, layer.kernel)
    kernel = replace(kernel, codes=kernel.codes[None])
    value, padding = _causal(fold, layer, value)
    form = _convolution(layer.filters, (1, *layer.kernel_size), (1, *layer.strides), padding)
    return linear(fold, layer, value, kernel, read_bias(layer), form, _inline_activation(fold, layer))


def _causal(fold: Fold, layer: Any, value: Value) -> tuple[Value, str]:
    """The input and the padding of a layer over time: "causal" pads before the first step only."""
    if layer.padding != "causal":
        return value, layer.padding
    _ = integers_and_step(value, layer.name)
    pad = keras.layers.ZeroPadding2D(
        ((0, 0), (layer.kernel_size[0] - 1, 0)), name=fold.name(f"{layer.name}_pad"), dtype=value.dtype
    )
    return replace(value, tensor=pad(value.tensor)), "valid"


def _depthwise(
    fold: Fold, layer: Any, value: Value, kernel: Kernel, bias: np.ndarray | None, strides: tuple[int, int],
    padding: str, activation: Any = None, part: str = "",
) -> Value:  # fmt: skip
    """A filter of one channel is an ordinary convolution where there is one channel only."""
    form: _AllChannels | _OneChannel = _OneChannel(tuple(strides), padding)
    if kernel.codes.shape[2] == 1:
        form = _convolution(kernel.codes.shape[3], kernel.codes.shape[:2], strides, padding)
    return linear(fold, layer, value, kernel, bias, form, activation, part)


def depthwise_conv_2d(fold: Fold, layer: Any, value: Value) -> Value:
    kernel = read_kernel(layer.name, layer.depthwise_quantizer_internal, layer.depthwise_kernel, outputs_last=2)
    activation = _inline_activation(fold, layer)
    return _depthwise(fold, layer, value, kernel, read_bias(layer), layer.strides, layer.padding.lower(), activation)


def depthwise_conv_2d_batchnorm(fold: Fold, layer: Any, value: Value) -> Value:
    folded, bias = layer.get_folded_weights()
    kernel = read_kernel(layer.name, layer.depthwise_quantizer_internal, folded, outputs_last=2)
    bias = quantized_bias(layer.name, layer.bias_quantizer_internal, bias)
    activation = _inline_activation(fold, layer)
    return _depthwise(fold, layer, value, kernel, bias, layer.strides, layer.padding.lower(), activation)


def separable_conv_2d(fold: Fold, layer: Any, value: Value) -> Value:
    kernel = read_kernel(layer.name, layer.depthwise_quantizer_internal, layer.depthwise_kernel, outputs_last=2)
    value = _depthwise(fold, layer, value, kernel, None, layer.strides, layer.padding, part="_depthwise")
    return _pointwise(fold, layer, value, lambda codes: codes)


def separable_conv_1d(fold: Fold, layer: Any, value: Value) -> Value:
    """A sequence is an image of one row."""
    kernel = read_kernel(layer.name, layer.depthwise_quantizer_internal, layer.depthwise_kernel, outputs_last=2)
    kernel = replace(kernel, codes=kernel.codes[None])
    value, padding = _causal(fold, layer, value)
    value = _depthwise(fold, layer, value, kernel, None, (1, *layer.strides), padding, part="_depthwise")
    return _pointwise(fold, layer, value, lambda codes: codes[None])


def _pointwise(fold: Fold, layer: Any, value: Value, shaped: Callable[[np.ndarray], np.ndarray]) -> Value:
    """The second half of a separable convolution, 1x1; between the halves are exact integers."""
    kernel = read_kernel(layer.name, layer.pointwise_quantizer_internal, layer.pointwise_kernel)
    kernel = replace(kernel, codes=shaped(kernel.codes))
    form = _convolution(layer.filters, (1, 1), (1, 1), "valid")
    return linear(fold, layer, value, kernel, read_bias(layer), form, _inline_activation(fold, layer))


def dense(fold: Fold, layer: Any, value: Value) -> Value:
    kernel = read_kernel(layer.name, layer.kernel_quantizer_internal, layer.kernel)
    return _dense(fold, layer, value, kernel, read_bias(layer))


def dense_batchnorm(fold: Fold, layer: Any, value: Value) -> Value:
    folded, bias = layer.get_folded_weights()
    kernel = read_kernel(layer.name, layer.kernel_quantizer_internal, folded)
    return _dense(fold, layer, value, kernel, quantized_bias(layer.name, layer.bias_quantizer_internal, bias))


def _dense(fold: Fold, layer: Any, value: Value, kernel: Kernel, bias: np.ndarray | None) -> Value:
    """On a vector; on a map it works on each pixel, as a 1x1 convolution does."""
    if len(value.shape) == 1:

        def make(quantizer: Any, **kwargs: Any) -> Any:
            return qkeras.QDense(layer.units, kernel_quantizer=quantizer, **kwargs)

        form = _AllChannels(make)
    else:
        kernel = replace(kernel, codes=kernel.codes[None, None])
        form = _convolution(layer.units, (1, 1), (1, 1), "valid")
    return linear(fold, layer, value, kernel, bias, form, _inline_activation(fold, layer))
