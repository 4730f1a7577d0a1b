"""What a study of equal cost has found so far: a row for each network, as JSON, CSV, Markdown and a plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flow.bits import BitsSpec
from flow.files import write_json, write_whole
from flow.isocost.arms import MIXED, NOT_WIDENED, ONE_WIDTH, Arm
from flow.isocost.solve import Equal
from flow.report import Report
from flow.report.measured import filled
from flow.search.costs import width_of
from flow.training.checkpoints import read_meta

JSON, CSV, MARKDOWN, PLOT = "isocost.json", "isocost.csv", "isocost.md", "accuracy.svg"


@dataclass(frozen=True)
class Row:
    """One network; None where it was not measured.

    Attributes:
        network: name of the model, with its multiplier.
        group: one width, not widened, or mixed; see `flow.isocost.arms`.
        weights: bits of its weights, or ``"mixed"``.
        share: of the common cost: bytes as counted, LUTs and cycles as planned; None where it does not fit the board.
        measured_share: of it as built.
        accuracy: of the trained network, on `test_images`.
        bytes: of weights.
        macs, bit_operations: of a frame, at the widths of weights and activations; where a layer reads a pool's sum,
            the hardware's operands are wider.
        lut, dsp, bram36, interval_cycles: of the built network, by synthesis and simulation.
        differing: integers in which Keras, C simulation and RTL differ from golden, in sum, on `images`.
    """

    network: str
    group: str
    weights: str
    seed: int
    share: float | None
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
    sha256: str = ""


def read_row(
    arm: Arm, bits: BitsSpec, equal: Equal, checkpoint: Path, report: Report | None, luts: float | None = None
) -> Row:
    """The row of a trained network.

    Args:
        bits: of every layer.
        report: of its build, if there is one.
        luts: by synthesis before it was trained, where that was done.
    """
    meta, layers = read_meta(checkpoint), arm.spec.weight_layers()
    row = Row(
        network=arm.spec.name, group=arm.group, weights=arm.label, seed=arm.seed,
        share=equal.share(arm.spec, bits, luts), accuracy=meta.accuracy, test_images=meta.test_images,
        bytes=sum(w.weights * bits.weights[w.name] for w in layers) / 8, macs=arm.spec.macs,
        bit_operations=sum(w.macs * bits.weights[w.name] * width_of(bits, w.source) for w in layers),
        sha256=meta.sha256,
    )  # fmt: skip
    if report is None:
        return row
    row = filled(row, report)
    built = {"bytes": row.bytes, "luts": row.lut, "cycles": row.interval_cycles}[equal.kind]
    return replace(row, measured_share=None if built is None else built / equal.target)


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
class Gain:
    """Searched widths against one width for all layers, of networks with as many channels, seed by seed.

    Attributes:
        network: of both.
        beside: the one width.
        seeds: that both have.
        points: mean difference of accuracies, in percentage points.
        spread: of the seeds, the wider of the two; None with one seed.
    """

    network: str
    beside: str
    seeds: tuple[int, ...]
    points: float
    spread: float | None


def means(rows: Sequence[Row]) -> list[Mean]:
    """Every network over its seeds."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.network, row.group, row.weights), []).append(row)
    return [Mean(*key, tuple(r.seed for r in part), _mean(part), _spread(part)) for key, part in found.items()]


def gains(rows: Sequence[Row]) -> list[Gain]:
    """The mixed network against that of one width and as many channels, where both were trained with the same seed."""
    found = []
    for network in dict.fromkeys(row.network for row in rows if row.group == MIXED):
        mixed, one = ({r.seed: r for r in rows if (r.network, r.group) == (network, g)} for g in (MIXED, ONE_WIDTH))
        seeds = tuple(sorted(mixed.keys() & one.keys()))
        if seeds:
            new, old = [mixed[seed] for seed in seeds], [one[seed] for seed in seeds]
            points = 100 * (_mean(new) - _mean(old))
            spreads = [_spread(new), _spread(old)]
            spread = None if None in spreads else max(spreads)
            found.append(Gain(network, old[0].weights, seeds, points, spread))
    return found


def _mean(rows: Sequence[Row]) -> float:
    return sum(row.accuracy for row in rows) / len(rows)


def _spread(rows: Sequence[Row]) -> float | None:
    accuracies = [row.accuracy for row in rows]
    return 100 * (max(accuracies) - min(accuracies)) if len(rows) > 1 else None


def write(rows: Sequence[Row], equal: Equal, folder: Path) -> list[Path]:
    """Writes what is known; networks that are not trained yet are left out.

    Returns:
        The files.
    """
    found = {"rows": rows, "means": means(rows), "gains": gains(rows)}
    plain = {"equal": asdict(equal)} | {name: [asdict(entry) for entry in part] for name, part in found.items()}
    write_json(folder / JSON, json.loads(json.dumps(plain)))
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_whole(folder / CSV, out.getvalue())
    write_whole(folder / MARKDOWN, markdown(rows, equal))
    if rows:
        write_whole(folder / PLOT, plot(rows, equal))
    return [folder / name for name in (JSON, CSV, MARKDOWN, *([PLOT] if rows else []))]


def markdown(rows: Sequence[Row], equal: Equal) -> str:
    """Tables of networks, the most accurate of each group first, and of their seeds; mixed widths against one width."""
    lines = [
        f"Common cost: {equal_text(equal)}.",
        "",
        "| weights, bits | network | kind | seed | accuracy | of the common cost, planned | built | bytes | MACs | "
        "bit operations | LUT | DSP | BRAM36 | cycles | differing integers (images) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: (row.group != ONE_WIDTH, row.group, -row.accuracy)):
        differing = "-" if row.differing is None else f"{row.differing:,} ({row.images:,})"
        lines.append(
            f"| {row.weights} | {row.network} | {row.group} | {row.seed} | {row.accuracy:.2%} | {_share(row.share)} | "
            f"{_share(row.measured_share)} | "
            f"{row.bytes:,.0f} | {row.macs:,} | {row.bit_operations:,} | {_amount(row.lut)} | {_amount(row.dsp)} | "
            f"{_amount(row.bram36)} | {_amount(row.interval_cycles)} | {differing} |"
        )
    lines += ["", "| weights, bits | network | kind | seeds | mean accuracy | spread of seeds |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for mean in sorted(means(rows), key=lambda mean: (mean.group != ONE_WIDTH, mean.group, -mean.accuracy)):
        lines.append(
            f"| {mean.weights} | {mean.network} | {mean.group} | {', '.join(map(str, mean.seeds))} | "
            f"{mean.accuracy:.2%} | {_points(mean.spread)} |"
        )
    for gain in gains(rows):
        seeds = f"seed{'s' if len(gain.seeds) > 1 else ''} {', '.join(map(str, gain.seeds))}"
        spread = "unknown with one seed" if gain.spread is None else _points(gain.spread)
        lines += [
            "",
            f"Searched widths against {gain.beside} bits for all layers, {gain.network}, {seeds}: "
            f"{gain.points:+.2f} points; spread of the seeds {spread}.",
        ]
    return "\n".join(lines) + "\n"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} points"


def equal_text(equal: Equal) -> str:
    """The common cost for people."""
    if equal.kind == "bytes":
        return f"{equal.target:,.0f} bytes of weights"
    if equal.kind == "luts":
        return f"{equal.target:,.0f} LUTs at {equal.cycles:,} cycles between frames"
    return f"{equal.cycles:,} cycles between frames with at most {equal.lut:,.0f} LUTs"


_STYLES = {ONE_WIDTH: ("o", "#1f4e79"), NOT_WIDENED: ("v", "#888888"), MIXED: ("D", "#b03a2e")}


def plot(rows: Sequence[Row], equal: Equal) -> str:
    """SVG: accuracy by weight width; mixed networks stand apart, at the right."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = sorted({row.weights for row in rows if row.weights != MIXED}, key=int)
    names += [MIXED] if any(row.weights == MIXED for row in rows) else []
    for group, (mark, colour) in _STYLES.items():
        found = [row for row in rows if row.group == group]
        places = [names.index(row.weights) for row in found]
        if found:
            axes.plot(places, [100 * row.accuracy for row in found], mark, color=colour, label=group, alpha=0.85)
        means = {p: [100 * r.accuracy for r, q in zip(found, places) if q == p] for p in sorted(set(places))}
        if len(means) > 1:
            axes.plot(list(means), [sum(v) / len(v) for v in means.values()], color=colour, linewidth=0.8, alpha=0.6)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlabel(f"bits of all weights, at {equal_text(equal)}")
    axes.set_ylabel("accuracy on the test images, %")
    axes.grid(axis="y", linewidth=0.4)
    axes.legend(frameon=False, fontsize=8)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
