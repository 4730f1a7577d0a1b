"""The hardware of a study's networks: `flow build` of each checkpoint for one rate."""

from __future__ import annotations

from pathlib import Path

from flow.bits import BitsSpec
from flow.files import write_whole
from flow.isocost.arms import Arm, Folders
from flow.pipeline.build import build
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter


def build_arm(
    arm: Arm, bits: BitsSpec, dataset: str, data: Path | None, board: str, cycles: int, images: int, folders: Folders,
    reporter: Reporter,
) -> Path:  # fmt: skip
    """Builds one network; finished stages are skipped.

    Args:
        bits: of every layer.
        cycles: between frames.
        images: that go through C simulation and RTL.

    Returns:
        The folder of the run.
    """
    folder = folders.build(arm, cycles)
    widths = folder.with_name(f"{folder.name}.yaml")
    write_whole(widths, bits.to_yaml())
    config = BuildConfig(
        model=arm.spec.name, bits=str(widths), dataset=dataset, data=data, board=board, max_cycles=cycles,
        images=images, checkpoint=folders.checkpoint(arm, dataset, bits), seed=arm.seed, route=False,
    )  # fmt: skip
    return build(config, folder, reporter).folder
