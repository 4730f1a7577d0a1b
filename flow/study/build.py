"""The hardware of a study's arms: `flow build` of each checkpoint for one rate, so that what it costs compares."""

from __future__ import annotations

from pathlib import Path

from flow.pipeline.build import build
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from flow.report.measured import keep_report
from flow.study.arms import Arm
from flow.study.results import REPORTS
from flow.training.checkpoints import read_meta


def build_arm(
    arm: Arm, checkpoint: Path, folder: Path, model: str, dataset: str, data: Path | None, max_cycles: int | None,
    images: int, reporter: Reporter,
) -> None:  # fmt: skip
    """Builds one arm; finished stages are skipped.

    Args:
        checkpoint: its weights.
        folder: of the study; the run is `builds/<arm>` in it.
        max_cycles: cycles between frames; None for the best rate that fits, which is not the same for two arms.
        images: that go through C simulation and RTL.

    Its report is kept in `reports/<arm>.json`, with the hash of the weights that it is of.
    """
    config = BuildConfig(
        model=model, bits=str(arm.bits), quantizer=arm.quantizer, dataset=dataset, data=data, checkpoint=checkpoint,
        max_cycles=max_cycles, images=images, seed=arm.seed, route=False,
    )  # fmt: skip
    run = build(config, folder / "builds" / arm.name, reporter).folder
    keep_report(run, read_meta(checkpoint).sha256, folder / REPORTS / f"{arm.name}.json")
