"""Networks of a common cost as synthesis counts it, found before any is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flow.errors import FlowError
from flow.isocost.solve import Equal, networks_about, one_width
from flow.search.synthesized import Synthesized
from keras_models.spec import ModelSpec

#: a network this near the common cost is not looked for again
_NEAR = 0.025
_ROUNDS = 5


def equal_measured(
    spec: ModelSpec, reference: ModelSpec, widths: Sequence[int], equal: Equal, synthesized: Synthesized,
    tell: Callable[[str], None],
) -> tuple[Equal, dict[int, ModelSpec]]:  # fmt: skip
    """The common cost in LUTs as synthesis counts them, and for each width the network that has it.

    The network that is nearest by the cost model is synthesized, then the nearest of the others by the ratio that was
    found, until one is near enough; after some, the nearest is taken. For equal cycles the LUTs are those that the
    reference takes at these cycles, so that all fill the board alike.

    Args:
        reference: the network that sets the cost at the widest width.
        widths: ascending.
        synthesized: asked for the LUTs of each network.
        tell: is told how near each comes.

    Raises:
        FlowError: no network that was synthesized is within the tolerance, or none is near.
    """
    widest = widths[-1]
    taken = synthesized.luts(reference, one_width(reference, widest), equal.cycles)
    target = taken if equal.kind == "luts" else min(taken, equal.lut)
    ratios = {widest: taken / equal.estimated_luts(reference, widest)}
    tell(f"{reference.name} at {widest} bits sets the common cost, {ratios[widest]:.1%} of the estimate")
    networks = {widest: reference}
    for bits in widths[:-1]:
        shares: dict[ModelSpec, float] = {}
        ratio = 1.0
        while len(shares) < _ROUNDS:  # what is near the target depends on the ratio
            about = networks_about(spec, bits, equal.measured(target, {**ratios, bits: ratio}))
            options = {network: equal.estimated_luts(network, bits) for network in about if network not in shares}
            if not options:
                break
            network = min(options, key=lambda option: abs(ratio * options[option] / target - 1))
            luts = synthesized.luts(network, one_width(network, bits), equal.cycles)
            ratio, shares[network] = luts / options[network], luts / target
            tell(f"{network.name} at {bits} bits: {shares[network]:.1%} of the common cost")
            if abs(shares[network] - 1) <= _NEAR:
                break
        if not shares:
            raise FlowError(
                f"{spec.name} at {bits} bits: no width multiplier leads near {target:,.0f} LUTs at {equal.cycles:,} "
                f"cycles; another --share, or more --cycles"
            )
        best, share = min(shares.items(), key=lambda pair: abs(pair[1] - 1))
        if abs(share - 1) > equal.tolerance:
            raise FlowError(
                f"{spec.name} at {bits} bits: no width multiplier was found whose network takes {target:,.0f} LUTs by "
                f"synthesis within {equal.tolerance:.0%}; the nearest, {best.name}, takes {share:.1%}; another --share "
                f"or --cycles may have one"
            )
        networks[bits] = best
        ratios[bits] = share * target / equal.estimated_luts(best, bits)
    return equal.measured(target, ratios), {bits: networks[bits] for bits in widths}
