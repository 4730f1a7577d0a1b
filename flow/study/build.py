"""The hardware of a study's arms: `flow build` of each checkpoint for one rate, so that what it costs compares."""

from __future__ import annotations

from pathlib import Path

from flow.pipeline.build import build
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter
from flow.study.arms import Arm


def build_arm(
    arm: Arm, checkpoint: Path, folder: Path, model: str, dataset: str, data: Path | None, max_cycles: int | None,
    images: int, reporter: Reporter,
) -> Path:  # fmt: skip
    """Builds one arm; finished stages are skipped.

    Args:
        checkpoint: its weights.
        folder: of the study; the run is `builds/<arm>` in it.
        max_cycles: cycles between frames; None for the best rate that fits, which is not the same for two arms.
        images: that go through C simulation and RTL.

    Returns:
        The folder of the run.
    """
    config = BuildConfig(
        model=model, bits=str(arm.bits), quantizer=arm.quantizer, dataset=dataset, data=data, checkpoint=checkpoint,
        max_cycles=max_cycles, images=images, seed=arm.seed, route=False,
    )  # fmt: skip
    return build(config, folder / "builds" / arm.name, reporter).folder
