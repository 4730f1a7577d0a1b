"""What networks take in synthesis, before they are trained: the cost model errs by some percent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import flow
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
from flow.search.costs import CERTAIN, Costs
from flow.search.skeleton import skeleton
from flow.synth import network
from flow.tools import yosys
from flow.training.claim import once
from keras_models.spec import ModelSpec

FILE = "measured.json"
#: the share of a budget that a search should use
USED = 0.95
#: layers between two lines of progress
_STEP = 8
_LUTS, _MADE_BY = "luts", "made_by"
#: how often widths are chosen, and how much less is asked for after each time that none was within the budget
_TRIES, _MARGIN = 6, 0.01


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


class NotSynthesized(FlowError):
    """LUTs were asked for that nobody has measured yet."""


class Synthesized:
    """LUTs of untrained networks by synthesis, each synthesized once, by one of the processes that ask for it.

    A study that goes on after a change of the RTL or the folding keeps what it has: its networks were chosen by that.

    Args:
        file: JSON, where they are kept.
        tell: is told of each network.
        only_known: synthesize nothing.
    """

    def __init__(self, file: Path, tell: Callable[[str], None], only_known: bool = False) -> None:
        self._file, self._tell, self._only_known = file, tell, only_known
        old = [key for key, entry in self._read().items() if entry[_MADE_BY] != _maker()]
        if old:
            tell(
                f"{file}: {len(old)} network(s) were synthesized by another version of the RTL, the folding or the "
                f"tools; their LUTs are kept, without the file all are measured again"
            )

    def known(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float | None:
        """What was found before, None if the network was not synthesized."""
        entry = self._read().get(_key(spec, bits, cycles))
        return None if entry is None else entry[_LUTS]

    def luts(self, spec: ModelSpec, bits: BitsSpec, cycles: int) -> float:
        """LUTs of logic and memory at so many cycles between frames.

        Raises:
            NotSynthesized: they are not known, and only what is known may be taken.
        """
        key = _key(spec, bits, cycles)
        if self._only_known and self.known(spec, bits, cycles) is None:
            raise NotSynthesized(f"{key}: not synthesized yet")

        def synthesize() -> float:
            self._tell(f"{key}: synthesizing, before anything is trained on")
            found = measured_luts(spec, bits, cycles, self._tell)
            with locked(self._file.with_suffix(".lock")):  # another process may have added others
                write_json(self._file, self._read() | {key: {_LUTS: found, _MADE_BY: _maker()}})
            return found

        claim = f"synthesis-{digest([key])[:12]}"
        found = once(self._file.parent, claim, lambda: self.known(spec, bits, cycles), synthesize, self._tell)
        self._tell(f"{key}: {found:,.0f} LUTs by synthesis")
        return found

    def _read(self) -> dict[str, dict]:
        return read_json(self._file) if self._file.is_file() else {}


@cache
def _maker() -> str:
    """A hash of what LUTs depend on besides the network: modules, folding, generators, tools."""
    package = Path(flow.__file__).parent
    sources = [package / "search" / "skeleton.py"]
    sources += [file for part in ("adders", "folding", "rtl", "synth") for file in (package / part).rglob("*.py")]
    tools = [yosys.version(), version("da4ml") if available() else ""]
    return digest([*content(sorted(paths.verilog().glob("*.sv"))), *content(sorted(sources)), *tools])


def _key(spec: ModelSpec, bits: BitsSpec, cycles: int) -> str:
    """For people too: the one width of the weights, or a hash of all widths."""
    widths = set(bits.weights.values())
    alike = len(widths) == 1 and set(bits.activations.values()) == {8}
    return f"{spec.name} {f'w{min(widths)}' if alike else bits.label(spec)} {cycles} cycles"


@dataclass(frozen=True)
class SynthesizedBudget:
    """Whole widths within a budget of LUTs as synthesis counts them, chosen by a cost model that errs.

    Attributes:
        spec: the network.
        costs: of the search, by the cost model.
        cycles: between frames.
        luts: that there may be, by synthesis.
        least: the share of the budget that widths should use.
        lowest: widths that must stay within it.
        synthesized: measures.
        tell: is told of what is chosen once more.
        fallback: widths that are known to be within it, for when no others are.
    """

    spec: ModelSpec
    costs: Costs
    cycles: int
    luts: float
    least: float
    lowest: BitsSpec
    synthesized: Synthesized
    tell: Callable[[str], None]
    fallback: BitsSpec | None = None

    def share(self, bits: BitsSpec) -> float:
        """What widths take of the budget, by synthesis."""
        return self.synthesized.luts(self.spec, bits, self.cycles) / self.luts

    def checked(self) -> SynthesizedBudget:
        """The same, by costs of which the lowest widths are within the budget, as they are by synthesis; they are
        synthesized where there is a doubt.

        Raises:
            FlowError: even the lowest widths take too much.
        """
        modelled = self.costs.of(self.lowest)
        if modelled <= CERTAIN * self.costs.budget:
            return self
        share = self.share(self.lowest)
        if share > 1:
            raise FlowError(
                f"{self.spec.name}: out of reach: the lowest widths take {share * self.luts:,.0f} LUTs by synthesis, "
                f"{share:.1%} of the budget"
            )
        return replace(self, costs=replace(self.costs, budget=max(self.costs.budget, modelled / share)))

    def choose(self, chosen: Callable[[Costs], BitsSpec]) -> BitsSpec:
        """Of the widths that are chosen by corrected budgets, those that use most of the true one.

        A budget by the cost model that led to too much is not asked for again, nor a greater one.

        Args:
            chosen: the best widths within a budget by the cost model.

        Raises:
            FlowError: all of them take too much.
        """
        costs, too_much, tried, shares = self.costs, float("inf"), [], []
        within: list[tuple[float, BitsSpec]] = []
        while (bits := chosen(costs)) not in tried:
            modelled, share = self.costs.of(bits), self.share(bits)
            tried.append(bits)
            shares.append(share)
            if share <= 1:
                within.append((share, bits))
                if share >= self.least:
                    break
            else:
                too_much = min(too_much, modelled)
            margin = 0.0 if within else _MARGIN * len(shares)
            least = self.costs.of(self.lowest)
            budget = min(max(modelled / share * (1 - margin), least), too_much * (1 - 1e-6))
            costs = replace(self.costs, budget=budget)
            if least > budget or len(tried) == _TRIES:
                break
            self.tell(f"that is {share:.1%} of the budget by synthesis: chosen once more")
        if not within and self.fallback is not None:
            return self.fallback
        if not within:
            raise FlowError(
                f"{self.spec.name}: the widths that were found take {min(shares):.1%} of the budget by synthesis; the "
                f"cost model errs by more than can be corrected here: allow more LUTs or cycles"
            )
        return max(within, key=lambda pair: pair[0])[1]
