"""The search: learn widths with the weights, round and repair them, train on with the widths frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from flow.bits import MAX_BITS, MIN_BITS, BitsSpec
from flow.datasets import Dataset
from flow.keras_env import keras, precision
from flow.search.budget import Budget
from flow.search.choices import SearchConfig, searched_layers
from flow.search.costs import Costs
from flow.search.found import Searched, load_found, save_found
from flow.search.network import Widths, build_relaxed
from flow.search.path import PathRecorder
from flow.search.penalty import common_width, cost_of, penalty
from flow.search.ranking import Ranking
from flow.search.repair import candidates
from flow.training.calibrate import (
    CALIBRATION_IMAGES,
    activation_exponents,
    copy_weights,
    prepare,
    weight_exponent,
)
from flow.training.checkpoints import checkpoint_path
from flow.training.config import TrainConfig
from flow.training.finished import finished
from flow.training.loop import ExtraLoss, fit
from flow.training.progress import Progress
from flow.training.run import run_identity, train_quantized, weights_sha256
from keras_models.spec import ModelSpec


def find_widths(
    spec: ModelSpec, data: Dataset, start: keras.Model, budget: Budget, costs: Costs, fixed: BitsSpec,
    search: SearchConfig, recipe: TrainConfig, folder: Path, progress: Progress, teacher: keras.Model | None = None,
    within: Callable[[Callable[[Costs], BitsSpec]], BitsSpec] | None = None, least: float = 0.0,
) -> Searched:  # fmt: skip
    """Learns widths and makes them whole; goes on after the last whole epoch of a stopped run, and takes what an equal
    search has left.

    Args:
        start: the float network; it is not changed.
        budget: as the user wrote it.
        costs: what counts.
        fixed: the widths of what is not searched.
        recipe: of the training; widths are learned at `quantizer_rate` times its learning rate.
        folder: for the state and the path.
        teacher: of the soft labels; `start` if not given.
        within: the whole widths by another count than the costs', given what chooses them by costs; see
            `flow.search.synthesized.SynthesizedBudget.choose`.
        least: the share of the budget that whole widths must use, if some do.
    """
    teacher = teacher or start
    hashes = weights_sha256(start), weights_sha256(teacher)
    rules = f"{least:g} at least, by {'another count' if within else 'the costs'}"
    parts = "search", costs.fingerprint(), fixed.model_dump_json(), repr(search), rules, *hashes
    identity = run_identity(spec.name, data, recipe.fingerprint(), *parts)
    left = folder / f"search-{identity[:12]}.found"
    state, path = left.with_suffix(".state"), left.with_suffix(".path")
    known = load_found(left, identity, spec, progress)
    if known is not None:
        _remove(state, path)  # a kill may have left them
        progress.on_message(f"widths of {spec.name} for {budget}: found before, {left}")
        return known
    keras.utils.set_random_seed(recipe.seed)
    prepared, ranges = prepare(spec, fixed, start, data.x_train)
    steps = _activation_steps(spec, prepared, data.x_train[:CALIBRATION_IMAGES], search)
    names = searched_layers(spec, search)

    def all_at(width: float) -> Widths:
        return Widths(*(dict.fromkeys(part, width) for part in names))

    widths = all_at(common_width(costs, all_at, fixed))
    with precision(recipe.arithmetic):
        model = build_relaxed(spec, fixed, ranges, widths, steps, _weight_exponents(spec, prepared))
    copy_weights(prepared, model)
    extra = ExtraLoss(widths.variables, penalty(costs, widths, fixed, search.strength))

    def cost() -> float:
        return float(cost_of(costs, widths, fixed))

    def tell() -> str:
        return f"widths {widths.text()}: {cost() / costs.budget:.1%} of the budget"

    progress.on_message(f"searching widths of {spec.name} for {budget}: {recipe.epochs} epochs; {tell()}")
    recorder = PathRecorder(progress, widths.values, cost, tell, path)
    fit(model, data, recipe, recorder, state, identity, teacher, task=spec.task, extra=extra)
    learned, ranking = widths.values(), Ranking(model, widths, spec.task, data, recipe, teacher, progress)

    def chosen(costs: Costs) -> BitsSpec:
        tried = candidates(learned, fixed, costs)
        tried += [bits for bits in _uniform(spec, fixed, costs) if bits not in tried]
        tried = [bits for bits in tried if costs.of(bits) >= least * costs.budget] or tried
        return ranking.best(tried)

    bits = within(chosen) if within else chosen(costs)
    found = Searched(learned, bits, recorder.records, ranking.network_at(bits, spec.build_float()))
    save_found(left, identity, found)
    _remove(state, path)
    return found


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def train_found(
    spec: ModelSpec, data: Dataset, teacher: keras.Model, found: Searched, recipe: TrainConfig, command: str,
    folder: Path, progress: Progress,
) -> Path:  # fmt: skip
    """Trains on at the frozen, whole widths, from the searched weights, if that is not done.

    Args:
        command: that makes the checkpoint again.
        folder: of the checkpoint.

    Returns:
        The weights file.

    Raises:
        FlowError: there is a checkpoint of these widths, of another recipe or search.
    """
    path = checkpoint_path(spec.name, data.name, found.bits, folder)
    hashes = {"start_sha256": weights_sha256(found.network), "teacher_sha256": weights_sha256(teacher)}
    if finished(path, recipe, **hashes):
        progress.on_message(f"trained before: {path}")
        return path
    trained = train_quantized(spec, found.bits, data, found.network, recipe, progress, folder, teacher=teacher)
    return trained.save(command, folder)


def _uniform(spec: ModelSpec, fixed: BitsSpec, costs: Costs) -> list[BitsSpec]:
    """The widest width of all layers' weights that the budget allows: with the first and last layer as
    `flow build --bits` has them, and with none apart.
    """
    found = []
    for weights_at in (
        lambda width: BitsSpec.uniform(spec, width).weights,
        lambda width: {layer.name: width for layer in spec.weight_layers()},
    ):
        every = [BitsSpec(weights=weights_at(w), activations=fixed.activations) for w in range(MIN_BITS, MAX_BITS + 1)]
        found += [bits for bits in every if costs.of(bits) <= costs.budget][-1:]
    return found


def _weight_exponents(spec: ModelSpec, network: keras.Model) -> dict[str, np.ndarray]:
    """Of each layer without a batch normalization at every width, as training at that width would start."""
    widths = range(MIN_BITS, MAX_BITS + 1)
    kernels = {w.name: network.get_layer(w.name).get_weights()[0] for w in spec.weight_layers() if not w.batchnorm}
    return {name: np.array([weight_exponent(kernel, bits) for bits in widths]) for name, kernel in kernels.items()}


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
