"""What a study of equal cost has found so far: what it is of, a row for each network, means and gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from flow.bits import BitsSpec
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, Arm, Recipe
from flow.isocost.plot import plot
from flow.isocost.solve import Equal, weight_bytes
from flow.report import Report
from flow.report.measured import filled
from flow.report.summary import DASH, amount
from flow.search.costs import width_of
from flow.study.table import Paired, Results, differing, luts, paired, percent, points, spread, table
from flow.training.checkpoints import read_meta

#: of the files of results
NAME = "isocost"


@dataclass(frozen=True)
class About:
    """What the rows are of.

    Attributes:
        command: that makes the study again.
        dataset: that all were trained on.
        recipe: epochs.
        teacher: name of the float network that teaches all, its accuracy, and the hash of its weights' file.
        board: that the networks are built for, and the plan is for.
        equal: the common cost.
    """

    command: str
    dataset: str
    recipe: Recipe
    teacher: dict[str, str | float | None]
    board: str
    equal: Equal

    def lines(self) -> list[str]:
        """Markdown."""
        recipe, teacher = self.recipe, self.teacher
        return [
            f"Common cost: {equal_text(self.equal)}, within {self.equal.tolerance:.0%}; board: {self.board}.",
            f"Trained on {self.dataset}; epochs: {recipe.float_epochs} of a float start, {recipe.epochs} quantized, "
            f"{recipe.search_epochs} of these in a search where widths are searched.",
            f"Teacher: the float {teacher['network']}, {percent(teacher['accuracy'])}. Made by:",
            "",
            f"    {self.command}",
            "",
        ]


@dataclass(frozen=True)
class Row:
    """One network; None where it was not measured.

    Attributes:
        network: name of the model, with its multiplier.
        group: one width, not widened, or mixed; see `flow.isocost.arms`.
        weights: bits of its weights, or ``"mixed"``.
        share: of the common cost as planned: bytes, or else LUTs, which networks of equal cycles have in common too.
        measured_share: of it as built.
        within: whether that is within the tolerance, and the cycles are those that all have in common; None of one that
            is meant to cost less.
        accuracy: of the trained network, on `test_images`.
        bytes: of weights.
        macs, bit_operations: of a frame, at the widths of weights and activations; where a layer reads a pool's sum,
            the hardware's operands are wider.
        lut, dsp, bram36, interval_cycles: of the built network, by synthesis and simulation.
        fits: whether the board holds it, by synthesis.
        differing: integers in which Keras, C simulation and RTL differ from golden, in sum, on `images`.
        deployed: accuracy of the built network, in integers, on all test images.
        sha256: of the weights.
        beside: of a mixed one, the width of the network that it stands beside.
    """

    network: str
    group: str
    weights: str
    seed: int
    share: float
    accuracy: float
    test_images: int
    bytes: float
    macs: int
    bit_operations: int
    lut: float | None = None
    dsp: float | None = None
    bram36: float | None = None
    interval_cycles: int | None = None
    differing: int | None = None
    images: int | None = None
    measured_share: float | None = None
    within: bool | None = None
    fits: bool | None = None
    deployed: float | None = None
    sha256: str = ""
    beside: str = ""


def read_row(
    arm: Arm, bits: BitsSpec, equal: Equal, checkpoint: Path, report: Report | None, luts: float | None = None
) -> Row:
    """The row of a trained network.

    Args:
        bits: of every layer.
        report: of its build, if there is one.
        luts: by synthesis before it was trained, where that was done.
    """
    meta = read_meta(checkpoint)
    row = Row(
        network=arm.spec.name, group=arm.group, weights=arm.label, seed=arm.seed,
        share=equal.share(arm.spec, bits, luts), accuracy=meta.accuracy, test_images=meta.test_images,
        bytes=weight_bytes(arm.spec, bits), macs=arm.spec.macs,
        bit_operations=sum(
            w.macs * bits.weights[w.name] * width_of(bits, w.source) for w in arm.spec.weight_layers()
        ),
        sha256=meta.sha256, beside=str(arm.beside or ""),
    )  # fmt: skip
    if report is None:
        return row
    row = filled(row, report)
    if equal.kind == "bytes":
        share = weight_bytes(arm.spec, report.bits) / equal.target
    elif row.lut is None or row.interval_cycles is None:
        return row
    else:
        share = row.lut / equal.luts
    return replace(row, measured_share=share, within=None if arm.group == NOT_WIDENED else _within(row, share, equal))


def _within(row: Row, share: float, equal: Equal) -> bool:
    """Whether a built network is within the tolerance of the common cost.

    Args:
        share: of it.
    """
    cycles = 0.0 if equal.kind == "bytes" else row.interval_cycles / equal.cycles - 1
    missed = abs(cycles) if equal.kind == "cycles" else cycles  # networks of equal LUTs may be faster
    return max(abs(share - 1), missed) <= equal.tolerance


@dataclass(frozen=True)
class Mean:
    """The seeds of one network.

    Attributes:
        network, group, weights: as of `Row`.
        seeds: that were trained.
        accuracy: their mean.
        spread: between the least and the greatest, in percentage points; None with one seed.
    """

    network: str
    group: str
    weights: str
    seeds: tuple[int, ...]
    accuracy: float
    spread: float | None


@dataclass(frozen=True)
class Gain(Paired):
    """Searched widths against one width for all layers, of networks with as many channels.

    Attributes:
        network: of both.
        beside: the one width.
    """

    network: str
    beside: str


def means(rows: Sequence[Row]) -> list[Mean]:
    """Every network over its seeds."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.network, row.group, row.weights), []).append(row)
    return [
        Mean(*key, tuple(r.seed for r in part), sum(accuracies) / len(part), spread(accuracies))
        for key, part in found.items()
        for accuracies in [[row.accuracy for row in part]]
    ]


def gains(rows: Sequence[Row]) -> list[Gain]:
    """The mixed network against that of one width and as many channels, where both were trained with the same seed."""
    found = []
    for network, beside in dict.fromkeys((row.network, row.beside) for row in rows if row.group == MIXED):
        mixed = [row for row in rows if (row.network, row.beside) == (network, beside)]
        one = [r for r in rows if (r.network, r.group, r.weights) == (network, ONE_WIDTH, beside)]
        pair = paired(mixed, one)
        if pair is not None:
            found.append(Gain(**vars(pair), network=network, beside=beside))
    return found


def results(rows: Sequence[Row], about: About) -> Results:
    """What is known; networks that are not trained yet have no row."""
    found = {"rows": rows, "means": means(rows), "gains": gains(rows)}
    plain = asdict(about) | {"tolerance": about.equal.tolerance} | found
    plots = {"accuracy.svg": plot(rows, equal_text(about.equal))} if rows else {}
    return Results(NAME, Row, plain, markdown(rows, about), plots)


T = TypeVar("T", Row, Mean)


def _in_order(found: Sequence[T]) -> list[T]:
    """The most accurate of each group first."""
    return sorted(found, key=lambda entry: (entry.group != ONE_WIDTH, entry.group, -entry.accuracy))


def markdown(rows: Sequence[Row], about: About) -> str:
    """What it is of; tables of networks, the most accurate of each group first, and of their seeds; mixed widths
    against one width.
    """
    lines = about.lines()
    lines += table(
        "weights, bits | network | kind | seed | accuracy | deployed | of the common cost, planned | built | "
        f"within {about.equal.tolerance:.0%} | bytes | MACs | bit operations | LUT | DSP | BRAM36 | cycles | "
        "differing integers (images)",
        [
            [row.weights, row.network, row.group, row.seed, percent(row.accuracy), percent(row.deployed),
             percent(row.share, 1), percent(row.measured_share, 1), {None: DASH, True: "yes", False: "no"}[row.within],
             f"{row.bytes:,.0f}", f"{row.macs:,}", f"{row.bit_operations:,}", luts(row), amount(row.dsp),
             amount(row.bram36), amount(row.interval_cycles), differing(row)]
            for row in _in_order(rows)
        ],
    )  # fmt: skip
    seeds = [
        [mean.weights, mean.network, mean.group, ", ".join(map(str, mean.seeds)), percent(mean.accuracy),
         points(mean.spread)]
        for mean in _in_order(means(rows))
    ]  # fmt: skip
    lines += ["", *table("weights, bits | network | kind | seeds | mean accuracy | spread of seeds", seeds)]
    for gain in gains(rows):
        named = f"seed{'s' if len(gain.seeds) > 1 else ''} {', '.join(map(str, gain.seeds))}"
        lines += [
            "",
            f"Searched widths against {gain.beside} bits for all layers, {gain.network}, {named}: {gain.points:+.2f} "
            f"points; spread of the seeds {points(gain.spread, 'unknown with one seed')}.",
        ]
    return "\n".join(lines) + "\n"


def equal_text(equal: Equal) -> str:
    """The common cost for people."""
    if equal.kind == "bytes":
        return f"{equal.target:,.0f} bytes of weights"
    if equal.kind == "luts":
        return f"{equal.target:,.0f} LUTs at {equal.cycles:,} cycles between frames"
    return f"{equal.cycles:,} cycles between frames with about {equal.lut:,.0f} LUTs"
