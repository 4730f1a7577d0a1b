"""What a study has found so far: a row for each arm, gains against uniform with their spread."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flow.n2uq_study.arms import Arm
from flow.n2uq_study.plot import accuracy_plot, lut_plot
from flow.quantizers import UNIFORM
from flow.report import Report
from flow.report.measured import filled
from flow.report.summary import DASH, amount
from flow.study.table import Paired, Results, differing, luts, paired, percent, points, table
from flow.training.checkpoints import read_meta


@dataclass(frozen=True)
class Row:
    """One arm; None where it was not measured.

    Attributes:
        arm: its name.
        bits, quantizer, seed, epochs: of the training.
        accuracy: of the trained network, on all test images.
        test_images: how many those are.
        seconds_an_epoch: wall clock of the median epoch, on whatever machine and load it was.
        deployed: accuracy of the built network, in integers, on all test images. That of the trained one depends in
            the last labels on the order of TensorFlow's sums, for QKeras' weights carry rounding errors of float32.
        lut, interval_cycles: of the built network.
        differing: integers in which Keras, C simulation and RTL differ from golden, in sum.
        images: that every engine computed.
        fits: whether the board holds the built network, by synthesis.
        sha256: of the weights.
    """

    arm: str
    bits: int
    quantizer: str
    seed: int
    epochs: int
    accuracy: float
    test_images: int
    seconds_an_epoch: float | None
    lut: float | None = None
    interval_cycles: int | None = None
    differing: int | None = None
    images: int | None = None
    deployed: float | None = None
    fits: bool | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Gain(Paired):
    """N2UQ, or a part of it, against uniform quantization at equal bits.

    Attributes:
        bits: of weights and activations.
        quantizer: that is compared.
        lut_ratio: LUTs over those of uniform, built for the same cycles between frames; None if not built.
    """

    bits: int
    quantizer: str
    lut_ratio: float | None


def read_row(arm: Arm, checkpoint: Path, report: Report | None) -> Row:
    """The row of a trained arm.

    Args:
        report: of its build, if there is one.
    """
    meta = read_meta(checkpoint)
    row = Row(
        arm.name, arm.bits, arm.quantizer, arm.seed, meta.config.epochs, meta.accuracy, meta.test_images,
        _median_seconds(checkpoint), sha256=meta.sha256,
    )  # fmt: skip
    return filled(row, report)


def _median_seconds(checkpoint: Path) -> float | None:
    """From the training log, None without one."""
    path = checkpoint.with_suffix(".csv")
    if not path.is_file():
        return None
    with path.open() as log:
        seconds = sorted(float(record["seconds"]) for record in csv.DictReader(log))
    return seconds[len(seconds) // 2] if seconds else None


def gains(rows: Sequence[Row]) -> list[Gain]:
    """Every quantizer against uniform, where both were trained with the same seed."""
    found = []
    for bits, quantizer in sorted({(row.bits, row.quantizer) for row in rows if row.quantizer != UNIFORM}):
        new, old = ([r for r in rows if (r.bits, r.quantizer) == (bits, name)] for name in (quantizer, UNIFORM))
        pair = paired(new, old)
        if pair is not None:
            ratios = [a.lut / b.lut for a in new for b in old if a.seed == b.seed and a.lut and b.lut]
            found.append(Gain(**vars(pair), bits=bits, quantizer=quantizer, lut_ratio=ratios[0] if ratios else None))
    return found


def results(rows: Sequence[Row]) -> Results:
    """What is known; arms that are not trained yet have no row."""
    plots = {"accuracy.svg": accuracy_plot(rows)} if rows else {}
    if any(row.lut for row in rows):
        plots["accuracy-lut.svg"] = lut_plot(rows)
    return Results("study", Row, {"rows": rows, "gains": gains(rows)}, markdown(rows), plots)


def markdown(rows: Sequence[Row]) -> str:
    """Two tables: arms, and gains against uniform."""
    lines = table(
        "bits | quantizer | seed | accuracy (images) | deployed | LUT | cycles between frames | "
        "differing integers (images)",
        [
            [row.bits, row.quantizer, row.seed, f"{row.accuracy:.2%} ({row.test_images:,})", percent(row.deployed),
             luts(row), amount(row.interval_cycles), differing(row)]
            for row in rows
        ],
    )  # fmt: skip
    heads = "bits | quantizer | against uniform, mean | by seed | spread of seeds | LUTs over uniform"
    compared = []
    for gain in gains(rows):
        each = ", ".join(f"{seed}: {gained:+.2f}" for seed, gained in zip(gain.seeds, gain.by_seed, strict=True))
        ratio = DASH if gain.lut_ratio is None else f"{gain.lut_ratio:.3f}"
        mean, spread = f"{gain.points:+.2f} points", points(gain.spread, "one seed")
        compared.append([gain.bits, gain.quantizer, mean, each, spread, ratio])
    lines += [
        "",
        *table(heads, compared),
        "",
        "The spread is the distance between the least and the most accurate seed of one network, the wider of the two.",
        "Uniform steps are powers of two, chosen by least squares; N2UQ learns real ones, which is part of its gain.",
    ]
    return "\n".join(lines) + "\n"
