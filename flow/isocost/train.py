"""Trains the networks of a study: a short float start, then its bits; the base model's float network teaches both."""

from __future__ import annotations

from pathlib import Path

from flow.bits import BitsSpec
from flow.boards import Board
from flow.datasets import Dataset
from flow.folding.budget import UTILIZATION
from flow.isocost.arms import Arm, Folders, Recipe
from flow.isocost.solve import Equal, one_width
from flow.keras_env import keras
from flow.search.budget import Budget
from flow.search.choices import SearchConfig
from flow.search.costs import costs
from flow.search.report import BITS, write_bits, write_found
from flow.search.run import Searched, find_widths
from flow.training.checkpoints import find_checkpoint, load_checkpoint, read_meta
from flow.training.config import TrainConfig, default_config
from flow.training.progress import Progress
from flow.training.run import train_float, train_quantized
from keras_models import find_model
from keras_models.spec import ModelSpec


def float_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The float recipe, shorter, with a teacher."""
    base = default_config(dataset, spec.input_shape, quantized=False)
    changes = {"epochs": epochs, "warmup_epochs": min(base.warmup_epochs, 1), "distill": 0.7, "seed": seed}
    return base.model_copy(update=changes)


def quantized_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The project's recipe for quantized networks."""
    return default_config(dataset, spec.input_shape, quantized=True).model_copy(update={"epochs": epochs, "seed": seed})


def finished(arm: Arm, dataset: str, recipe: Recipe, folders: Folders) -> Path | None:
    """The checkpoint of an arm, None if it is not there yet or was trained by another recipe."""
    bits = found_widths(arm, folders)
    path = None if bits is None else find_checkpoint(arm.spec.name, dataset, bits, folders.networks(arm))
    config = quantized_config(arm.spec, dataset, recipe.at_whole_widths(arm), arm.seed)
    return path if path is not None and read_meta(path).config == config else None


def found_widths(arm: Arm, folders: Folders) -> BitsSpec | None:
    """The widths of an arm; of a mixed one, those that its search has left, None if it has not."""
    if arm.bits is not None:
        return arm.bits
    file = folders.networks(arm) / BITS
    return BitsSpec.load(arm.spec, file) if file.is_file() else None


def train_arm(
    arm: Arm, equal: Equal, board: Board, data: Dataset, teacher: keras.Model, recipe: Recipe, folders: Folders,
    progress: Progress,
) -> Path:  # fmt: skip
    """Trains an arm if that is not done; one that was stopped goes on after its last whole epoch.

    Args:
        teacher: the base model's float network.

    Returns:
        The weights file.
    """
    path = finished(arm, data.name, recipe, folders)
    if path is not None:
        return path
    place = folders.networks(arm)
    start = _float_start(arm, data, teacher, recipe, folders.starts(arm), progress)
    epochs = recipe.at_whole_widths(arm)
    config = quantized_config(arm.spec, data.name, epochs, arm.seed)
    widths, bits, found = arm.label, arm.bits, None
    if bits is None:
        found = _search(arm, equal, board, data, start, teacher, recipe, place, progress)
        bits, start, widths = found.bits, found.network, str(write_bits(found.bits, place))
    trained = train_quantized(arm.spec, bits, data, start, config, progress, place, teacher)
    command = f"flow train --model {arm.spec.name} --bits {widths} --dataset {data.name} --epochs {epochs}"
    path = trained.save(f"{command} --seed {arm.seed}", place)
    if found is not None:
        plain = {"learned": found.learned, "bits": bits.model_dump(), "accuracy": trained.accuracy}
        write_found(plain, found.path, bits, place)
    progress.on_message(f"{trained.accuracy:.2%} on {trained.test_images:,} test images: {path}")
    return path


def _float_start(
    arm: Arm, data: Dataset, teacher: keras.Model, recipe: Recipe, place: Path, progress: Progress
) -> keras.Model:
    """Networks of one shape and seed share their start."""
    config = float_config(arm.spec, data.name, recipe.float_epochs, arm.seed)
    path = find_checkpoint(arm.spec.name, data.name, None, place)
    if path is not None and read_meta(path).config == config:
        return load_checkpoint(path)[0]
    trained = train_float(arm.spec, data, config, progress, place, teacher)
    command = f"flow train --model {arm.spec.name} --float --dataset {data.name} --epochs {recipe.float_epochs}"
    trained.save(f"{command} --seed {arm.seed}", place)
    return trained.model


def _search(
    arm: Arm, equal: Equal, board: Board, data: Dataset, start: keras.Model, teacher: keras.Model, recipe: Recipe,
    place: Path, progress: Progress,
) -> Searched:  # fmt: skip
    """Widths at the common cost: at that of the network with one width that it stands beside."""
    beside = one_width(arm.spec, arm.beside)
    if equal.kind == "bytes":
        budget = Budget("bytes", equal.cost(arm.spec, beside))
    else:
        wanted = equal.target if equal.kind == "luts" else equal.lut
        budget = Budget("luts", wanted / equal.ratios.get(arm.beside, 1.0))
    tables = costs(arm.spec, budget, board, UTILIZATION, equal.cycles)
    learning = quantized_config(arm.spec, data.name, recipe.search_epochs, arm.seed).model_copy(
        update={"frozen_epochs": 0, "quantizer_rate": 5.0}
    )
    return find_widths(
        arm.spec, data, start, budget, tables, beside, SearchConfig(), learning, place, progress, teacher
    )  # fmt: skip


def base_teacher(name: str, data: Dataset, folders: Folders, progress: Progress) -> keras.Model:
    """The float network of the base model: in the studies' folder, with the project, or trained now."""
    from flow.training.run import float_start

    return float_start(find_model(name), data, folders.root, progress)
