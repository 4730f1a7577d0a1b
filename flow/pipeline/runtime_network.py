"""One of the project's networks, trained for several widths between which its layers change while it runs."""

from __future__ import annotations

import re
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.datasets import Dataset
from flow.errors import FlowError
from flow.mixer.config import STAGES
from flow.pipeline.built_in import BuiltIn
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import TrainingProgress
from keras_models.runtime import RuntimePlan, parse_widths, plan_runtime

if TYPE_CHECKING:
    from flow.pipeline.stage import Work
    from flow.training.checkpoints import CheckpointMeta


class RuntimeNetwork(BuiltIn):
    """See `Subject`; a checkpoint of `flow train --runtime-bits`, or training."""

    def __init__(self, config: BuildConfig) -> None:
        super().__init__(config)
        self._option = f"--runtime-bits {config.runtime_bits}"
        self.name = re.sub(r"\W", "_", f"{self._spec.name}_mixer")

    @cached_property
    def plan(self) -> RuntimePlan:
        """Which layers can change and between what."""
        return plan_runtime(self._spec, parse_widths(self._config.runtime_bits))

    @property
    def run_name(self) -> str:
        from flow.training.checkpoints import label

        return "-".join([self._spec.name, label(self._spec, None, runtime=self.plan.widths), self.dataset_name])

    def _check_widths(self) -> None:
        config = self._config
        for other, given in (("--bits", config.bits), ("--quantizer", config.quantizer)):
            if given is not None:
                raise FlowError(f"{self._option}: takes the place of {other}; leave one of them out")
        _ = self.plan

    def check(self) -> None:
        super().check()
        config = self._config
        if config.checkpoint is None and config.epochs is None and self._find(self.dataset_name) is None:
            raise FlowError(
                f"{self._option}: no checkpoint of {self._spec.name} on {self.dataset_name} is included; give one of "
                f"`flow train {self._option}` (--checkpoint), or train here (--epochs)"
            )
        path = config.checkpoint or (None if config.epochs else self._find(self.dataset_name))
        if path is not None:
            self._check_nesting(path)
        if config.epochs is not None and config.epochs < len(STAGES):
            raise FlowError(
                f"--epochs {config.epochs}: run-time widths are trained in {len(STAGES)} stages, of an epoch or more"
            )

    def _check_nesting(self, path: Path) -> None:
        from flow.quantizers.nested import ROUND
        from flow.training.checkpoints import read_meta

        if getattr(read_meta(path).config, "nesting", None) == ROUND:
            raise FlowError(
                f"{path}: was trained with nesting={ROUND}, so that lower widths are no bit planes of the stored "
                f"weights; train with --set nesting=floor or nesting=centre for hardware"
            )

    def _find(self, dataset: str, folder: Path | None = None) -> Path | None:
        from flow.training.checkpoints import find_checkpoint

        return find_checkpoint(self._spec.name, dataset, None, folder, runtime=self.plan.widths)

    def _quantization(self) -> dict[str, Any]:
        return {"runtime_bits": list(self.plan.widths)}

    def _trained_as(self, meta: CheckpointMeta) -> tuple[str, object, object]:
        return "list of run-time widths", meta.runtime, self.plan.widths

    def _train(self, work: Work, data: Dataset) -> Path:
        from flow.mixer.config import default_mixer_config
        from flow.mixer.run import train_mixer

        config, spec, widths = self._config, self._spec, self.plan.widths
        progress = TrainingProgress(work.reporter)
        start = self._float_start(work, data, progress)
        recipe = default_mixer_config(data.name, spec.input_shape, config.epochs).model_copy(
            update={"seed": config.seed}
        )
        trained = train_mixer(spec, widths, data, start, recipe, progress, work.folder)
        command = ["flow", "train", "--model", spec.name, "--runtime-bits", ",".join(map(str, widths))]
        command += ["--dataset", data.name, "--epochs", str(recipe.epochs), "--seed", str(recipe.seed)]
        return trained.save(shlex.join(command), work.folder)
