"""Handlers between integers: adds, pools, and changes of shape."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from flow.errors import FlowError
from flow.fold.steps import Affine, Chain, Step
from flow.fold.value import Value, as_image, codes, float_type, integers_and_step
from flow.ir.types import signed_width, unsigned_width
from flow.keras_env import keras
from flow.twin.layers import Argmax, Requantize, SumPool

if TYPE_CHECKING:
    from flow.fold.network import Fold


def _width(value: Value) -> tuple[int, bool]:
    """Bits, and whether they are signed, of the type that holds every integer of `value`."""
    low, high = int(value.low.min()), int(value.high.max())
    return (signed_width(low, high), True) if low < 0 else (unsigned_width(high), False)


def _finer(fold: Fold, name: str, value: Value, fraction_bits: int) -> Value:
    """`value` on a grid with more fraction bits: the same numbers, larger integers."""
    shift = fraction_bits - value.fraction_bits
    if shift == 0:
        return value
    low, high = value.low << shift, value.high << shift
    moved = replace(value, low=low, high=high)
    bits, signed = _width(moved)
    layer = Requantize(
        shift=0, ties_to_even=False, input_fraction_bits=value.fraction_bits, output_fraction_bits=fraction_bits,
        bits=bits, signed=signed, dtype=moved.dtype, name=fold.name(name),
    )  # fmt: skip
    tensor = layer(value.tensor)
    layer.set_weights([np.full(len(low), 1 << shift), np.zeros(len(low), np.int64)])
    return replace(moved, tensor=tensor, chain=Chain(fraction_bits))


def add(fold: Fold, layer: Any, *values: Value) -> Value:
    """Pairwise from the left; an operand on a coarser grid is first brought to the finer one, exactly."""
    operands = [codes(value, layer.name) for value in values]
    fraction_bits = max(value.fraction_bits for value in operands)
    operands = [_finer(fold, f"{layer.name}_in{i}", value, fraction_bits) for i, value in enumerate(operands)]
    total = operands[0]
    for index, value in enumerate(operands[1:], start=1):
        low, high = total.low + value.low, total.high + value.high
        dtype = float_type(int(max(-low.min(), high.max())))
        name = fold.name(layer.name if index == len(operands) - 1 else f"{layer.name}_part{index}")
        tensor = keras.layers.Add(name=name, dtype=dtype)([total.tensor, value.tensor])
        total = Value(tensor, low, high, Chain(fraction_bits), layer.name)
    return total


def concatenate(fold: Fold, layer: Any, *values: Value) -> Value:
    """Channels side by side, pairwise from the left; a coarser grid is first brought to the finer one, exactly."""
    if layer.axis not in (-1, len(layer.output_shape) - 1):
        raise FlowError(
            f"{layer.name}: concatenates axis {layer.axis}; only the channels, which come last, are supported"
        )
    operands = [codes(value, layer.name) for value in values]
    fraction_bits = max(value.fraction_bits for value in operands)
    operands = [_finer(fold, f"{layer.name}_in{i}", value, fraction_bits) for i, value in enumerate(operands)]
    joined = operands[0]
    for index, value in enumerate(operands[1:], start=1):
        low, high = (np.concatenate(pair) for pair in ((joined.low, value.low), (joined.high, value.high)))
        result = Value(None, low, high, Chain(fraction_bits), layer.name)
        name = fold.name(layer.name if index == len(operands) - 1 else f"{layer.name}_part{index}")
        tensor = keras.layers.Concatenate(axis=-1, name=name, dtype=result.dtype)([joined.tensor, value.tensor])
        joined = replace(result, tensor=tensor)
    return joined


def argmax(fold: Fold, value: Value) -> Value:
    """The label instead of the logits, at the end of a network."""
    if prod(value.shape[:-1]) != 1 or value.shape[-1] < 2:
        raise FlowError(
            f"--output argmax: {value.source} gives logits of shape {value.shape}; the largest of a vector of 2 "
            "or more can be found, and for anything else there is --output logits"
        )
    value = to_vector(fold, value.source, value)
    high = len(value.low) - 1
    layer = Argmax(
        input_fraction_bits=value.fraction_bits, output_fraction_bits=0, bits=unsigned_width(high), signed=False,
        dtype=value.dtype, name=fold.name("argmax"),
    )  # fmt: skip
    return Value(layer(value.tensor), np.zeros(1, np.int64), np.full(1, high), Chain(0), "argmax")


# -- pools -------------------------------------------------------------------------------------------------------------


def _size(layer: Any, value: Value) -> tuple[int, int]:
    """The window of a pool, which steps by its own size; `same` padding must have nothing to pad."""
    size = tuple(np.atleast_1d(layer.pool_size).tolist())
    size = (1, *size) if len(size) == 1 else size
    height, width, _ = value.shape
    if layer.padding == "same" and (height % size[0] or width % size[1]):
        raise FlowError(
            f"{layer.name}: pool_size {size} does not divide the {height}x{width} input; use padding='valid'"
        )
    if height < size[0] or width < size[1]:
        raise FlowError(f"{layer.name}: pool_size {size} exceeds the {height}x{width} input")
    return size


def _max(fold: Fold, layer: Any, value: Value, size: tuple[int, int]) -> Value:
    """What rises with the integer may stay pending: the largest integer is the largest number."""
    if np.any(value.chain.direction < 0):
        raise FlowError(
            f"{layer.name} reads {value.source}, whose negative slopes turn the largest number into the least integer; "
            "put a QActivation between them"
        )
    pool = keras.layers.MaxPooling2D(size, name=fold.name(layer.name), dtype=value.dtype)
    return replace(value, tensor=pool(value.tensor), source=layer.name)


def max_pool(fold: Fold, layer: Any, value: Value) -> Value:
    return _max(fold, layer, value, _size(layer, value))


def global_max_pool(fold: Fold, layer: Any, value: Value) -> Value:
    pooled = _max(fold, layer, value, value.shape[:2])
    return pooled if layer.keepdims else to_vector(fold, layer.name, pooled)


def _average(fold: Fold, layer: Any, value: Value, size: tuple[int, int]) -> Value:
    """An exact sum; a power of two of values makes its grid finer, another number is left to the next quantizer.

    Affine maps may stay pending, as the average of a map is the map of the average.
    """
    if not all(isinstance(operation, (Affine, Step)) for operation in value.chain.operations):
        value = codes(value, layer.name)
    area = prod(size)
    low, high = value.low * area, value.high * area
    power_of_two = area & (area - 1) == 0
    fraction_bits = value.fraction_bits + (area.bit_length() - 1 if power_of_two else 0)
    operations = value.chain.operations
    if not power_of_two:
        operations = (_times(1.0 / area), *operations)
    quantizer = getattr(layer, "average_quantizer_internal", None)
    factor = 1.0 if quantizer is None else float(quantizer(1.0 / area)) * area
    if factor != 1.0:  # QKeras multiplies the finished average with this
        operations = (*operations, _times(factor))
    summed = Value(value.tensor, low, high, Chain(fraction_bits, operations), layer.name)
    bits, signed = _width(summed)
    pool = SumPool(
        size=size, input_fraction_bits=value.fraction_bits, output_fraction_bits=fraction_bits, bits=bits,
        signed=signed, name=fold.name(layer.name), dtype=summed.dtype,
    )  # fmt: skip
    pooled = replace(summed, tensor=pool(value.tensor))
    activation = getattr(layer, "activation", None)
    if activation is None:
        return pooled
    from flow.fold.pending import activate

    return activate(fold, f"{layer.name}_act", layer.name, pooled, activation)


def _times(factor: float) -> Affine:
    return Affine(np.float64(0), np.float64(factor), np.float64(0))


def average_pool(fold: Fold, layer: Any, value: Value) -> Value:
    return _average(fold, layer, value, _size(layer, value))


def global_average_pool(fold: Fold, layer: Any, value: Value) -> Value:
    pooled = _average(fold, layer, value, value.shape[:2])
    return pooled if layer.keepdims else to_vector(fold, layer.name, pooled)


# -- shapes ------------------------------------------------------------------------------------------------------------


def to_vector(fold: Fold, name: str, value: Value) -> Value:
    """(H, W, C) in stream order."""
    if len(value.shape) == 1:
        return value
    pixels = prod(value.shape[:-1])
    flat = keras.layers.Flatten(name=fold.name(name, "_flatten"), dtype=value.dtype)
    low, high = np.tile(value.low, pixels), np.tile(value.high, pixels)
    return Value(flat(value.tensor), low, high, value.chain.tiled(pixels), name)


def flatten(fold: Fold, layer: Any, value: Value) -> Value:
    return to_vector(fold, layer.name, value)


def reshape(fold: Fold, layer: Any, value: Value) -> Value:
    """To a vector anywhere; behind the input the host has done it already."""
    wanted = as_image(tuple(layer.output_shape[1:]))
    if wanted == value.shape:
        return value
    if len(wanted) == 1:
        return to_vector(fold, layer.name, value)
    raise FlowError(
        f"{layer.name}: reshapes {value.shape} to {wanted}; only right behind the input and to a vector is supported"
    )


def zero_pad(fold: Fold, layer: Any, value: Value) -> Value:
    _ = integers_and_step(value, layer.name)  # zero stays zero whatever a step is worth
    padding = layer.padding if len(layer.padding) == 2 and np.ndim(layer.padding) == 2 else ((0, 0), layer.padding)
    pad = keras.layers.ZeroPadding2D(padding, name=fold.name(layer.name), dtype=value.dtype)
    low, high = np.minimum(value.low, 0), np.maximum(value.high, 0)
    return replace(value, tensor=pad(value.tensor), low=low, high=high, source=layer.name)
