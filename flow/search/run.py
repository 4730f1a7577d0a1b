"""The search: learn widths with the weights, round and repair them, train on with the widths frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.datasets import Dataset
from flow.keras_env import keras, precision
from flow.search.budget import Budget
from flow.search.choices import SearchConfig, searched_layers
from flow.search.costs import Costs
from flow.search.path import PathRecorder
from flow.search.relaxed import Widths, build_relaxed
from flow.search.repair import repaired
from flow.search.spending import common_width, cost_of, penalty
from flow.training.calibrate import CALIBRATION_IMAGES, activation_exponents, copy_weights, prepare
from flow.training.config import TrainConfig
from flow.training.loop import Beside, fit
from flow.training.progress import Progress
from flow.training.run import Trained, run_identity, train_quantized, weights_sha256
from keras_models.spec import ModelSpec

PATH = "widths.json"


@dataclass(frozen=True)
class Searched:
    """What a search has found.

    Attributes:
        learned: widths before rounding, by layer, under ``"weights"`` and ``"activations"``.
        bits: whole ones, within the budget.
        path: the records of `PathRecorder`.
        network: float, with the searched weights: where training with frozen widths starts.
    """

    learned: dict[str, dict[str, float]]
    bits: BitsSpec
    path: list[dict]
    network: keras.Model


def find_widths(
    spec: ModelSpec, data: Dataset, start: keras.Model, budget: Budget, costs: Costs, fixed: BitsSpec,
    search: SearchConfig, recipe: TrainConfig, folder: Path, progress: Progress,
) -> Searched:  # fmt: skip
    """Learns widths and rounds them; goes on after the last whole epoch of a stopped run.

    Args:
        start: the float network, which is the teacher too; it is not changed.
        budget: for the identity of the run; what counts is `costs`.
        fixed: the widths of what is not searched.
        recipe: of the training; widths are learned at `quantizer_rate` times its learning rate.
        folder: for the state and the path.
    """
    keras.utils.set_random_seed(recipe.seed)
    prepared, ranges = prepare(spec, fixed, start, data.x_train)
    steps = _activation_steps(spec, prepared, data.x_train[:CALIBRATION_IMAGES], search)
    names = searched_layers(spec, search)

    def all_at(width: float) -> Widths:
        return Widths(*(dict.fromkeys(part, width) for part in names))

    widths = all_at(common_width(costs, all_at, fixed))
    with precision(recipe.arithmetic):
        model = build_relaxed(spec, fixed, ranges, widths, steps)
    copy_weights(prepared, model)
    beside = Beside(widths.variables, penalty(costs, widths, fixed, search.strength))
    parts = "search", str(budget), fixed.model_dump_json(), repr(search), weights_sha256(start)
    identity = run_identity(spec.name, data, recipe.fingerprint(), *parts)

    def cost() -> float:
        return float(cost_of(costs, widths, fixed))

    def tell() -> str:
        return f"widths {_widths_text(widths.values())}: {cost() / costs.budget:.1%} of the budget"

    progress.on_message(f"searching widths of {spec.name} for {budget}: {recipe.epochs} epochs; {tell()}")
    recorder = PathRecorder(progress, widths.values, cost, tell, folder / PATH)
    state = folder / f"search-{identity[:12]}.state"
    fit(model, data, recipe, recorder, state, identity, start, task=spec.task, beside=beside)
    learned = widths.values()
    bits = repaired(learned, fixed, costs)
    found = spec.build_float()
    copy_weights(model, found)
    return Searched(learned, bits, recorder.records, found)


def train_found(
    spec: ModelSpec, data: Dataset, start: keras.Model, found: Searched, recipe: TrainConfig, folder: Path,
    progress: Progress,
) -> Trained:  # fmt: skip
    """Trains on at the frozen, whole widths, from the searched weights; `start` is the teacher."""
    return train_quantized(spec, found.bits, data, found.network, recipe, progress, folder, teacher=start)


def _activation_steps(
    spec: ModelSpec, network: keras.Model, images: np.ndarray, search: SearchConfig
) -> dict[str, np.ndarray]:
    """The step of each searched activation at every width, by least squares on images."""
    names = searched_layers(spec, search)[1]
    steps = {name: np.ones(MAX_BITS, np.float32) for name in names}
    for bits in range(MIN_BITS, MAX_BITS + 1) if names else ():
        exponents = activation_exponents(network, spec, BitsSpec.uniform(spec, bits), images)
        for name in names:
            steps[name][bits - 1] = 2.0 ** exponents[name]
    return steps


def _widths_text(values: dict[str, dict[str, float]]) -> str:
    """The widths in the order of the layers."""
    return ", ".join(
        f"{kind} " + " ".join(f"{width:.1f}" for width in named.values()) for kind, named in values.items() if named
    )
