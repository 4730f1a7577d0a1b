"""Accuracy over the configurations of one network: sampled, measured, resumed, summarized."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from flow.errors import FlowError
from flow.files import write_json

if TYPE_CHECKING:
    from flow.ir import RuntimeWidths
    from keras_models.runtime import RuntimePlan

JSON, PLOT = "curve.json", "curve.svg"
BIN = 0.25
"""Width of a bin of average bits."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(_Plain):
    """One configuration.

    Attributes:
        bits: of each runtime layer, in order.
        average_bits: their mean, each layer counted once.
        score: of the trained network on all test samples.
        word: as the configuration port takes it.
        cycles: between frames, of one build; not in the file, which is of the network.
    """

    bits: tuple[int, ...]
    average_bits: float
    score: float
    word: int
    cycles: int | None = None

    @property
    def network_wide(self) -> bool:
        return len(set(self.bits)) == 1


class Point(_Plain):
    """A network that was trained for one width alone."""

    bits: int
    score: float
    sha256: str


class Check(_Plain):
    """How far the deployed integers are from the trained network.

    Attributes:
        configurations, images: that were compared, each with each.
        activations: quantized activations with another code, of `total`.
        labels: of images.
    """

    configurations: int
    images: int
    activations: int
    total: int
    labels: int


class Curve(_Plain):
    """What was measured.

    Attributes:
        model, dataset: names.
        sha256: of the weights.
        widths, layers: the runtime widths and layers.
        metric: what a score is, see `flow.tasks.METRICS`.
        seed: of the sampling.
        test_images: how many there are.
        samples: every width network-wide first, then random configurations.
        points: individually trained networks, as far as there are checkpoints.
        check: trained against deployed; None if it was not asked for.
    """

    model: str
    dataset: str
    sha256: str
    widths: tuple[int, ...]
    layers: tuple[str, ...]
    metric: str
    seed: int
    test_images: int
    samples: tuple[Sample, ...] = ()
    points: tuple[Point, ...] = ()
    check: Check | None = None

    def same_run(self, other: Curve) -> bool:
        """Whether samples of the other belong here."""
        names = ("model", "dataset", "sha256", "widths", "layers", "metric", "seed", "test_images")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def write(self, folder: Path) -> None:
        """The JSON, with a summary of random configurations."""
        plain = self.model_dump(mode="json", exclude={"samples": {"__all__": {"cycles"}}})
        write_json(folder / JSON, plain | {"summary": self.summary()})

    def summary(self) -> dict:
        """Bins of average bits, and how far random configurations are below the network-wide ones.

        Returns:
            ``bins``: average bits (middle of the bin), mean, best, worst and number of random configurations;
            ``mean_gap``: mean over random configurations of the network-wide score at the same average bits (between
            two widths: on the line between their scores) minus the own score; ``alone``: by width, the score of the
            network that was trained for it alone minus the network-wide one, of widths that have both.
        """
        random = [sample for sample in self.samples if not sample.network_wide]
        wide = sorted((sample.average_bits, sample.score) for sample in self.samples if sample.network_wide)
        bins: dict[float, list[float]] = {}
        for sample in random:
            bins.setdefault(floor(sample.average_bits / BIN + 0.5) * BIN, []).append(sample.score)
        rows = [
            {"average_bits": middle, "mean": float(np.mean(found)), "best": max(found), "worst": min(found),
             "configurations": len(found)}
            for middle, found in sorted(bins.items())
        ]  # fmt: skip
        gaps = [np.interp(s.average_bits, *zip(*wide, strict=True)) - s.score for s in random] if wide else []
        alone = {str(p.bits): p.score - dict(wide)[p.bits] for p in self.points if p.bits in dict(wide)}
        return {
            "bins": rows, "mean_gap": float(np.mean(gaps)) if gaps else None, "random": len(random), "alone": alone,
        }  # fmt: skip


def read_curve(path: Path) -> Curve:
    """Reads what `write` has written; a folder or the file itself.

    Raises:
        FlowError: it is missing or is something else.
    """
    path = path / JSON if path.is_dir() else path
    try:
        plain = json.loads(path.read_text())
        if isinstance(plain, dict):
            plain.pop("summary", None)
        return Curve.model_validate(plain)
    except FileNotFoundError:
        raise FlowError(f"{path}: there is no such file; `flow mixer` measures one") from None
    except (OSError, ValueError) as error:  # pydantic's and JSON's errors are ValueErrors
        raise FlowError(f"{path}: no measured configurations ({str(error).splitlines()[0]})") from error


def sample_configurations(plan: RuntimePlan | RuntimeWidths, count: int, seed: int) -> list[tuple[int, ...]]:
    """Different configurations as positions in the widths: every width network-wide, then `count` random ones.

    The share of each width is drawn first, uniformly over all shares, then each layer's width by these shares, so that
    all average widths are seen. A longer list begins with the shorter one. If there are not so many configurations,
    all are listed.
    """
    widths, layers = len(plan.widths), len(plan.layers)
    wide = [(position,) * layers for position in range(widths)]
    rng, found = np.random.default_rng(seed), dict.fromkeys(wide)
    while len(found) < min(count + widths, widths**layers):
        shares = rng.dirichlet(np.ones(widths))
        found[tuple(int(position) for position in rng.choice(widths, layers, p=shares))] = None
    return list(found)


def measure(
    curve: Curve, plan: RuntimePlan, configurations: list[tuple[int, ...]],
    score: Callable[[tuple[int, ...]], float], folder: Path, progress: Callable[[Sample, int, int], None],
) -> Curve:  # fmt: skip
    """Measures what a folder's file does not have yet, and writes the file after each configuration.

    Args:
        curve: without samples.
        configurations: positions in the widths.
        score: of one.
        folder: of the file; samples of the same network and seed in it are kept, also those that are not asked for.
        progress: hears of each new sample, its number and how many there are.
    """
    known = {}
    if (folder / JSON).is_file():
        before = read_curve(folder)
        if not curve.same_run(before):
            raise FlowError(f"{folder / JSON}: is of other weights, data or another seed; take another --out")
        known = {sample.bits: sample for sample in before.samples}
        curve = curve.model_copy(update={"points": curve.points or before.points, "check": before.check})
    samples = []
    for number, positions in enumerate(configurations, start=1):
        bits = tuple(plan.bits(positions).values())
        if bits not in known:
            known[bits] = Sample(
                bits=bits, average_bits=plan.average(positions), score=score(positions), word=plan.word(positions)
            )
            progress(known[bits], number, len(configurations))
            curve.model_copy(update={"samples": (*samples, known[bits])}).write(folder)
        samples.append(known[bits])
    samples += [sample for bits, sample in known.items() if sample not in samples]
    curve = curve.model_copy(update={"samples": tuple(samples)})
    curve.write(folder)
    return curve
