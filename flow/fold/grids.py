"""What a QKeras quantizer means as integers, read from its configuration without evaluating TensorFlow.

Facts about QKeras 0.9.0: `quantized_bits(b, i)` has step 2**(i + keep_negative - b) and codes
-2**(b-1) + symmetric .. 2**(b-1) - 1; `quantized_relu(b, i)` has step 2**(i - b) and codes 0 .. 2**b - 1;
both round half to even. `binary` is -1 or +1, and +1 for 0; `ternary` is -1, 0 or +1. An `alpha` multiplies the codes.
N2UQ's weights of n bits are the odd integers from -(2**n - 1) to 2**n - 1, times a scale for each filter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import frexp
from typing import Any

import numpy as np

from flow.errors import FlowError


@dataclass(frozen=True)
class Grid:
    """Integer codes with a binary point: value = code * 2**-fraction_bits.

    Attributes:
        bits: width of a code.
        fraction_bits: may be negative.
        signed: two's complement if true.
        low, high: the least and the greatest code that the quantizer gives.
        binary: codes are -1 and +1 only.
    """

    bits: int
    fraction_bits: int
    signed: bool
    low: int
    high: int
    binary: bool = False

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The quantizer: float64 values to int64 codes, rounding half to even."""
        scaled = np.rint(np.ldexp(values, self.fraction_bits))
        return np.clip(scaled, self.low, self.high).astype(np.int64)


@dataclass(frozen=True)
class SignGrid(Grid):
    """`binary`: the greatest code from 0 on, the least below it; never a code between them."""

    def codes(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.asarray(values) >= 0, self.high, self.low).astype(np.int64)


@dataclass(frozen=True)
class DeadZoneGrid(Grid):
    """`ternary`: the sign, and 0 where the magnitude is below `threshold`."""

    threshold: float = 0.0

    def codes(self, values: np.ndarray) -> np.ndarray:
        return (np.asarray(values) >= self.threshold).astype(np.int64) - (np.asarray(values) <= -self.threshold)


@dataclass(frozen=True)
class LeakyGrid(Grid):
    """`quantized_relu` with a negative slope: both sides are rounded on the same grid."""

    slope: float = 0.0

    def codes(self, values: np.ndarray) -> np.ndarray:
        scaled = np.ldexp(values, self.fraction_bits)
        above, below = np.clip(np.rint(scaled), 0, self.high), np.clip(np.rint(scaled * self.slope), self.low, 0)
        return (above + below).astype(np.int64)


@dataclass(frozen=True)
class HardGrid(Grid):
    """`quantized_sigmoid` and `quantized_tanh` in the piecewise linear form that QKeras takes unless told otherwise.

    clip(x / 2 + 1 / 2, 0, 1), which tanh doubles and moves down by 1.
    """

    def codes(self, values: np.ndarray) -> np.ndarray:
        unit = np.clip(0.5 * np.asarray(values) + 0.5, 0.0, 1.0)
        return super().codes(2.0 * unit - 1.0 if self.signed else unit)


@dataclass(frozen=True)
class ThresholdGrid(Grid):
    """N2UQ's activation: the number of thresholds that scale * value has reached.

    Attributes:
        thresholds: rising.
        scale: positive.
    """

    thresholds: tuple[float, ...] = ()
    scale: float = 1.0

    def codes(self, values: np.ndarray) -> np.ndarray:
        x = np.asarray(values, dtype=np.float64) * self.scale
        return sum((x >= threshold).astype(np.int64) for threshold in self.thresholds)


# -- reading -----------------------------------------------------------------------------------------------------------


def _integer(layer: str, what: str, value: Any) -> int:
    if float(value) != int(value):
        raise FlowError(f"{layer}: {what} of the quantizer is {value}; it must be a whole number")
    return int(value)


def _check_common(layer: str, config: dict) -> None:
    """Refuses what has no exact integer form."""
    if config.get("use_stochastic_rounding"):
        raise FlowError(f"{layer}: stochastic rounding cannot be deployed exactly")
    if float(config.get("qnoise_factor", 1.0)) != 1.0:
        raise FlowError(f"{layer}: qnoise_factor must be 1 for a trained network")


def has_scale(quantizer: Any) -> bool:
    """Whether a quantizer multiplies its codes by an `alpha` of its own: learned, or a number other than 1."""
    alpha = getattr(quantizer, "alpha", None)
    if alpha is None:
        return False
    return isinstance(alpha, str) or not bool(np.all(np.asarray(alpha, dtype=np.float64) == 1))


def _scaled(layer: str, config: dict, grid: Grid) -> Grid:
    """The grid times `alpha`, which for an activation is one power of two."""
    alpha = config.get("alpha")
    if alpha is None:
        return grid
    values = None if isinstance(alpha, str) else np.unique(np.asarray(alpha, dtype=np.float64))
    mantissa, exponent = frexp(values[0]) if values is not None and values.size == 1 else (0.0, 0)
    if mantissa != 0.5:
        raise FlowError(
            f"{layer}: the quantizer has alpha={alpha!r}; an activation needs alpha=1 or another power of two, "
            "which can also be put into its integer bits"
        )
    return replace(grid, fraction_bits=grid.fraction_bits - (exponent - 1))


def _quantized_bits(layer: str, config: dict) -> Grid:
    bits = _integer(layer, "bits", config["bits"])
    integer = _integer(layer, "integer", config["integer"])
    signed = bool(config["keep_negative"])
    if bits - signed < 1:
        return _sign(bits=1, signed=signed)
    magnitude = 1 << (bits - signed)
    low = -magnitude + int(bool(config["symmetric"])) if signed else 0
    return Grid(bits, bits - signed - integer, signed, low, magnitude - 1)


def _sign(bits: int, signed: bool) -> Grid:
    return SignGrid(bits, 0, signed, -1 if signed else 0, 1, binary=signed)


def _quantized_relu(layer: str, config: dict) -> Grid:
    if config.get("use_sigmoid"):
        raise FlowError(f"{layer}: quantized_relu with use_sigmoid is not supported; use quantized_relu(bits, integer)")
    bits = _integer(layer, "bits", config["bits"])
    integer = _integer(layer, "integer", config["integer"])
    slope = float(config.get("negative_slope") or 0.0)
    if slope == 0.0:
        return Grid(bits, bits - integer, False, 0, (1 << bits) - 1)
    magnitude = 1 << (bits - 1)
    return LeakyGrid(bits, bits - 1 - integer, True, -int(slope * magnitude), magnitude - 1, slope=slope)


def _binary(layer: str, config: dict) -> Grid:
    return _sign(bits=1, signed=not config.get("use_01"))


def _ternary(layer: str, config: dict) -> Grid:
    threshold = config.get("threshold")
    # QKeras compares in float32
    return DeadZoneGrid(2, 0, True, -1, 1, threshold=float(np.float32(0.33 if threshold is None else threshold)))


def _quantized_sigmoid(layer: str, config: dict) -> Grid:
    _check_hard(layer, config, "use_real_sigmoid")
    bits = _integer(layer, "bits", config["bits"])
    return HardGrid(bits, bits, False, int(bool(config["symmetric"])), (1 << bits) - 1)


def _quantized_tanh(layer: str, config: dict) -> Grid:
    _check_hard(layer, config, "use_real_tanh")
    bits = _integer(layer, "bits", config["bits"])
    magnitude = 1 << (bits - 1)
    return HardGrid(bits, bits - 1, True, int(bool(config["symmetric"])) - magnitude, magnitude - 1)


def _n2uq_weights(layer: str, config: dict) -> Grid:
    bits = _integer(layer, "bits", config["bits"])
    top = (1 << bits) - 1
    return Grid(bits + 1, 0, True, -top, top)


def _check_hard(layer: str, config: dict, option: str) -> None:
    if config.get(option):
        raise FlowError(f"{layer}: {option} is not supported: its last bits depend on the library that computed it")


#: by the name of the QKeras class
_READERS: dict[str, Callable[[str, dict], Grid]] = {
    "quantized_bits": _quantized_bits,
    "WideBits": _quantized_bits,
    "quantized_relu": _quantized_relu,
    "binary": _binary,
    "WideBinary": _binary,
    "ternary": _ternary,
    "quantized_sigmoid": _quantized_sigmoid,
    "quantized_tanh": _quantized_tanh,
    "N2UQWeights": _n2uq_weights,
}


def read_grid(layer: str, quantizer: Any) -> Grid:
    """The integer meaning of a quantizer object, a scale of its own included where that is a power of two.

    Args:
        layer: the layer's name, for the message.
        quantizer: a QKeras quantizer.

    Raises:
        FlowError: the quantizer has no exact integer form.
    """
    grid = code_grid(layer, quantizer)
    return _scaled(layer, quantizer.get_config(), grid)


def code_grid(layer: str, quantizer: Any) -> Grid:
    """The same without the quantizer's own scale: of codes that a scale multiplies."""
    name = type(quantizer).__name__
    if name not in _READERS:
        raise FlowError(f"{layer}: quantizer {name} is not supported; supported: {', '.join(QUANTIZERS)}")
    config = quantizer.get_config()
    _check_common(layer, config)
    if name == "quantized_relu" and not getattr(quantizer, "is_quantized_clip", True):
        raise FlowError(f"{layer}: quantized_relu with is_quantized_clip=False is not supported; use its integer bits")
    return _READERS[name](layer, config)


#: quantizers that a user can write
QUANTIZERS = tuple(name for name in _READERS if not name.startswith("Wide"))
#: one more, for weights only: they are known, and the steps between them are what they need
POWERS_OF_TWO = "quantized_po2"


def weight_codes(layer: str, grid: Grid, values: np.ndarray) -> np.ndarray:
    """Quantized weights as integers.

    QKeras' straight-through sum x + (q - x) leaves a float32 rounding error of the latent weight on the quantized
    one, so a value counts as on the grid within a thousandth of a step.

    Args:
        values: what the layer's own quantizer gave.

    Raises:
        FlowError: a weight is not on the grid.
    """
    scaled = np.ldexp(np.asarray(values, dtype=np.float64), grid.fraction_bits)
    codes = np.rint(scaled)
    bad = ~np.isfinite(scaled) | (np.abs(scaled - codes) > 1e-3) | (codes < grid.low) | (codes > grid.high)
    if grid.binary:
        bad |= np.abs(codes) != 1
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise FlowError(f"{layer}: weight {index} is {np.asarray(values)[index]}, not on the grid of its quantizer")
    return codes.astype(np.int64)
