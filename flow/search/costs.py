"""What every weight layer costs at every pair of widths, of its weights and of what it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.boards import Board
from flow.cache import digest
from flow.errors import FlowError
from flow.folding import cost
from flow.folding.budget import Amount
from flow.folding.schedule import fifo_depths
from flow.folding.solve import fastest, for_cycles
from flow.search.budget import Budget
from flow.search.skeleton import skeleton
from keras_models.spec import INPUT, ModelSpec

WIDTHS = range(MIN_BITS, MAX_BITS + 1)
_INPUT_BITS = 8
#: by no more do these tables err: LUTs by synthesis are at least this share of theirs, and theirs at least this of
#: them. Where all is unrolled, graphs of adders, which no table knows, leave 0.72
CERTAIN = 0.65


@dataclass(frozen=True)
class Costs:
    """A sum over layers of a table's entry.

    Attributes:
        layers: names of the weight layers.
        sources: the activation quantizer that each reads, ``"input"`` for pixels.
        tables: float64 (layers, 8, 8): by weight width minus 1 and width of what is read minus 1.
        fixed: what widths do not change.
        budget: of the whole.
    """

    layers: tuple[str, ...]
    sources: tuple[str, ...]
    tables: np.ndarray
    fixed: float
    budget: float

    def of(self, bits: BitsSpec) -> float:
        """The cost of whole widths."""
        return self.fixed + sum(
            self.tables[index, bits.weights[layer] - 1, width_of(bits, source) - 1]
            for index, (layer, source) in enumerate(zip(self.layers, self.sources))
        )

    def fingerprint(self) -> str:
        """A hash of all that a search sees of them."""
        return digest([self.tables.tobytes(), repr((self.layers, self.sources, self.fixed, self.budget))])

    def check(self, lowest: BitsSpec, budget: Budget) -> None:
        """Raises FlowError where even the lowest widths cost too much, before anything is trained; of LUTs, which
        synthesis counts, by more than the cost model errs.
        """
        least = self.of(lowest)
        if least * (CERTAIN if budget.kind in ("luts", "cycles") else 1) > self.budget:
            what = f"{least:,.0f}"
            if budget.kind == "cycles":
                what = f"{least:,.0f} LUTs at {budget.amount:,.0f} cycles, of {self.budget:,.0f}"
            raise FlowError(f"--budget {budget}: out of reach: the lowest widths cost {what}")


def check_board(spec: ModelSpec, lowest: BitsSpec, budget: Budget, board: Board, utilization: float) -> None:
    """Raises FlowError where the board has not so many LUTs, or the network cannot have so few cycles on it, even at
    the lowest widths.

    Args:
        lowest: widths.
        budget: of LUTs or cycles; one of another kind is not looked at.
        utilization: share of the board that may be filled.
    """
    if budget.kind == "luts" and budget.amount > utilization * board.lut:
        raise FlowError(
            f"--budget {budget}: {board.name} has {board.lut:,} LUTs, of which a build may fill "
            f"{utilization * board.lut:,.0f}; ask for less, or name another --board"
        )
    if budget.kind != "cycles":
        return
    graph, full = skeleton(spec, lowest), Amount.of(board) * utilization
    full = replace(full, lut=full.lut / CERTAIN)  # synthesis may count less
    try:  # without graphs of adders, as the tables of `costs`
        least = fastest(graph, full)[1].interval(graph)
    except FlowError as error:
        raise FlowError(f"--budget {budget}: out of reach on {board.name}: {error}") from error
    if least > budget.amount:
        raise FlowError(
            f"--budget {budget}: out of reach on {board.name}: at the lowest widths the network takes {least:,} cycles "
            f"between frames at the least"
        )


def width_of(bits: BitsSpec, source: str) -> int:
    """Bits of what a layer reads."""
    return _INPUT_BITS if source == INPUT else bits.activations[source]


def costs(spec: ModelSpec, budget: Budget, board: Board, utilization: float, max_cycles: int) -> Costs:
    """The tables of a budget.

    LUTs are the cost model's, of each layer at the cheapest fold for `max_cycles`, none as a graph of adders, which
    depends on every weight; what activations cost by themselves is that of uniform 4 bits. A budget of cycles is one of
    the board's LUTs at that many cycles.

    Raises:
        FlowError: a layer cannot keep up with the cycles.
    """
    layers = spec.weight_layers()
    names, sources = tuple(w.name for w in layers), tuple(w.source for w in layers)
    grid = np.arange(MIN_BITS, MAX_BITS + 1, dtype=np.float64)
    if budget.kind == "bytes":
        tables = np.array([np.repeat(w.weights * grid[:, None] / 8, MAX_BITS, axis=1) for w in layers])
        return Costs(names, sources, tables, 0.0, budget.amount)
    if budget.kind == "bops":
        return Costs(names, sources, np.array([w.macs * np.outer(grid, grid) for w in layers]), 0.0, budget.amount)
    cycles = int(budget.amount) if budget.kind == "cycles" else max_cycles
    limit = board.lut * utilization if budget.kind == "cycles" else budget.amount
    return _lut_costs(spec, names, sources, cycles, limit)


def _lut_costs(spec: ModelSpec, names: tuple[str, ...], sources: tuple[str, ...], cycles: int, limit: float) -> Costs:
    tables = np.zeros((len(names), MAX_BITS, MAX_BITS))
    fixed = 0.0
    for reads in WIDTHS:
        for weights in WIDTHS:
            found = _luts(spec, _all(spec, weights, reads), cycles)
            tables[:, weights - 1, reads - 1] = [found[name] for name in names]
            if weights == reads == 4:
                fixed = sum(found.values()) - sum(found[name] for name in names)
    return Costs(names, sources, tables, fixed, limit)


def _all(spec: ModelSpec, weights: int, reads: int) -> BitsSpec:
    """All layers at one width; the operands of adds as they always are."""
    return BitsSpec(
        weights={w.name: weights for w in spec.weight_layers()},
        activations={a.name: max(a.default_bits or reads, 1 + a.signed) for a in spec.activation_layers()},
    )


def _luts(spec: ModelSpec, bits: BitsSpec, cycles: int) -> dict[str, float]:
    graph = skeleton(spec, bits)
    folding = for_cycles(graph, cycles)
    return {name: found.lut for name, found in cost.network(graph, folding, fifo_depths(graph, folding)).items()}
