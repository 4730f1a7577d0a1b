"""One of the project's networks: an included checkpoint, one of the user's, or training."""

from __future__ import annotations

import shlex
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.bits import BitsSpec
from flow.cache import digest
from flow.datasets import Dataset, content_digest, load, resolve
from flow.errors import FlowError
from flow.network import Samples
from flow.pipeline.config import DEFAULT_BITS, BuildConfig
from flow.pipeline.reporter import TrainingProgress
from flow.pipeline.stage import Result
from flow.pipeline.stages.common import file_digest
from flow.quantizers import UNIFORM, check_widths, find_system
from keras_models import find_model

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.pipeline.stage import Work
    from flow.training.checkpoints import CheckpointMeta


class BuiltIn:
    """See `Subject`."""

    def __init__(self, config: BuildConfig) -> None:
        self._config = config
        self._spec = find_model(config.model)
        self._bits_text = config.bits or DEFAULT_BITS
        self._quantizer = config.quantizer or UNIFORM
        self.name = self._spec.identifier

    @property
    def run_name(self) -> str:
        return "-".join([self.family, Path(self._bits_text).stem, self.dataset_name])

    @property
    def family(self) -> str:
        """What networks of several widths have in common, for names of folders."""
        return self._spec.name if self._quantizer == UNIFORM else f"{self._spec.name}-{self._quantizer}"

    @property
    def _bits(self) -> BitsSpec:
        return BitsSpec.parse(self._spec, self._bits_text)

    @property
    def dataset_name(self) -> str:
        """What `auto` comes to, without loading anything."""
        return resolve(self._config.dataset, self._config.data, self._spec.input_shape)

    def _find(self, dataset: str, folder: Path | None = None) -> Path | None:
        from flow.training.checkpoints import find_checkpoint

        return find_checkpoint(self._spec.name, dataset, self._bits, folder, self._quantizer)

    def _dataset(self) -> Dataset:
        return _load(self._config.dataset, self._config.data, self._spec.input_shape)

    @property
    def trains(self) -> bool:
        """Whether a build starts with training: asked for, or no checkpoint of these widths is included."""
        config = self._config
        if config.checkpoint is not None:
            return False
        return bool(config.epochs) or self._find(self.dataset_name) is None

    def _check_widths(self) -> None:
        check_widths(self._spec, self._bits, find_system(self._quantizer))

    def check(self) -> None:
        config = self._config
        self._check_widths()
        if config.samples is not None:
            raise FlowError(
                f"--samples: {self._spec.name} is tried on a dataset (--dataset); samples are for a model file"
            )
        if config.data is not None and not config.data.is_dir():
            raise FlowError(f"--data {config.data}: there is no such folder")
        try:
            _ = self.dataset_name
        except FlowError as error:
            raise FlowError(f"--dataset: {error}") from error
        if config.checkpoint is not None and not config.checkpoint.is_file():
            raise FlowError(f"--checkpoint {config.checkpoint}: there is no such file")
        if config.checkpoint is not None and config.epochs is not None:
            raise FlowError(f"--epochs: --checkpoint {config.checkpoint} is trained already; leave one of them out")

    def settings(self) -> Any:
        config = self._config
        shipped = self._find(self.dataset_name)
        return {
            "model": self._spec.name,
            **self._quantization(),
            "dataset": self.dataset_name,
            "data": content_digest(self.dataset_name, config.data),
            "epochs": config.epochs,
            "seed": config.seed if shipped is None or config.epochs else None,
            "checkpoint": file_digest(config.checkpoint or (None if config.epochs else shipped)),
        }

    def _quantization(self) -> dict[str, Any]:
        system = {} if self._quantizer == UNIFORM else {"quantizer": self._quantizer}
        return {"bits": self._bits.model_dump(), **system}

    def prepare(self, work: Work) -> Result:
        from flow.training.checkpoints import read_meta

        data = self._dataset()
        work.reporter.line(f"  {data.source}")
        path = self._given(data.name)
        if path is None:
            path = self._train(work, data)
        else:
            meta = read_meta(path)
            work.reporter.line(f"  checkpoint {path.name}: {meta.score_text} on {meta.test_images:,} test samples")
            for file in (path.with_suffix(suffix) for suffix in (".h5", ".json", ".csv")):
                if file.exists() and file.resolve() != (work.folder / file.name).resolve():
                    shutil.copyfile(file, work.folder / file.name)
        found = work.folder / path.name  # copied there, or trained into it
        values = {"network": found.name, "command": read_meta(found).command, "source": data.source}
        return Result(values, (found.name, found.with_suffix(".json").name))

    def _given(self, dataset: str) -> Path | None:
        """The checkpoint to build, or None to train."""
        from flow.training.checkpoints import read_meta

        config = self._config
        if config.checkpoint is None:
            return None if config.epochs else self._find(dataset)
        meta = read_meta(config.checkpoint)
        for what, found, wanted in (
            ("model", meta.model, self._spec.name),
            ("dataset", meta.dataset, dataset),
            ("quantizer", meta.quantizer, self._quantizer),
            self._trained_as(meta),
        ):
            if found != wanted:
                raise FlowError(
                    f"{config.checkpoint} was trained with another {what} than asked for: {found}, not {wanted}"
                )
        return config.checkpoint

    def _trained_as(self, meta: CheckpointMeta) -> tuple[str, object, object]:
        """What the checkpoint's widths are called, are, and should be."""
        from flow.training.checkpoints import label

        return "list of bits", meta.label, label(self._spec, self._bits, self._quantizer)

    def _train(self, work: Work, data: Dataset) -> Path:
        from flow.training.config import default_config
        from flow.training.run import train_quantized

        config, spec = self._config, self._spec
        progress = TrainingProgress(work.reporter)
        start = self._float_start(work, data, progress)
        recipe = default_config(data.name, spec.input_shape, quantized=True)
        changes = {"seed": config.seed} | ({"epochs": config.epochs} if config.epochs else {})
        recipe = recipe.model_copy(update=changes)
        trained = train_quantized(
            spec, self._bits, data, start, recipe, progress, work.folder, quantizer=self._quantizer
        )
        command = ["flow", "train", "--model", spec.name, "--dataset", data.name, "--bits", self._bits_text]
        command += [] if self._quantizer == UNIFORM else ["--quantizer", self._quantizer]
        command += ["--epochs", str(recipe.epochs), "--seed", str(recipe.seed)]
        return trained.save(shlex.join(command), work.folder)

    def _float_start(self, work: Work, data: Dataset, progress: TrainingProgress) -> keras.Model:
        """The float network that comes with the project, or one that is trained now: not one that an earlier build in
        this folder has left, of another seed or of other samples.
        """
        from flow.training.run import float_start

        seed, samples = self._config.seed, content_digest(data.name, self._config.data)
        place = work.folder / f"float-{digest([str(seed), str(samples)])[:12]}"
        return float_start(self._spec, data, place, progress, seed)

    def load(self, path: Path) -> keras.Model:
        from flow.training.checkpoints import load_checkpoint

        return load_checkpoint(path)[0]

    def samples(self) -> Samples:
        data = self._dataset()
        return Samples(data.x_test, data.y_test, data.name, data.source, self._spec.task)


@lru_cache(maxsize=1)
def _load(name: str, data: Path | None, shape: tuple[int, ...]) -> Dataset:
    """The samples, read once for all stages of a run."""
    return load(name, data, shape)
