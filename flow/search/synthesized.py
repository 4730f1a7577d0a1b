"""What networks take in synthesis, before they are trained: the cost model errs by some percent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flow import paths
from flow.adders import available
from flow.bits import BitsSpec
from flow.cache import content, digest
from flow.errors import FlowError
from flow.files import locked, read_json, write_json
from flow.folding import cost
from flow.folding.schedule import fifo_depths
from flow.folding.solve import for_cycles
from flow.rtl import write
from flow.search.costs import Costs
from flow.search.skeleton import skeleton
from flow.synth import network
from keras_models.spec import ModelSpec

FILE = "measured.json"
#: the share of a budget that a search should use
USED = 0.95
#: layers between two lines of progress
_STEP = 8
_LUTS, _RTL = "luts", "rtl"


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

    A study that goes on after a change of the RTL keeps what it has: its networks were chosen by that.

    Args:
        file: JSON, where they are kept.
        tell: is told of each network.
    """

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        self._file, self._tell = file, tell
        kept = self._read()
        if kept[_LUTS] and kept[_RTL] != _rtl():
            tell(f"{file}: its LUTs are of another state of verilog/; they are kept, without it all are measured again")

    def known(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float | None:
        """What was found before, None if the network was not synthesized."""
        return self._read()[_LUTS].get(_key(spec, bits, cycles))

    def luts(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float:
        """LUTs of logic and memory at so many cycles between frames."""
        found, key = self.known(spec, bits, cycles), _key(spec, bits, cycles)
        if found is None:
            self._tell(f"{key}: synthesizing, before anything is trained on")
            found = measured_luts(spec, bits, cycles, self._tell)
            with locked(self._file.with_suffix(".lock")):  # another process may have added others
                kept = self._read()
                write_json(self._file, {_RTL: kept[_RTL], _LUTS: kept[_LUTS] | {key: found}})
        self._tell(f"{key}: {found:,.0f} LUTs by synthesis")
        return found

    def _read(self) -> dict:
        return read_json(self._file) if self._file.is_file() else {_RTL: _rtl(), _LUTS: {}}


def _rtl() -> str:
    """A hash of the modules that networks are made of."""
    return digest(content(sorted(paths.verilog().glob("*.sv"))))


def _key(spec: ModelSpec, bits: BitsSpec, cycles: int) -> str:
    """For people too: the one width of the weights, or a hash of all widths."""
    widths = set(bits.weights.values())
    alike = len(widths) == 1 and set(bits.activations.values()) == {8}
    return f"{spec.name} {f'w{min(widths)}' if alike else bits.label(spec)} {cycles} cycles"


@dataclass
class SynthesizedBudget:
    """Holds the whole widths that a search has chosen against its budget as synthesis counts, and corrects the costs.

    Attributes:
        spec: the network.
        costs: of the search, by the cost model.
        cycles: between frames.
        luts: that there may be, by synthesis.
        least: the share of them that widths should use.
        lowest: widths that must stay within the budget.
        synthesized: measures.
        tell: is told of what is chosen once more.
    """

    spec: ModelSpec
    costs: Costs
    cycles: int
    luts: float
    least: float
    lowest: BitsSpec
    synthesized: Synthesized
    tell: Callable[[str], None]
    _too_much: float = field(default=float("inf"), init=False)

    def share(self, bits: BitsSpec) -> float:
        """What widths take of the budget."""
        return self.synthesized.luts(self.spec, bits, self.cycles) / self.luts

    def __call__(self, bits: BitsSpec) -> Costs | None:
        """The costs with a budget corrected by what the model errs by at these widths; None if they may stay.

        A budget by the model that led to too much is not tried again, nor a greater one.
        """
        share, modelled = self.share(bits), self.costs.of(bits)
        if self.least <= share <= 1:
            return None
        budget = modelled / share
        if share > 1:
            self._too_much = min(self._too_much, modelled)
        corrected = replace(self.costs, budget=min(budget, self._too_much * (1 - 1e-6)))
        if corrected.of(self.lowest) > corrected.budget:
            return None
        self.tell(f"that is {share:.1%} of the budget by synthesis: chosen once more")
        return corrected

    def check(self, bits: BitsSpec) -> None:
        """Raises FlowError where widths take more than the budget."""
        share = self.share(bits)
        if share > 1:
            raise FlowError(
                f"{self.spec.name}: the widths that were found take {share:.1%} of the budget by synthesis; the cost "
                f"model errs by more than can be corrected here: ask for less"
            )
