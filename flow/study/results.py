"""What a study has found so far: a row for each arm, gains against uniform with their spread."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from flow.errors import FlowError
from flow.files import write_json, write_whole
from flow.quantizers import UNIFORM
from flow.report.measured import filled, kept_report
from flow.study.arms import ARMS
from flow.study.train import trained
from flow.training.checkpoints import read_meta
from keras_models.spec import ModelSpec

JSON, CSV, MARKDOWN = "study.json", "study.csv", "study.md"
#: folder of the reports of what was built
REPORTS = "reports"
PLOT, LUT_PLOT = "accuracy.svg", "accuracy-lut.svg"


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
    sha256: str = ""


@dataclass(frozen=True)
class Gain:
    """N2UQ, or a part of it, against uniform quantization at equal bits, seed by seed.

    Attributes:
        bits: of weights and activations.
        quantizer: that is compared.
        seeds: that both have.
        points: mean difference of accuracies, in percentage points.
        by_seed: the difference of each seed.
        spread: between the least and the greatest seed of the same network, the wider of the two; None with one seed.
        lut_ratio: LUTs over those of uniform, built for the same cycles between frames; None if not built.
    """

    bits: int
    quantizer: str
    seeds: tuple[int, ...]
    points: float
    by_seed: tuple[float, ...]
    spread: float | None
    lut_ratio: float | None


def read_rows(spec: ModelSpec, dataset: str, epochs: int, folder: Path, tell: Callable[[str], None]) -> list[Row]:
    """The rows of all arms that are trained, with the reports of those that are built.

    Args:
        folder: of the study.
        tell: is told of reports that are of other weights, and so not taken.

    Raises:
        FlowError: a checkpoint is of another recipe, or two arms started from different networks.
    """
    rows, starts = [], {}
    for arm in ARMS:
        path = trained(arm, spec, dataset, epochs, folder)
        if path is not None:
            meta = read_meta(path)
            starts.setdefault((meta.start_sha256, meta.teacher_sha256), arm.name)
            row = Row(
                arm.name, arm.bits, arm.quantizer, arm.seed, meta.config.epochs, meta.accuracy, meta.test_images,
                _median_seconds(path), sha256=meta.sha256,
            )  # fmt: skip
            rows.append(filled(row, kept_report(folder / REPORTS / f"{arm.name}.json", meta.sha256, tell)))
    if len(starts) > 1:
        names = " and ".join(starts.values())
        raise FlowError(f"{folder}: {names} started from different float networks; move one of them away")
    return rows


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
    by_key = {(row.bits, row.quantizer, row.seed): row for row in rows}
    for bits, quantizer in sorted({(row.bits, row.quantizer) for row in rows if row.quantizer != UNIFORM}):
        seeds = sorted(s for b, q, s in by_key if (b, q) == (bits, quantizer) and (bits, UNIFORM, s) in by_key)
        if not seeds:
            continue
        new = [by_key[bits, quantizer, seed] for seed in seeds]
        old = [by_key[bits, UNIFORM, seed] for seed in seeds]
        points = tuple(100 * (a.accuracy - b.accuracy) for a, b in zip(new, old, strict=True))
        spreads = [100 * (max(r.accuracy for r in part) - min(r.accuracy for r in part)) for part in (new, old)]
        ratios = [a.lut / b.lut for a, b in zip(new, old, strict=True) if a.lut and b.lut]
        spread = max(spreads) if len(seeds) > 1 else None
        mean, ratio = sum(points) / len(points), ratios[0] if ratios else None
        found.append(Gain(bits, quantizer, tuple(seeds), mean, points, spread, ratio))
    return found


def write(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes what is known; arms that are not trained yet are left out.

    Returns:
        The files.
    """
    from flow.study.plot import accuracy_plot, lut_plot

    plain = {"rows": [asdict(row) for row in rows], "gains": [asdict(gain) for gain in gains(rows)]}
    write_json(folder / JSON, json.loads(json.dumps(plain)))
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    texts = {CSV: out.getvalue(), MARKDOWN: markdown(rows)}
    if rows:
        texts[PLOT] = accuracy_plot(rows)
    if any(row.lut for row in rows):
        texts[LUT_PLOT] = lut_plot(rows)
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in (JSON, *texts)]


def markdown(rows: Sequence[Row]) -> str:
    """Two tables: arms, and gains against uniform."""
    lines = [
        "| bits | quantizer | seed | accuracy (images) | deployed | LUT | cycles between frames | "
        "differing integers (images) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        differing = "-" if row.differing is None else f"{row.differing:,} ({row.images:,})"
        deployed = "-" if row.deployed is None else f"{row.deployed:.2%}"
        lines.append(
            f"| {row.bits} | {row.quantizer} | {row.seed} | {row.accuracy:.2%} ({row.test_images:,}) | {deployed} | "
            f"{_amount(row.lut)} | {_amount(row.interval_cycles)} | {differing} |"
        )
    lines += ["", "| bits | quantizer | against uniform, mean | by seed | spread of seeds | LUTs over uniform |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for gain in gains(rows):
        spread = "one seed" if gain.spread is None else f"{gain.spread:.2f} points"
        ratio = "-" if gain.lut_ratio is None else f"{gain.lut_ratio:.3f}"
        each = ", ".join(f"{seed}: {points:+.2f}" for seed, points in zip(gain.seeds, gain.by_seed, strict=True))
        lines.append(f"| {gain.bits} | {gain.quantizer} | {gain.points:+.2f} points | {each} | {spread} | {ratio} |")
    lines += [
        "",
        "The spread is the distance between the least and the most accurate seed of one network, the wider of the two.",
        "Uniform steps are powers of two, chosen by least squares; N2UQ learns real ones, which is part of its gain.",
    ]
    return "\n".join(lines) + "\n"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
