"""train: a checkpoint that comes with the project, one of the user's, or training."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from flow.errors import FlowError
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import TrainingProgress
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import (
    PACKAGE,
    bits_of,
    code,
    dataset_name,
    dataset_of,
    file_digest,
    model_of,
    network_settings,
)


def _settings(config: BuildConfig) -> dict:
    from flow.training.checkpoints import find_checkpoint

    shipped = find_checkpoint(config.model, dataset_name(config), bits_of(config))
    return network_settings(config) | {
        "epochs": config.epochs,
        "seed": config.seed if shipped is None or config.epochs else None,
        "checkpoint": file_digest(config.checkpoint or (None if config.epochs else shipped)),
    }


def _given(config: BuildConfig, dataset: str) -> Path | None:
    """The checkpoint to build, or None to train."""
    from flow.training.checkpoints import find_checkpoint, read_meta

    if config.checkpoint is None:
        return None if config.epochs else find_checkpoint(config.model, dataset, bits_of(config))
    meta = read_meta(config.checkpoint)
    for what, found, wanted in (
        ("model", meta.model, config.model),
        ("dataset", meta.dataset, dataset),
        ("bits", meta.bits, bits_of(config)),
    ):
        if found != wanted:
            raise FlowError(f"{config.checkpoint} was trained with another {what} than asked for: {found}, not {wanted}")
    return config.checkpoint


def run(work: Work) -> Result:
    """Puts the checkpoint to build into the stage's folder."""
    from flow.training.checkpoints import find_checkpoint, read_meta

    config, spec = work.config, model_of(work.config)
    data = dataset_of(config)
    work.reporter.line(f"  {data.source}")
    path = _given(config, data.name)
    if path is None:
        path = _train(work, data)
    else:
        meta = read_meta(path)
        work.reporter.line(f"  checkpoint {path.name}: {meta.accuracy:.2%} on {meta.test_images:,} test images")
        for suffix in (".h5", ".json", ".csv"):
            if path.with_suffix(suffix).exists():
                shutil.copyfile(path.with_suffix(suffix), work.folder / path.with_suffix(suffix).name)
    found = find_checkpoint(spec.name, data.name, bits_of(config), work.folder)
    if found is None:
        raise FlowError(f"no checkpoint for {spec.name} on {data.name} in {work.folder}")
    meta = read_meta(found)
    return Result(
        {"checkpoint": found.name, "command": meta.command, "source": data.source},
        (found.name, found.with_suffix(".json").name),
    )


def _train(work: Work, data) -> Path:
    from flow.training.config import default_config
    from flow.training.run import float_start, train_quantized

    config, spec = work.config, model_of(work.config)
    progress = TrainingProgress(work.reporter)
    start = float_start(spec, data, work.folder, progress, config.seed)
    recipe = default_config(data.name, spec.image_size, quantized=True)
    changes = {"seed": config.seed} | ({"epochs": config.epochs} if config.epochs else {})
    recipe = recipe.model_copy(update=changes)
    trained = train_quantized(spec, bits_of(config), data, start, recipe, progress, work.folder)
    command = ["flow", "train", "--model", spec.name, "--dataset", data.name, "--bits", config.bits]
    command += ["--epochs", str(recipe.epochs), "--seed", str(recipe.seed)]
    return trained.save(shlex.join(command), work.folder)


STAGE = Stage(
    "train",
    (),
    (*code("training", "datasets", "bits.py", "keras_env.py"), PACKAGE.parent / "keras_models"),
    _settings,
    run,
)
