"""Which networks a study of equal cost trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.boards import Board
from flow.errors import FlowError
from flow.isocost.solve import Equal, breakpoints, check_fits, one_width, solve_multiplier
from flow.quantizers import UNIFORM
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
        beside: of a mixed one, the width of the network with as many channels and at the same cost.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
    """

    group: str
    spec: ModelSpec
    bits: BitsSpec | None
    label: str
    seed: int
    beside: int | None = None
    quantizer: str = UNIFORM

    @property
    def name(self) -> str:
        return arm_name(self.spec.name, self.label, self.seed)


def arm_name(network: str, label: str, seed: int) -> str:
    """What a network is called, from its model, the width of its weights, and its seed."""
    return f"{network}-w{label}-seed-{seed}"


@dataclass(frozen=True)
class Recipe:
    """Epochs of the parts of a training; every network has the same number in all.

    Attributes:
        float_epochs: of the float start, taught by the base model.
        search_epochs: of a mixed network, in which its widths are learned.
        epochs: of quantized training, those of a search included.
    """

    float_epochs: int = 10
    search_epochs: int = 6
    epochs: int = 20

    def __post_init__(self) -> None:
        if self.epochs <= self.search_epochs:
            raise FlowError(f"--epochs {self.epochs}: must be more than the {self.search_epochs} of a search")

    def at_whole_widths(self, arm: Arm) -> int:
        """Epochs of an arm at its final widths."""
        return self.epochs - (self.search_epochs if arm.group == MIXED else 0)

    def parts(self, arm: Arm) -> dict[str, int]:
        """Epochs of the float start, which networks of one shape and seed share, and of the rest."""
        return {f"{arm.spec.name}-float-seed-{arm.seed}": self.float_epochs, arm.name: self.epochs}


@dataclass(frozen=True)
class Folders:
    """Where a study keeps what.

    Studies of one model at several kinds of cost share what does not depend on the kind: many of their networks are the
    same.

    Attributes:
        root: of all studies of a model.
        kind: of the common cost.
    """

    root: Path
    kind: str

    @property
    def results(self) -> Path:
        """Tables, the plot, and what was measured for the plan."""
        return self.root / self.kind

    def starts(self, arm: Arm) -> Path:
        """Float starts."""
        return self.root / f"seed-{arm.seed}"

    def networks(self, arm: Arm) -> Path:
        """Checkpoints and the states of trainings; a searched network's are the kind's own."""
        return self.results / arm.name if arm.group == MIXED else self.starts(arm)

    def checkpoint(self, arm: Arm, dataset: str, bits: BitsSpec) -> Path:
        """Weights."""
        return checkpoint_path(arm.spec.name, dataset, bits, self.networks(arm))

    def build(self, arm: Arm, cycles: int) -> Path:
        """The run of `flow build`, which is large."""
        return self._hardware(arm) / "builds" / f"{arm.name}-{cycles}-cycles"

    def report(self, arm: Arm, cycles: int) -> Path:
        """What is kept of it."""
        return self._hardware(arm) / "reports" / f"{arm.name}-{cycles}-cycles.json"

    def _hardware(self, arm: Arm) -> Path:
        return self.results if arm.group == MIXED else self.root


def parse_widths(text: str) -> list[int]:
    """Widths with commas between, ascending.

    Raises:
        FlowError: not that, outside 1..8, or fewer than two.
    """
    try:
        widths = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise FlowError(f"--bits {text}: should be widths with commas between, such as 1,2,4,8") from None
    if not all(MIN_BITS <= width <= MAX_BITS for width in widths):
        raise FlowError(f"--bits {text}: widths are {MIN_BITS} to {MAX_BITS} bits")
    if len(widths) < 2:
        raise FlowError(f"--bits {text}: a comparison needs two widths at least")
    return widths


def parse_mixed(text: str, widths: Sequence[int]) -> list[int]:
    """Widths of a study with commas between; of one that it does not have, the nearest of those above the lowest, under
    which no searched width can be.

    Raises:
        FlowError: not widths, or the lowest.
    """
    try:
        asked = [int(part) for part in text.split(",")]
    except ValueError:
        raise FlowError(f"--mixed {text}: should be widths with commas between, such as 2,4, or none") from None
    if not all(MIN_BITS <= bits <= MAX_BITS for bits in asked):
        raise FlowError(f"--mixed {text}: widths are {MIN_BITS} to {MAX_BITS} bits")
    possible = [width for width in widths if width > MIN_BITS]
    if MIN_BITS in asked:
        raise FlowError(f"--mixed {text}: no layer can have fewer than {MIN_BITS} bit; name one of {possible}, or none")
    return sorted({min(possible, key=lambda width: abs(width - bits)) for bits in asked})


def plan(
    spec: ModelSpec, narrowest: ModelSpec, widths: list[int], equal: Equal, board: Board, seeds: int,
    mixed: Sequence[int] = (), networks: Mapping[int, ModelSpec] | None = None,
) -> list[Arm]:  # fmt: skip
    """The networks of a study, those of the first seed first.

    Args:
        narrowest: the network that sets the common cost, at the widest width.
        widths: ascending.
        board: that all networks must fit at the study's cycles.
        mixed: widths of `widths` beside whose networks stands one of as many channels with searched widths.
        networks: of the common cost, for each width, where synthesis has found them; else the cost model does.

    Raises:
        FlowError: a width has no network of the common cost, one does not fit the board by the cost model, corrected by
            what was measured, or two widths of `mixed` have one network.
    """
    solved = networks or {bits: solve_multiplier(spec, bits, equal).spec for bits in widths[:-1]}
    solved = {**solved, widths[-1]: narrowest}
    for one, other in combinations(mixed, 2):
        if solved[one].name == solved[other].name:
            raise FlowError(f"--mixed: {one} and {other} bits have one network here, {solved[one].name}; name one")
    arms = []
    for seed in range(seeds):
        arms += [Arm(ONE_WIDTH, network, one_width(network, b), str(b), seed) for b, network in solved.items()]
        arms += [Arm(MIXED, solved[bits], None, MIXED, seed, bits) for bits in mixed]
        if seed == 0:
            others = (bits for bits in widths[:-1] if solved[bits].name != narrowest.name)
            arms += [Arm(NOT_WIDENED, narrowest, one_width(narrowest, bits), str(bits), seed) for bits in others]
    known = [(arm.spec, arm.bits) for arm in arms if arm.bits and arm.seed == 0]
    check_fits(known, board, equal.cycles, equal.kind != "cycles", equal.ratios)
    return arms


def reference(spec: ModelSpec, share_of_macs: float) -> ModelSpec:
    """The network that sets the common cost at the widest width: as many channels as leave a share of the MACs."""
    return min(
        (widened(spec, multiplier) for multiplier in breakpoints(spec, 1.0)),
        key=lambda network: abs(network.macs / spec.macs - share_of_macs),
    )
