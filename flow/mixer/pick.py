"""The best of the measured configurations within a budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flow.errors import FlowError
from flow.mixer.curve import Curve, Sample
from flow.tasks import ERROR


def pick(curve: Curve, average_bits: float | None = None, budget_cycles: int | None = None) -> Sample:
    """The configuration with the best score, of two that are equal the narrower one.

    Args:
        curve: the sampled space.
        average_bits: at most so many.
        budget_cycles: at most so many between frames.

    Raises:
        FlowError: no configuration is within the budget, or its cycles are not known.
    """
    if (average_bits is None) == (budget_cycles is None):
        raise FlowError("give one budget: --avg-bits or --budget-cycles")
    samples = list(curve.samples)
    if not samples:
        raise FlowError("no configuration was measured; `flow mixer` measures them")
    if average_bits is not None:
        found = [sample for sample in samples if sample.average_bits <= average_bits]
        least = f"{min(sample.average_bits for sample in samples):g} bits"
        budget = f"--avg-bits {average_bits:g}"
    else:
        samples = [sample for sample in samples if sample.cycles is not None]
        if not samples:
            raise FlowError(
                "--budget-cycles: the cycles of no configuration are known; give a folder of `flow build "
                "--runtime-bits` (--build)"
            )
        found = [sample for sample in samples if sample.cycles <= budget_cycles]
        least = f"{min(sample.cycles for sample in samples):,} cycles"
        budget = f"--budget-cycles {budget_cycles}"
    if not found:
        raise FlowError(f"{budget}: no configuration is within it; the least has {least}")
    sign = -1 if curve.metric == ERROR else 1
    return max(found, key=lambda sample: (sign * sample.score, -sample.average_bits, -(sample.cycles or 0)))


def with_cycles(curve: Curve, cycles: Callable[[Mapping[str, int]], int]) -> Curve:
    """The curve with the cycles between frames of every sample: what the hardware tells of its configurations.

    Args:
        curve: measured configurations.
        cycles: of the widths by layer.
    """
    samples = [
        sample.model_copy(update={"cycles": int(cycles(dict(zip(curve.layers, sample.bits, strict=True))))})
        for sample in curve.samples
    ]
    return curve.model_copy(update={"samples": tuple(samples)})
