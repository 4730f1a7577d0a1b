"""Float and quantized training, from a dataset to a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from flow.bits import BitsSpec
from flow.datasets import Dataset
from flow.keras_env import keras, precision
from flow.quantizers import UNIFORM, find_system
from flow.quantizers.start import IMAGES, start_activations
from flow.tasks import ACCURACY
from flow.training.calibrate import copy_weights, prepare
from flow.training.checkpoints import (
    CheckpointMeta,
    checkpoint_path,
    find_checkpoint,
    label,
    load_checkpoint,
    read_meta,
    save_checkpoint,
)
from flow.training.claim import once
from flow.training.config import TrainConfig, default_config
from flow.training.fast import build_trainable, build_trainable_float
from flow.training.loop import as_numbers, evaluate, fit
from flow.training.progress import Progress, Silent
from flow.training.statistics import STATISTICS_IMAGES, measure_statistics, settle_statistics
from keras_models.ranges import Ranges
from keras_models.spec import ModelSpec

_PACKAGES = ("tensorflow", "tf-keras", "qkeras", "numpy")


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes:
        spec: the topology.
        model: the network, in float32.
        dataset: its name.
        config: the recipe.
        history: a record per epoch.
        scores: on all test samples, of `model` with exact codes, see `flow.tasks`.
        test_images: how many test samples there are.
        bits: widths, None for a float network and one with run-time widths.
        ranges: steps, None for a float network.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
        runtime: run-time widths, None for a network that has none.
        start_sha256, teacher_sha256: of the networks it was made from.
        state_path: of the state that is not needed any more once the checkpoint is saved.
    """

    spec: ModelSpec
    model: keras.Model
    dataset: str
    config: TrainConfig
    history: list[dict[str, float]]
    scores: dict[str, float]
    test_images: int
    bits: BitsSpec | None = None
    ranges: Ranges | None = None
    quantizer: str = UNIFORM
    runtime: tuple[int, ...] | None = None
    start_sha256: str | None = None
    teacher_sha256: str | None = None
    state_path: Path | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right labels, None where the task is not to name a class."""
        return self.scores.get(ACCURACY)

    def save(self, command: str, folder: Path | None = None) -> Path:
        """Writes the checkpoint.

        Args:
            command: that makes it again, for the description.
            folder: where to; the project's own checkpoints if not given.

        Returns:
            The path of the weights file.
        """
        path = checkpoint_path(self.spec.name, self.dataset, self.bits, folder, self.quantizer, self.runtime)
        meta = CheckpointMeta(
            model=self.spec.name,
            dataset=self.dataset,
            bits=self.bits,
            ranges=self.ranges,
            quantizer=self.quantizer,
            runtime=self.runtime,
            config=self.config,
            accuracy=self.accuracy,
            scores={name: value for name, value in self.scores.items() if name != ACCURACY},
            test_images=self.test_images,
            command=command,
            start_sha256=self.start_sha256,
            teacher_sha256=self.teacher_sha256,
            versions={name: version(name) for name in _PACKAGES},
        )
        save_checkpoint(path, self.model, meta, self.history)
        if self.state_path is not None:
            self.state_path.unlink(missing_ok=True)
        return path


def train_float(
    spec: ModelSpec,
    data: Dataset,
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    state_dir: Path | None = None,
    teacher: keras.Model | None = None,
) -> Trained:
    """Trains the float network, from random weights.

    Args:
        spec: the topology.
        data: samples in its input shape.
        config: the recipe; `default_config` if not given.
        progress: is told of every epoch.
        state_dir: where an interrupted run is kept and found again; None keeps none.
        teacher: of the soft labels, if the recipe has any; None for no teacher.
    """
    config = config or default_config(data.name, spec.input_shape, quantized=False)
    progress = progress or Silent()
    keras.utils.set_random_seed(config.seed)
    with precision(config.arithmetic):
        model = build_trainable_float(spec)
    hashes = () if teacher is None else (weights_sha256(teacher),)
    identity = run_identity(spec.name, data, config.fingerprint(), *hashes)
    progress.on_message(f"float {spec.name} on {data.name}: {config.epochs} epochs")
    state_path = state_file(state_dir, identity)
    freeze = _statistics_of(model, data)
    history = fit(model, data, config, progress, state_path, identity, teacher, freeze, spec.task)
    settle_statistics(model, data, config)
    final = spec.build_float()
    copy_weights(model, final)
    return Trained(
        spec=spec,
        model=final,
        dataset=data.name,
        config=config,
        history=history,
        scores=evaluate(final, data, spec.task),
        test_images=len(data.x_test),
        teacher_sha256=hashes[0] if hashes else None,
        state_path=state_path,
    )


def train_quantized(
    spec: ModelSpec,
    bits: BitsSpec,
    data: Dataset,
    start: keras.Model,
    config: TrainConfig | None = None,
    progress: Progress | None = None,
    state_dir: Path | None = None,
    teacher: keras.Model | None = None,
    quantizer: str = UNIFORM,
) -> Trained:
    """Quantization-aware training from a float network.

    Args:
        spec: the topology.
        bits: width of every weight layer and activation quantizer.
        data: samples in its input shape.
        start: the trained float network; it is not changed.
        config: the recipe; `default_config` if not given.
        progress: is told of every epoch.
        state_dir: where an interrupted run is kept and found again; None keeps none.
        teacher: of the soft labels; `start` if not given.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
    """
    config = config or default_config(data.name, spec.input_shape, quantized=True)
    progress = progress or Silent()
    teacher = teacher or start
    keras.utils.set_random_seed(config.seed)
    prepared, ranges = prepare(spec, bits, start, data.x_train, quantizer)
    with precision(config.arithmetic):
        model = build_trainable(spec, bits, ranges, quantizer)
    copy_weights(prepared, model)
    if find_system(quantizer).thresholds:
        start_activations(model, as_numbers(data.x_train[:IMAGES]))
        copy_weights(prepared, model)
    hashes = weights_sha256(start), weights_sha256(teacher)
    parts = bits.model_dump_json(), ranges.model_dump_json(), *hashes, *([] if quantizer == UNIFORM else [quantizer])
    identity = run_identity(spec.name, data, config.fingerprint(), *parts)
    progress.on_message(
        f"{spec.name} at {label(spec, bits, quantizer)} on {data.name}: {config.epochs} epochs from the float network"
    )
    state_path = state_file(state_dir, identity)
    freeze = _statistics_of(model, data)
    history = fit(model, data, config, progress, state_path, identity, teacher, freeze, spec.task)
    settle_statistics(model, data, config)
    final = spec.build_quantized(bits, ranges, quantizer)
    exact = build_trainable(spec, bits, ranges, quantizer)  # QKeras leaves rounding errors, which decide ties by chance
    copy_weights(model, final)
    copy_weights(final, exact)
    return Trained(
        spec=spec,
        model=final,
        dataset=data.name,
        config=config,
        history=history,
        scores=evaluate(exact, data, spec.task),
        test_images=len(data.x_test),
        bits=bits,
        ranges=ranges,
        quantizer=quantizer,
        start_sha256=hashes[0],
        teacher_sha256=hashes[1],
        state_path=state_path,
    )


def weights_sha256(model: keras.Model) -> str:
    """A hash of all weights of a network, in their order."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(np.ascontiguousarray(value, np.float32).tobytes())
    return digest.hexdigest()


def weights_in(checkpoint: Path) -> str:
    """`weights_sha256` of the network in a checkpoint, which its file's hash is not."""
    return _weights_in(checkpoint, read_meta(checkpoint).sha256)


@lru_cache(maxsize=256)
def _weights_in(checkpoint: Path, sha256: str) -> str:
    """The hash; `sha256`, of the file, tells it from one that was there before."""
    return weights_sha256(load_checkpoint(checkpoint)[0])


def _statistics_of(model: keras.Model, data: Dataset) -> Callable[[], None]:
    return lambda: measure_statistics(model, data.x_train[:STATISTICS_IMAGES])


def run_identity(model: str, data: Dataset, recipe: str, *parts: str) -> str:
    """A hash of all that the result of a run depends on.

    Args:
        recipe: its fingerprint.
        *parts: what else there is.
    """
    digest = hashlib.sha256(json.dumps([model, data.name, len(data.x_train), recipe, *parts]).encode())
    for values in (data.x_train, data.y_train):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def state_file(state_dir: Path | None, identity: str, kind: str = "training") -> Path | None:
    """Where the state of a run is kept."""
    return None if state_dir is None else state_dir / f"{kind}-{identity[:12]}.state"


def find_float(spec: ModelSpec, dataset: str, folder: Path) -> Path | None:
    """The checkpoint of a float network in `folder`, or the one that comes with the project; None without either."""
    return find_checkpoint(spec.name, dataset, None, folder) or find_checkpoint(spec.name, dataset, None)


def float_checkpoint(
    spec: ModelSpec, data: Dataset, folder: Path, progress: Progress | None = None, seed: int = 0
) -> Path:
    """The checkpoint of the float network to start from: in `folder`, with the project, or trained now.

    Args:
        spec: the topology.
        data: samples in its input shape.
        folder: where a float checkpoint is looked for first, and where a new one is written; of several processes one
            trains it and the others wait.
        progress: is told what was found, and of every epoch.
        seed: of a network that is trained now.
    """
    told = progress or Silent()

    def train() -> Path:
        config = default_config(data.name, spec.input_shape, quantized=False).model_copy(update={"seed": seed})
        command = f"flow train --model {spec.name} --float --dataset {data.name} --seed {seed}"
        return train_float(spec, data, config, told, folder).save(command, folder)

    key = f"{spec.name}-{data.name}-float"
    path = once(folder, key, lambda: find_float(spec, data.name, folder), train, told.on_message)
    told.on_message(f"float start: {path}, {read_meta(path).score_text} on the test samples")
    return path


def float_start(
    spec: ModelSpec, data: Dataset, folder: Path, progress: Progress | None = None, seed: int = 0
) -> keras.Model:
    """The network of `float_checkpoint`.

    Raises:
        FlowError: a checkpoint was found and is corrupt.
    """
    return load_checkpoint(float_checkpoint(spec, data, folder, progress, seed))[0]
