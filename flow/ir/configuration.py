"""What a frame can choose: a width for each of some layers, as bits, as fields and as a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flow.bits import check_runtime_widths
from flow.errors import FlowError, unknown


def check_widths(widths: tuple[int, ...]) -> None:
    """Raises ValueError unless `widths` are what `flow.bits.check_runtime_widths` takes, the narrowest first."""
    try:
        ascending = check_runtime_widths(widths) == tuple(widths)
    except FlowError as error:
        raise ValueError(str(error)) from error
    if not ascending:
        raise ValueError(f"runtime bits {widths}: should be ascending")


def table_number(count: int, fields: Iterable[Any]) -> Any:
    """The number whose digits are the fields, the first on top: of a table, a set, whatever some widths select.

    Args:
        count: of widths, the base.
        fields: indices into the widths: numbers, arrays or tensors.
    """
    found = 0
    for field in fields:
        found = found * count + field
    return found


@dataclass(frozen=True)
class RuntimeWidths:
    """What can be chosen at run time.

    Attributes:
        widths: bits, ascending.
        layers: names of the runtime layers, in the order of computation, which is the order of a configuration's
            fields.
    """

    widths: tuple[int, ...]
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        check_widths(self.widths)
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise ValueError(f"runtime layers {self.layers}: expected one at least, each once")

    @property
    def field_bits(self) -> int:
        """Bits of a field: an index into `widths`."""
        return (len(self.widths) - 1).bit_length()

    def network_wide(self, width: int) -> dict[str, int]:
        """The configuration with the same width for all layers."""
        return dict.fromkeys(self.layers, width)

    @property
    def widest(self) -> dict[str, int]:
        """The configuration that the hardware has after power-up."""
        return self.network_wide(self.widths[-1])

    @property
    def word_bits(self) -> int:
        """Bits of a configuration as the hardware takes it."""
        return self.field_bits * len(self.layers)

    def fields(self, configuration: Configuration, frames: int) -> np.ndarray:
        """Indices into `widths`, int64 (frames, layers).

        Args:
            configuration: bits by layer, or bits of all layers in the order of `layers`: (layers,) for all frames,
                (frames, layers) for each.

        Raises:
            FlowError: a layer is missing or unknown, or a width is none of `widths`.
        """
        if isinstance(configuration, Mapping):
            for name in configuration:
                if name not in self.layers:
                    raise unknown("runtime layer", str(name), self.layers)
            for name in self.layers:
                if name not in configuration:
                    raise FlowError(f"configuration: runtime layer '{name}' is missing")
            configuration = [configuration[name] for name in self.layers]
        bits = np.asarray(configuration)
        if bits.ndim == 1:
            bits = np.broadcast_to(bits, (frames, *bits.shape))
        if bits.shape[-1:] != (len(self.layers),):
            given, layers = bits.shape[-1] if bits.ndim else 0, ", ".join(self.layers)
            raise FlowError(f"configuration: {given} widths for the {len(self.layers)} layers {layers}")
        if bits.shape != (frames, len(self.layers)):
            raise FlowError(f"configuration: widths of {len(bits)} frames are given, expected {frames}")
        found = np.searchsorted(self.widths, bits).clip(max=len(self.widths) - 1)
        wrong = np.argwhere(np.asarray(self.widths)[found] != bits)
        if len(wrong):
            frame, layer = wrong[0]
            legal = ", ".join(map(str, self.widths))
            raise FlowError(f"configuration: layer '{self.layers[layer]}': {bits[frame, layer]} bits, may be {legal}")
        return found.astype(np.int64)

    def words(self, fields: np.ndarray) -> list[int]:
        """Each frame's fields as one word, the first layer in the low bits.

        Args:
            fields: indices (frames, layers), as `fields` gives them.
        """
        shifts = [i * self.field_bits for i in range(len(self.layers))]
        return [sum(int(value) << shift for value, shift in zip(row, shifts)) for row in fields]

    def tables(self, select: Sequence[str], fields: np.ndarray) -> np.ndarray:
        """Which table each frame takes, int64 (frames,), see `table_number`.

        Args:
            select: names of layers.
            fields: indices (frames, layers).
        """
        return table_number(len(self.widths), [fields[:, self.layers.index(name)] for name in select])


#: what a caller may give for a configuration; see `RuntimeWidths.fields`
Configuration = Mapping[str, int] | Sequence[int] | np.ndarray
