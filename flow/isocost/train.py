"""Trains the networks of a study: a short float start, then its bits; the base model's float network teaches both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flow.bits import BitsSpec
from flow.boards import Board
from flow.datasets import Dataset
from flow.folding.budget import UTILIZATION
from flow.isocost.arms import Arm
from flow.isocost.solve import ACTIVATION_BITS, Equal
from flow.keras_env import keras
from flow.search.budget import Budget
from flow.search.choices import SearchConfig
from flow.search.costs import costs
from flow.search.report import BITS, write_bits
from flow.search.run import find_widths
from flow.training.checkpoints import find_checkpoint, load_checkpoint
from flow.training.config import TrainConfig, default_config
from flow.training.progress import Progress
from flow.training.run import train_float, train_quantized
from keras_models import find_model
from keras_models.spec import ModelSpec


@dataclass(frozen=True)
class Recipe:
    """Epochs of the parts of a training.

    Attributes:
        float_epochs: of the float start, taught by the base model.
        search_epochs: in which a mixed network's widths are learned.
        epochs: at the final widths.
    """

    float_epochs: int = 10
    search_epochs: int = 8
    epochs: int = 15


def float_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The float recipe, shorter, with a teacher."""
    base = default_config(dataset, spec.input_shape, quantized=False)
    changes = {"epochs": epochs, "warmup_epochs": min(base.warmup_epochs, 1), "distill": 0.7, "seed": seed}
    return base.model_copy(update=changes)


def quantized_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The project's recipe for quantized networks."""
    return default_config(dataset, spec.input_shape, quantized=True).model_copy(update={"epochs": epochs, "seed": seed})


def finished(arm: Arm, dataset: str, study: Path) -> Path | None:
    """The checkpoint of an arm, None if it is not there yet."""
    bits = found_widths(arm, study)
    return None if bits is None else find_checkpoint(arm.spec.name, dataset, bits, arm.folder(study))


def found_widths(arm: Arm, study: Path) -> BitsSpec | None:
    """The widths of an arm; of a mixed one, those that its search has left, None if it has not."""
    if arm.bits is not None:
        return arm.bits
    file = _search_folder(arm, study) / BITS
    return BitsSpec.load(arm.spec, file) if file.is_file() else None


def _search_folder(arm: Arm, study: Path) -> Path:
    return arm.folder(study) / f"search-{arm.spec.name}"


def train_arm(
    arm: Arm, equal: Equal, board: Board, data: Dataset, teacher: keras.Model, recipe: Recipe, study: Path,
    progress: Progress,
) -> Path:  # fmt: skip
    """Trains an arm if that is not done; one that was stopped goes on after its last whole epoch.

    Args:
        teacher: the base model's float network.
        study: folder; `seed-<n>/` in it holds the checkpoints.

    Returns:
        The weights file.
    """
    path = finished(arm, data.name, study)
    if path is not None:
        return path
    place = arm.folder(study)
    start = _float_start(arm, data, teacher, recipe, place, progress)
    config = quantized_config(arm.spec, data.name, recipe.epochs, arm.seed)
    bits = arm.bits
    if bits is None:
        bits, start = _search(arm, equal, board, data, start, recipe, study, progress)
    trained = train_quantized(arm.spec, bits, data, start, config, progress, place, teacher)
    widths = arm.label if arm.bits is not None else str(BITS)
    command = f"flow train --model {arm.spec.name} --bits {widths} --dataset {data.name} --epochs {recipe.epochs}"
    path = trained.save(f"{command} --seed {arm.seed}", place)
    if arm.bits is None:
        write_bits(bits, _search_folder(arm, study))
    progress.on_message(f"{trained.accuracy:.2%} on {trained.test_images:,} test images: {path}")
    return path


def _float_start(
    arm: Arm, data: Dataset, teacher: keras.Model, recipe: Recipe, place: Path, progress: Progress
) -> keras.Model:
    """Networks of one shape and seed share their start."""
    path = find_checkpoint(arm.spec.name, data.name, None, place)
    if path is not None:
        return load_checkpoint(path)[0]
    config = float_config(arm.spec, data.name, recipe.float_epochs, arm.seed)
    trained = train_float(arm.spec, data, config, progress, place, teacher)
    command = f"flow train --model {arm.spec.name} --float --dataset {data.name} --epochs {recipe.float_epochs}"
    trained.save(f"{command} --seed {arm.seed}", place)
    return trained.model


def _search(
    arm: Arm, equal: Equal, board: Board, data: Dataset, start: keras.Model, recipe: Recipe, study: Path,
    progress: Progress,
) -> tuple[BitsSpec, keras.Model]:  # fmt: skip
    """Widths at the common cost, and the float network whose weights were searched with them."""
    kind = "bytes" if equal.kind == "bytes" else "luts"
    budget = Budget(kind, equal.target)
    tables = costs(arm.spec, budget, board, UTILIZATION, equal.cycles)
    fixed = BitsSpec.uniform(arm.spec, ACTIVATION_BITS)
    learning = quantized_config(arm.spec, data.name, recipe.search_epochs, arm.seed).model_copy(
        update={"frozen_epochs": 0, "quantizer_rate": 5.0}
    )
    folder = _search_folder(arm, study)
    found = find_widths(
        arm.spec, data, start, budget, tables, fixed, SearchConfig(), learning, folder, progress
    )  # fmt: skip
    return found.bits, found.network


def base_teacher(name: str, data: Dataset, study: Path, progress: Progress) -> keras.Model:
    """The float network of the base model: in the study's folder, with the project, or trained now."""
    from flow.training.run import float_start

    return float_start(find_model(name), data, study, progress)
