"""What the networks of a plan take in synthesis, before anything is trained: the cost model errs by some percent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from flow import paths
from flow.adders import available
from flow.files import read_json, write_json
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


def measured_luts(spec: ModelSpec, bits: int, cycles: int) -> float:
    """LUTs of logic and memory of a network with random weights, synthesized layer by layer."""
    graph = skeleton(spec, one_width(spec, bits))
    folding = for_cycles(graph, cycles, adders=available())
    sizes = {name: found.lut for name, found in cost.network(graph, folding, fifo_depths(graph, folding)).items()}
    with tempfile.TemporaryDirectory() as folder:
        design = write(graph, folding, Path(folder))
        return network.measure(design, sizes, paths.cache() / "synth").total.luts_used


def equal_measured(
    spec: ModelSpec, reference: ModelSpec, widths: Sequence[int], equal: Equal, folder: Path,
    tell: Callable[[str], None],
) -> Equal:  # fmt: skip
    """The common cost in LUTs as synthesis counts them, and what multiplies the cost model's at each width.

    A network is chosen by the cost model, synthesized, and chosen again with the ratio that was found, until it is near
    enough or does not change.

    Args:
        reference: the network that sets the cost at the widest width.
        widths: ascending.
        folder: where what was measured is kept, by network and width.
        tell: is told of each network.
    """
    known = read_json(folder / FILE) if (folder / FILE).is_file() else {}

    def luts(network_spec: ModelSpec, bits: int) -> float:
        key = f"{network_spec.name} w{bits} {equal.cycles}"
        if key not in known:
            known[key] = measured_luts(network_spec, bits, equal.cycles)
            write_json(folder / FILE, known)
        return known[key]

    widest = widths[-1]
    target = luts(reference, widest)
    ratios = {widest: target / equal.cost(reference, one_width(reference, widest))}
    tell(f"{reference.name} at {widest} bits: {target:,.0f} LUTs by synthesis, {ratios[widest]:.1%} of the estimate")
    for bits in widths[:-1]:
        found: Solved | None = None
        for _ in range(_ROUNDS):
            before, found = found, solve_multiplier(spec, bits, equal.measured(target, ratios))
            if before is not None and before.spec.name == found.spec.name:
                break
            plain = equal.cost(found.spec, one_width(found.spec, bits))
            real = luts(found.spec, bits)
            ratios[bits] = real / plain
            tell(f"{found.spec.name} at {bits} bits: {real:,.0f} LUTs by synthesis, {real / target:.1%} of that")
            if abs(real / target - 1) <= _NEAR:
                break
    return equal.measured(target, ratios)
