"""Trains the networks of a study: a short float start, then its bits; one float network teaches all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from flow.bits import BitsSpec
from flow.boards import Board
from flow.datasets import Dataset
from flow.errors import FlowError
from flow.files import read_json
from flow.folding.budget import UTILIZATION
from flow.isocost.arms import MIXED, Arm, Folders, Recipe
from flow.isocost.solve import Equal, one_width
from flow.keras_env import keras
from flow.search.budget import Budget
from flow.search.choices import SearchConfig, lowest
from flow.search.costs import Costs, costs
from flow.search.report import BITS, JSON, write_bits, write_found
from flow.search.run import find_widths
from flow.search.synthesized import Synthesized
from flow.training.checkpoints import checkpoint_path, find_checkpoint, load_checkpoint, read_meta
from flow.training.config import TrainConfig, default_config
from flow.training.finished import finished
from flow.training.progress import Progress
from flow.training.run import float_start, train_float, train_quantized, weights_sha256
from keras_models import MODELS
from keras_models.spec import ModelSpec

#: whose float network, which comes with the project, teaches other networks too
TEACHER = "resnet8"


def float_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The float recipe, shorter, with a teacher."""
    base = default_config(dataset, spec.input_shape, quantized=False)
    changes = {"epochs": epochs, "warmup_epochs": min(base.warmup_epochs, 1), "distill": 0.7, "seed": seed}
    return base.model_copy(update=changes)


def quantized_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The project's recipe for quantized networks."""
    return default_config(dataset, spec.input_shape, quantized=True).model_copy(update={"epochs": epochs, "seed": seed})


def base_teacher(spec: ModelSpec, data: Dataset, folder: Path, progress: Progress) -> keras.Model:
    """The network that teaches all: the model's own float network in `folder`; ResNet-8's, which comes with the
    project, where it was trained on these classes; or the model's own, trained now.
    """
    own, shared = find_checkpoint(spec.name, data.name, None, folder), find_checkpoint(TEACHER, data.name, None)
    base = MODELS[TEACHER]
    if own is None and shared is not None and (base.input_shape, base.output_shape) == (
        spec.input_shape, spec.output_shape,
    ):  # fmt: skip
        progress.on_message(f"teacher: {shared}, {read_meta(shared).score_text} on the test samples")
        return load_checkpoint(shared)[0]
    return float_start(spec, data, folder, progress)


@dataclass(frozen=True)
class Trainer:
    """What the networks of a study are trained with.

    Attributes:
        equal: the common cost.
        board: of the search's cost model.
        data: samples.
        teacher: a float network.
        recipe: epochs.
        folders: where what is kept.
        synthesized: LUTs of networks before they are trained.
        command: that makes a network again, for its description.
        progress: is told of every epoch.
    """

    equal: Equal
    board: Board
    data: Dataset
    teacher: keras.Model
    recipe: Recipe
    folders: Folders
    synthesized: Synthesized
    command: Callable[[Arm], str]
    progress: Progress

    def widths(self, arm: Arm) -> BitsSpec | None:
        """The widths of an arm; of a mixed one, those that its search has left, None if it has not.

        Raises:
            FlowError: the search was another one; says in what.
        """
        if arm.bits is not None:
            return arm.bits
        place = self.folders.networks(arm)
        if not (place / BITS).is_file():
            return None
        found, wanted = read_json(place / JSON).get("search", {}), self._search_of(arm)
        changed = [key for key, value in wanted.items() if value is not None and found.get(key) != value]
        if changed:
            raise FlowError(f"{place / BITS}: was searched with another {', '.join(changed)}; take another --out")
        return BitsSpec.load(arm.spec, place / BITS)

    def finished(self, arm: Arm) -> Path | None:
        """The checkpoint of an arm, None if it is not there yet.

        Raises:
            FlowError: there is one of another recipe, start or teacher.
        """
        self._float_path(arm)
        bits = self.widths(arm)
        if bits is None:
            return None
        start = None if arm.group == MIXED else self._start_sha256(arm)  # a search has weights of its own
        hashes = {"start_sha256": start, "teacher_sha256": weights_sha256(self.teacher)}
        path = self.folders.checkpoint(arm, self.data.name, bits)
        return finished(path, self._config(arm), **hashes)

    def train(self, arm: Arm) -> Path:
        """Trains an arm if that is not done; one that was stopped goes on after its last whole epoch.

        Returns:
            The weights file.
        """
        path = self.finished(arm)
        if path is not None:
            return path
        place, start, bits = self.folders.networks(arm), self._float_start(arm), arm.bits
        if bits is None:
            bits, start = self._search(arm, start)
        config = self._config(arm)
        trained = train_quantized(arm.spec, bits, self.data, start, config, self.progress, place, self.teacher)
        path = trained.save(self.command(arm), place)
        self.progress.on_message(f"{trained.accuracy:.2%} on {trained.test_images:,} test images: {path}")
        return path

    def _config(self, arm: Arm) -> TrainConfig:
        return quantized_config(arm.spec, self.data.name, self.recipe.at_whole_widths(arm), arm.seed)

    def _float_path(self, arm: Arm) -> Path | None:
        """The float start, None where it is not there (any more); networks of one shape and seed share theirs."""
        path = checkpoint_path(arm.spec.name, self.data.name, None, self.folders.starts(arm))
        config = float_config(arm.spec, self.data.name, self.recipe.float_epochs, arm.seed)
        return finished(path, config, teacher_sha256=weights_sha256(self.teacher))

    def _start_sha256(self, arm: Arm) -> str | None:
        path = self._float_path(arm)
        return None if path is None else _weights_of(path, read_meta(path).sha256)

    def _float_start(self, arm: Arm) -> keras.Model:
        path = self._float_path(arm)
        if path is not None:
            return load_checkpoint(path)[0]
        config = float_config(arm.spec, self.data.name, self.recipe.float_epochs, arm.seed)
        place = self.folders.starts(arm)
        trained = train_float(arm.spec, self.data, config, self.progress, place, self.teacher)
        trained.save(self.command(arm), place)
        return trained.model

    def _budget(self, arm: Arm) -> Budget:
        """That of the network with one width that the mixed one stands beside."""
        if self.equal.kind == "bytes":
            return Budget("bytes", self.equal.cost(arm.spec, one_width(arm.spec, arm.beside)))
        return Budget("luts", self.equal.luts / self.equal.ratios.get(arm.beside, 1.0))

    def _search_of(self, arm: Arm) -> dict[str, object]:
        """What a search depends on; None where that is not known (any more)."""
        return {
            "network": arm.spec.name, "budget": str(self._budget(arm)), "cycles": self.equal.cycles,
            "epochs": self.recipe.search_epochs, "start": self._start_sha256(arm),
            "teacher": weights_sha256(self.teacher),
        }  # fmt: skip

    def _search(self, arm: Arm, start: keras.Model) -> tuple[BitsSpec, keras.Model]:
        """Widths at the common cost, and the network that was searched."""
        place, budget = self.folders.networks(arm), self._budget(arm)
        tables = costs(arm.spec, budget, self.board, UTILIZATION, self.equal.cycles)
        learning = quantized_config(arm.spec, self.data.name, self.recipe.search_epochs, arm.seed).model_copy(
            update={"frozen_epochs": 0, "quantizer_rate": 5.0}
        )
        beside, search = one_width(arm.spec, arm.beside), SearchConfig()

        def correct(bits: BitsSpec) -> Costs | None:
            """The budget by what the cost model errs by at these widths, where they miss the common cost."""
            luts = self.synthesized.luts(arm.spec, bits, self.equal.cycles)
            least = 1 - self.equal.tolerance if self.equal.kind == "luts" else 0.0
            if least <= luts / self.equal.luts <= 1:
                return None
            corrected = replace(tables, budget=self.equal.luts * tables.of(bits) / luts)
            if corrected.of(lowest(arm.spec, search, beside)) > corrected.budget:
                return None
            self.progress.on_message(f"that is {luts / self.equal.luts:.1%} of the common cost: chosen once more")
            return corrected

        found = find_widths(
            arm.spec, self.data, start, budget, tables, beside, search, learning, place, self.progress, self.teacher,
            None if self.equal.kind == "bytes" else correct,
        )  # fmt: skip
        if self.equal.kind != "bytes":
            self.synthesized.luts(arm.spec, found.bits, self.equal.cycles)
        plain = {"search": self._search_of(arm), "learned": found.learned, "bits": found.bits.model_dump()}
        write_found(plain, found.path, found.bits, place)
        write_bits(found.bits, place)
        return found.bits, found.network


@lru_cache(maxsize=256)
def _weights_of(path: Path, sha256: str) -> str:
    """The hash of a checkpoint's weights; `sha256`, of its file, tells it from one that was there before."""
    return weights_sha256(load_checkpoint(path)[0])
