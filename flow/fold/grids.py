"""What a QKeras quantizer means as integers, read from its configuration without evaluating TensorFlow.

Facts about QKeras 0.9.0: `quantized_bits(b, i, alpha=1)` has step 2**(i + keep_negative - b) and codes
-2**(b-1) + symmetric .. 2**(b-1) - 1; `quantized_relu(b, i)` has step 2**(i - b) and codes 0 .. 2**b - 1;
both round half to even. `binary(alpha=1)` is -1 or +1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


def _check_alpha(layer: str, config: dict) -> None:
    alpha = config.get("alpha")
    try:
        is_one = alpha is not None and not isinstance(alpha, str) and bool(np.all(np.asarray(alpha) == 1))
    except TypeError:
        is_one = False
    if not is_one:
        raise FlowError(
            f"{layer}: the quantizer has alpha={alpha!r}; "
            "use alpha=1 and put a power-of-two scale into its integer bits"
        )


def _quantized_bits(layer: str, config: dict) -> Grid:
    _check_alpha(layer, config)
    bits = _integer(layer, "bits", config["bits"])
    integer = _integer(layer, "integer", config["integer"])
    signed = bool(config["keep_negative"])
    if bits - signed < 1:
        raise FlowError(f"{layer}: a signed quantized_bits needs 2 bits or more; use binary(alpha=1) for 1-bit weights")
    magnitude = 1 << (bits - signed)
    low = -magnitude + int(bool(config["symmetric"])) if signed else 0
    return Grid(bits, bits - signed - integer, signed, low, magnitude - 1)


def _quantized_relu(layer: str, config: dict) -> Grid:
    if config.get("use_sigmoid") or float(config.get("negative_slope", 0.0)) != 0.0:
        raise FlowError(
            f"{layer}: quantized_relu with use_sigmoid or negative_slope is not a step function of this form"
        )
    if config.get("relu_upper_bound") is not None:
        raise FlowError(f"{layer}: quantized_relu with relu_upper_bound is not supported; use its integer bits")
    bits = _integer(layer, "bits", config["bits"])
    return Grid(bits, bits - _integer(layer, "integer", config["integer"]), False, 0, (1 << bits) - 1)


def _binary(layer: str, config: dict) -> Grid:
    _check_alpha(layer, config)
    if config.get("use_01"):
        raise FlowError(f"{layer}: binary with use_01 is not supported; use binary(alpha=1)")
    return Grid(1, 0, True, -1, 1, binary=True)


#: by the name of the QKeras class
_READERS: dict[str, Callable[[str, dict], Grid]] = {
    "quantized_bits": _quantized_bits,
    "WideBits": _quantized_bits,
    "quantized_relu": _quantized_relu,
    "binary": _binary,
    "WideBinary": _binary,
}


def read_grid(layer: str, quantizer: Any) -> Grid:
    """The integer meaning of a quantizer object.

    Args:
        layer: the layer's name, for the message.
        quantizer: a QKeras quantizer.

    Raises:
        FlowError: the quantizer has no exact integer form.
    """
    name = type(quantizer).__name__
    if name not in _READERS:
        raise FlowError(
            f"{layer}: quantizer {name} is not supported; supported: quantized_bits, quantized_relu, binary"
        )
    config = quantizer.get_config()
    _check_common(layer, config)
    return _READERS[name](layer, config)


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
