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
from flow.report.measured import with_measured
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
        macs, bit_operations: of a frame.
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


def read_row(arm: Arm, bits: BitsSpec, equal: Equal, checkpoint: Path, run: Path | None) -> Row:
    """The row of a trained network, with the report of its build if there is one."""
    meta, layers = read_meta(checkpoint), arm.spec.weight_layers()
    row = Row(
        network=arm.spec.name, group=arm.group, weights=arm.label, seed=arm.seed,
        share=equal.share(arm.spec, bits), accuracy=meta.accuracy, test_images=meta.test_images,
        bytes=sum(w.weights * bits.weights[w.name] for w in layers) / 8, macs=arm.spec.macs,
        bit_operations=sum(w.macs * bits.weights[w.name] * width_of(bits, w.source) for w in layers),
        sha256=meta.sha256,
    )  # fmt: skip
    row = with_measured(row, run)
    built = {"bytes": row.bytes, "luts": row.lut, "cycles": row.interval_cycles}[equal.kind]
    return row if built is None else replace(row, measured_share=built / equal.target)


def write(rows: Sequence[Row], equal: Equal, folder: Path) -> list[Path]:
    """Writes what is known; networks that are not trained yet are left out.

    Returns:
        The files.
    """
    plain = {"equal": asdict(equal), "rows": [asdict(row) for row in rows]}
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
    """A table, the most accurate of each group first."""
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
    return "\n".join(lines) + "\n"


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
