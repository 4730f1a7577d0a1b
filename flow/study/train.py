"""Trains the arms of a study; one that is finished is skipped, one that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

from flow.bits import BitsSpec
from flow.datasets import Dataset
from flow.study.arms import Arm
from flow.training.config import TrainConfig, default_config
from flow.training.finished import finished
from flow.training.progress import Progress
from keras_models.spec import ModelSpec


def recipe(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The project's recipe for quantized networks, the same for every arm but for its seed."""
    return default_config(dataset, spec.input_shape, quantized=True).model_copy(update={"epochs": epochs, "seed": seed})


def trained(arm: Arm, spec: ModelSpec, dataset: str, epochs: int, folder: Path) -> Path | None:
    """The checkpoint of an arm, None if it is not there yet.

    Raises:
        FlowError: there is one of another recipe.
    """
    return finished(arm.checkpoint(spec, dataset, folder), recipe(spec, dataset, epochs, arm.seed))


def train_arm(arm: Arm, spec: ModelSpec, data: Dataset, epochs: int, folder: Path, progress: Progress) -> Path:
    """Trains an arm if that is not done, from the float network that all arms share, which is also the teacher.

    Args:
        folder: of the study; `seed-<n>/` in it holds the checkpoints, and the state of an unfinished arm.

    Returns:
        The weights file.
    """
    path = trained(arm, spec, data.name, epochs, folder)
    if path is not None:
        return path
    from flow.training.run import float_start, train_quantized

    start, place = float_start(spec, data, folder, progress), folder / f"seed-{arm.seed}"
    config, widths = recipe(spec, data.name, epochs, arm.seed), BitsSpec.uniform(spec, arm.bits)
    found = train_quantized(spec, widths, data, start, config, progress, place, quantizer=arm.quantizer)
    command = f"flow train --model {spec.name} --bits {arm.bits} --quantizer {arm.quantizer}"
    path = found.save(f"{command} --dataset {data.name} --epochs {epochs} --seed {arm.seed}", place)
    progress.on_message(f"{found.accuracy:.2%} on {found.test_images:,} test images: {path}")
    return path
