"""Finds a folding: the cheapest that meets a rate, or the fastest that fits a budget."""

from __future__ import annotations

from flow.adders import MAX_WEIGHTS
from flow.errors import FlowError
from flow.folding import cost
from flow.folding.budget import Amount
from flow.folding.fold import (
    CHOSEN,
    Arithmetic,
    Fold,
    Folding,
    bus_lanes,
    divided_channels,
    divisors,
    max_simd,
    weighted_cycles,
)
from flow.folding.schedule import fifo_depths
from flow.ir import Concat, Depthwise, Graph, Input, Matvec, Node, SerialMatvec, Weighted


def gain(graph: Graph) -> float:
    """How many times faster a graph shall be with all runtime layers at the narrowest width than at the widest."""
    return graph.runtime.widths[-1] / graph.runtime.widths[0] if graph.runtime else 1


def _fold_cycles(graph: Graph, node: Weighted, fold: Fold) -> int:
    """Cycles per frame at the widest, or `gain` times those at the narrowest where that is more."""
    if isinstance(node, SerialMatvec):
        ends = (weighted_cycles(graph, node, fold, width) * node.weight_bits // width for width in node.widths)
        return max(ends)
    return int(weighted_cycles(graph, node, fold) * gain(graph))


def _options(graph: Graph, node: Weighted, adders: bool) -> list[tuple[int, Fold]]:
    """Every legal fold with its cycles per frame (see `_fold_cycles`), fewest cycles first."""
    options = []
    rows = [d * node.multiplier for d in divisors(node.channels)] if isinstance(node, Depthwise) else divisors(node.mh)
    for pe in rows:
        for simd in divisors(node.mw):
            if simd > max_simd(node):
                break
            fold = Fold(lanes=pe, simd=simd)
            options.append((_fold_cycles(graph, node, fold), fold))
    whole = isinstance(node, Matvec) and not isinstance(node, SerialMatvec)
    if adders and whole and node.weights.size <= MAX_WEIGHTS:
        fold = Fold(lanes=node.mh, simd=node.mw, arithmetic=Arithmetic.ADDERS)
        options.append((_fold_cycles(graph, node, fold), fold))
    return sorted(options, key=lambda option: option[0])


def _cheapest(graph: Graph, folding: Folding, node: Weighted, cycles: int, adders: bool) -> Fold:
    """The fold with the fewest LUTs, block RAMs weighed in, that needs at most `cycles` a frame.

    A graph of adders is searched for only where it can win: it takes more than a LUT for each weight.

    The channels of a Depthwise also match its source's lanes by a whole factor, as all channels at once do.
    """

    def weight(fold: Fold) -> float:
        amount = cost.weighted(graph, node, fold)
        return amount.lut + 0.1 * amount.ff + 100 * amount.bram36

    enough = [fold for needed, fold in _options(graph, node, adders) if needed <= cycles]
    if isinstance(node, Depthwise):
        window = graph.by_name[node.inputs[0]]
        given = folding.output_lanes(graph, graph.by_name[window.inputs[0]])
        enough = [fold for fold in enough if _matched(given, fold.pe // node.multiplier)]
    planes = [fold for fold in enough if fold.arithmetic is Arithmetic.PLANES]
    best = min(planes, key=weight, default=None)
    if best is not None and weight(best) < node.weights.size:
        return best
    return min([fold for fold in enough if fold not in planes] + ([best] if best else []), key=weight)


def _matched(a: int, b: int) -> bool:
    """Whether a width converter joins streams of these lanes."""
    return a % b == 0 or b % a == 0


#: a unit between two matrix-vector layers is done this much earlier than they are: as slow as the slowest of them, it
#: could not make up for a pause, and few lanes more cost little
SLACK = 15 / 16


def _lanes(graph: Graph, folding: Folding, node: Node, cycles: int) -> Fold:
    """The fewest lanes that pass the node's elements in `cycles`, with slack where lanes are left for it; with runtime
    layers in so many at the widest that it keeps pace with them at the narrowest.

    They match the sources' lanes by a whole factor.
    """
    source, faster = node.output if isinstance(node, Concat) else graph.sources(node)[0], gain(graph)
    most = int(cycles / faster)
    spare = int(most * SLACK) if source.positions <= most * SLACK else most
    given = [folding.output_lanes(graph, graph.by_name[name]) for name in node.inputs]
    for lanes in divisors(divided_channels(graph, node)):
        in_time = source.elements // lanes <= spare
        in_time = in_time and int(folding.unit_cycles(graph, node, lanes) * faster) <= cycles
        if in_time and all(_matched(g, lanes) for g in given):
            return Fold(lanes=lanes)
    raise FlowError(f"layer '{node.name}' needs {source.positions} cycles a frame at the least, more than {most}")


def _fewest(graph: Graph, node: Node, adders: bool) -> int:
    """Cycles per frame of a node that is not folded at all."""
    if isinstance(node, Weighted):
        return _options(graph, node, adders)[0][0]
    if isinstance(node, Input):
        cycles = node.output.elements // bus_lanes(node.output)
    elif isinstance(node, Concat):
        cycles = node.output.elements // divided_channels(graph, node)
    else:
        cycles = node.output.positions
    return int(cycles * gain(graph))


def for_cycles(graph: Graph, cycles: int, adders: bool = False) -> Folding:
    """The cheapest folding, layer by layer, with at most `cycles` between frames.

    With runtime layers, `cycles` is for all at the widest; at narrower widths all layers keep pace, so that the cycles
    fall as the widths do.

    Args:
        adders: whether fully unrolled layers may become graphs of adders, which needs da4ml.

    Raises:
        FlowError: some layer cannot be that fast; the message says how fast it can be.
    """
    fewest, slowest = max((_fewest(graph, node, adders), node.name) for node in graph.nodes)
    if cycles < fewest:
        raise FlowError(
            f"{cycles} cycles between frames is not possible: '{slowest}' takes {fewest} at the least; "
            f"ask for {fewest} or more"
        )
    folds: dict[str, Fold] = {}
    for node in graph.nodes:
        if isinstance(node, Weighted):
            folds[node.name] = _cheapest(graph, Folding(folds), node, cycles, adders)
        elif isinstance(node, CHOSEN):
            folds[node.name] = _lanes(graph, Folding(folds), node, cycles)
    return Folding(folds)


def estimate(graph: Graph, folding: Folding) -> Amount:
    """What the whole network is expected to take."""
    return cost.total(cost.network(graph, folding, fifo_depths(graph, folding)))


def candidates(graph: Graph, adders: bool = False) -> list[int]:
    """Every interval that some layer's folding gives, ascending."""
    floor = max(_fewest(graph, node, adders) for node in graph.nodes)
    cycles = {c for n in graph.nodes if isinstance(n, Weighted) for c, _ in _options(graph, n, adders)}
    return sorted({max(c, floor) for c in cycles})


def fastest(graph: Graph, budget: Amount, adders: bool = False) -> tuple[int, Folding]:
    """The folding with the fewest cycles between frames whose estimate fits `budget`.

    Returns:
        The target that `for_cycles` reaches it with, and the folding; with runtime layers its interval at the widest
        may be some cycles less, where the narrowest width is what decides.

    Raises:
        FlowError: even the slowest does not fit; says by how much, in which resource.
    """
    for cycles in candidates(graph, adders):
        folding = for_cycles(graph, cycles, adders)
        if estimate(graph, folding).fits(budget):
            return cycles, folding
    raise FlowError("the network does not fit, however slow: " + _over(estimate(graph, folding), budget))


def solve(graph: Graph, budget: Amount, max_cycles: int | None = None, adders: bool = False) -> Folding:
    """A folding for at most `max_cycles` between frames, or without a target the fastest that fits.

    Raises:
        FlowError: it does not fit; says by how much, in which resource, and which rate would fit.
    """
    if max_cycles is None:
        return fastest(graph, budget, adders)[1]
    folding = for_cycles(graph, max_cycles, adders)
    needed = estimate(graph, folding)
    if needed.fits(budget):
        return folding
    slower, _ = fastest(graph, budget, adders)
    raise FlowError(
        f"{max_cycles} cycles between frames does not fit the board: {_over(needed, budget)}; "
        f"{slower} cycles would fit (--max-cycles {slower})"
    )


def _over(needed: Amount, budget: Amount) -> str:
    names = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36"}
    parts = [f"{names[k]} {need:,.0f} of {have:,.0f}" for k, (need, have) in needed.excess(budget).items()]
    return "estimated " + ", ".join(parts)
