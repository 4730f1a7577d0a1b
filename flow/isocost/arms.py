"""Which networks a study of equal cost trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.isocost.solve import Equal, one_width, solve_multiplier
from flow.training.checkpoints import checkpoint_path
from keras_models.spec import ModelSpec
from keras_models.widen import widened

ONE_WIDTH, NOT_WIDENED, MIXED = "one width", "not widened", "mixed"


@dataclass(frozen=True)
class Arm:
    """One network.

    Attributes:
        group: `ONE_WIDTH`: widened to the common cost; `NOT_WIDENED`: the narrowest of them at fewer bits, which costs
            less; `MIXED`: a width for every layer, found by a search at the common cost.
        spec: the model with its multiplier.
        bits: of every layer; None where a search is to find them.
        label: of its weights: ``"4"`` or ``"mixed"``.
        seed: of order and augmentation.
    """

    group: str
    spec: ModelSpec
    bits: BitsSpec | None
    label: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.spec.name}-w{self.label}-seed-{self.seed}"

    def folder(self, study: Path) -> Path:
        """Where its checkpoint, the state of its training and its build are."""
        return study / f"seed-{self.seed}"

    def checkpoint(self, dataset: str, study: Path, bits: BitsSpec) -> Path:
        """Where its weights are kept."""
        return checkpoint_path(self.spec.name, dataset, bits, self.folder(study))


def parse_widths(text: str) -> list[int]:
    """Widths with commas between, ascending.

    Raises:
        FlowError: not that, outside 1..8, or fewer than two.
    """
    try:
        widths = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise FlowError(f"--bits {text}: should be widths with commas between, such as 1,2,4,8") from None
    if not all(1 <= width <= 8 for width in widths):
        raise FlowError(f"--bits {text}: widths are 1 to 8 bits")
    if len(widths) < 2:
        raise FlowError(f"--bits {text}: a comparison needs two widths at least")
    return widths


def plan(spec: ModelSpec, widths: list[int], equal: Equal, seeds: int, mixed_at: int | None = 4) -> list[Arm]:
    """The networks of a study, those of the first seed first.

    Args:
        widths: ascending.
        mixed_at: the search starts from the network of this width, or of the nearest one; None for no search.

    Raises:
        FlowError: a width has no network of the common cost.
    """
    solved = {bits: solve_multiplier(spec, bits, equal) for bits in widths}
    narrowest = solved[widths[-1]].spec
    arms = []
    for seed in range(seeds):
        arms += [Arm(ONE_WIDTH, s.spec, one_width(s.spec, b), str(b), seed) for b, s in solved.items()]
        if mixed_at is not None:
            near = min(widths, key=lambda bits: abs(bits - mixed_at))
            arms.append(Arm(MIXED, solved[near].spec, None, MIXED, seed))
        if seed == 0:
            others = (bits for bits in widths[:-1] if solved[bits].spec.name != narrowest.name)
            arms += [Arm(NOT_WIDENED, narrowest, one_width(narrowest, bits), str(bits), seed) for bits in others]
    return arms


def reference(spec: ModelSpec, share_of_macs: float) -> ModelSpec:
    """The network that sets the common cost at the widest width: as many channels as leave a share of the MACs."""
    from flow.isocost.solve import breakpoints

    return min(
        (widened(spec, multiplier) for multiplier in breakpoints(spec, 1.0)),
        key=lambda network: abs(network.macs / spec.macs - share_of_macs),
    )
