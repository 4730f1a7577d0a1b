"""What networks take in synthesis, before they are trained: the cost model errs by some percent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from flow import paths
from flow.adders import available
from flow.bits import BitsSpec
from flow.files import locked, read_json, write_json
from flow.folding import cost
from flow.folding.schedule import fifo_depths
from flow.folding.solve import for_cycles
from flow.isocost.solve import Equal, Solved, one_width, solve_multiplier
from flow.rtl import write
from flow.search.skeleton import skeleton
from flow.synth import network
from keras_models.spec import ModelSpec

FILE = "measured.json"
#: a network this near the common cost is not looked for again
_NEAR = 0.025
_ROUNDS = 3
#: layers between two lines of progress
_STEP = 8


def measured_luts(spec: ModelSpec, bits: BitsSpec, cycles: int, tell: Callable[[str], None]) -> float:
    """LUTs of logic and memory of a network with random weights, synthesized layer by layer.

    Args:
        bits: of every layer.
        cycles: between frames, at most.
        tell: is told now and then how far it is.
    """
    graph = skeleton(spec, bits)
    folding = for_cycles(graph, cycles, adders=available())
    sizes = {name: found.lut for name, found in cost.network(graph, folding, fifo_depths(graph, folding)).items()}

    def progress(name: str, found: object, done: int, total: int) -> None:
        if done % _STEP == 0 or done == total:
            tell(f"    {done} of {total} modules synthesized")

    with tempfile.TemporaryDirectory() as folder:
        design = write(graph, folding, Path(folder))
        return network.measure(design, sizes, paths.cache() / "synth", progress).total.luts_used


class Synthesized:
    """LUTs of untrained networks by synthesis, each synthesized once.

    Args:
        file: JSON, where they are kept.
        tell: is told of each network.
    """

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        self._file, self._tell = file, tell

    def known(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float | None:
        """What was found before, None if the network was not synthesized."""
        return self._all().get(_key(spec, bits, cycles))

    def luts(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float:
        """LUTs of logic and memory at so many cycles between frames."""
        found, key = self.known(spec, bits, cycles), _key(spec, bits, cycles)
        if found is None:
            self._tell(f"{key}: synthesizing, before anything is trained on")
            found = measured_luts(spec, bits, cycles, self._tell)
            with locked(self._file.with_suffix(".lock")):  # another process may have added others
                write_json(self._file, self._all() | {key: found})
        self._tell(f"{key}: {found:,.0f} LUTs by synthesis")
        return found

    def _all(self) -> dict[str, float]:
        return read_json(self._file) if self._file.is_file() else {}


def _key(spec: ModelSpec, bits: BitsSpec, cycles: int) -> str:
    """For people too: the one width of the weights, or a hash of all widths."""
    widths = set(bits.weights.values())
    alike = len(widths) == 1 and bits == one_width(spec, min(widths))
    return f"{spec.name} {f'w{min(widths)}' if alike else bits.label(spec)} {cycles} cycles"


def equal_measured(
    spec: ModelSpec, reference: ModelSpec, widths: Sequence[int], equal: Equal, synthesized: Synthesized,
    tell: Callable[[str], None],
) -> Equal:  # fmt: skip
    """The common cost in LUTs as synthesis counts them, and what multiplies the cost model's at each width.

    A network is chosen by the cost model, synthesized, and chosen again with the ratio that was found, until it is near
    enough or does not change.

    Args:
        reference: the network that sets the cost at the widest width.
        widths: ascending.
        synthesized: asked for the LUTs of each network.
        tell: is told how near each comes.
    """

    def luts(network_spec: ModelSpec, bits: int) -> float:
        return synthesized.luts(network_spec, one_width(network_spec, bits), equal.cycles)

    widest = widths[-1]
    target = luts(reference, widest)
    ratios = {widest: target / equal.cost(reference, one_width(reference, widest))}
    tell(f"{reference.name} at {widest} bits sets the common cost, {ratios[widest]:.1%} of the estimate")
    for bits in widths[:-1]:
        found: Solved | None = None
        for _ in range(_ROUNDS):
            before, found = found, solve_multiplier(spec, bits, equal.measured(target, ratios))
            if before is not None and before.spec.name == found.spec.name:
                break
            plain = equal.cost(found.spec, one_width(found.spec, bits))
            real = luts(found.spec, bits)
            ratios[bits] = real / plain
            tell(f"{found.spec.name} at {bits} bits: {real / target:.1%} of the common cost")
            if abs(real / target - 1) <= _NEAR:
                break
    return equal.measured(target, ratios)
