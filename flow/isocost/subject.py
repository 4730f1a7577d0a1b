"""The study for the harness: a short float start, then an arm's bits; one float network teaches all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flow.bits import BitsSpec
from flow.boards import find_board
from flow.datasets import Dataset
from flow.errors import FlowError
from flow.files import read_json
from flow.folding.budget import UTILIZATION
from flow.isocost.arms import MIXED, Arm, Folders, Recipe, arm_name
from flow.isocost.rows import NAME, About, Row, read_row, results
from flow.isocost.solve import Equal, one_width
from flow.keras_env import keras
from flow.report import Report
from flow.search.budget import Budget
from flow.search.choices import LEARNING, SearchConfig, lowest
from flow.search.costs import Costs, costs
from flow.search.report import BITS, JSON, refuse_another, write_bits, write_found
from flow.search.run import find_widths
from flow.search.synthesized import Synthesized, SynthesizedBudget
from flow.study.subject import Subject
from flow.study.subject import recipe as quantized_recipe
from flow.study.table import Results
from flow.training.checkpoints import checkpoint_path, find_checkpoint, load_checkpoint, read_meta
from flow.training.claim import once
from flow.training.config import TrainConfig, default_config
from flow.training.finished import finished
from flow.training.progress import Progress
from flow.training.run import Trained, float_checkpoint, train_float, train_quantized, weights_in
from keras_models import MODELS
from keras_models.spec import ModelSpec

#: what these studies do about batch statistics. Weights of few bits flip to the end, and running averages lag behind:
#: the test accuracy of 2-bit weights jumps by ten points from epoch to epoch, that of 1-bit weights by thirty. Epochs
#: with statistics that stand still cost those networks even more
STATISTICS = {"frozen_epochs": 0, "precise_statistics": True}
#: whose float network, which comes with the project, teaches other networks too
TEACHER = "resnet8"


def float_config(spec: ModelSpec, dataset: str, epochs: int, seed: int) -> TrainConfig:
    """The float recipe, shorter, with a teacher."""
    base = default_config(dataset, spec.input_shape, quantized=False)
    changes = {"epochs": epochs, "warmup_epochs": min(base.warmup_epochs, 1), "distill": 0.7, "seed": seed}
    return base.model_copy(update=changes)


def base_teacher(spec: ModelSpec, data: Dataset, folder: Path, progress: Progress) -> Path:
    """The checkpoint of what teaches all: the model's own float network in `folder`; ResNet-8's, which comes with the
    project, where it was trained on these classes; or the model's own, with the project or trained now.
    """
    own, shared = find_checkpoint(spec.name, data.name, None, folder), find_checkpoint(TEACHER, data.name, None)
    base = MODELS[TEACHER]
    if own is None and shared is not None and (base.input_shape, base.output_shape) == (
        spec.input_shape, spec.output_shape,
    ):  # fmt: skip
        progress.on_message(f"teacher: {shared}, {read_meta(shared).score_text} on the test samples")
        return shared
    return float_checkpoint(spec, data, folder, progress)


@dataclass(frozen=True)
class EqualCost(Subject[Arm]):
    """Networks of one cost, built at its cycles; the board is that of searches too.

    Attributes:
        equal: the common cost.
        teacher: checkpoint of a float network.
        recipe: epochs.
        folders: where what is kept.
        synthesized: LUTs of networks before they are trained.
        makes: the command that makes the study again.
    """

    equal: Equal
    teacher: Path
    recipe: Recipe
    folders: Folders
    synthesized: Synthesized
    makes: str

    @property
    def results_folder(self) -> Path:
        return self.folders.results

    def place(self, arm: Arm) -> Path:
        return self.folders.networks(arm)

    def run(self, arm: Arm) -> Path:
        return self.folders.build(arm, self.hardware.cycles)

    def kept(self, arm: Arm) -> Path:
        return self.folders.report(arm, self.hardware.cycles)

    def command(self, arm: Arm) -> str:
        return f"{self.makes} --only {arm.name}"

    def row(self, arm: Arm, checkpoint: Path, report: Report | None) -> Row:
        bits = self.widths(arm)
        luts = self.synthesized.known(arm.spec, bits, self.equal.cycles)
        return read_row(arm, bits, self.equal, checkpoint, report, luts)

    def results(self, rows: Sequence[Row]) -> Results:
        """What is known.

        Raises:
            FlowError: there is a table of another study, which this one would replace.
        """
        self._refuse_another_table()
        meta, board = read_meta(self.teacher), self.hardware.board
        teacher = {"network": meta.model, "accuracy": meta.accuracy, "sha256": meta.sha256}
        return results(rows, About(self.makes, self.data.name, self.recipe, teacher, board, self.equal))

    def _refuse_another_table(self) -> None:
        file = self.results_folder / f"{NAME}.json"
        if not file.is_file():
            return
        before = read_json(file)
        rows = before["rows"]
        was = {"dataset": before["dataset"], "board": before["board"], "cycles": before["equal"]["cycles"]}
        now = {"dataset": self.data.name, "board": self.hardware.board, "cycles": self.equal.cycles}
        if rows and was != now:
            changed = ", ".join(f"{key} {was[key]} and not {now[key]}" for key in was if was[key] != now[key])
            raise FlowError(f"{file}: is of a study with {changed}; take another --out")
        lost = {arm_name(row["network"], row["weights"], row["seed"]) for row in rows} - {arm.name for arm in self.arms}
        if lost:
            raise FlowError(
                f"{file}: is of a study that has other networks, {', '.join(sorted(lost))}: --bits, --share, --seeds "
                f"and --mixed say which there are; name them as it did, or take another --out"
            )

    def widths(self, arm: Arm) -> BitsSpec | None:
        """The widths of an arm; of a mixed one, those that its search has left, None if it has not.

        Raises:
            FlowError: the search was another one; says in what.
        """
        if arm.bits is not None:
            return arm.bits
        place = self.place(arm)
        if not (place / BITS).is_file():
            return None
        refuse_another(place / BITS, read_json(place / JSON).get("search", {}), self._search_of(arm))
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
        path = self.folders.checkpoint(arm, self.data.name, bits)
        return finished(path, self._config(arm), start_sha256=start, teacher_sha256=weights_in(self.teacher))

    def train(self, arm: Arm) -> Trained:
        start, teacher = load_checkpoint(self._float_start(arm))[0], load_checkpoint(self.teacher)[0]
        bits = arm.bits
        if bits is None:
            bits, start = self._search(arm, start, teacher)
        config, place = self._config(arm), self.place(arm)
        return train_quantized(arm.spec, bits, self.data, start, config, self.progress, place, teacher, arm.quantizer)

    def _config(self, arm: Arm) -> TrainConfig:
        config = quantized_recipe(arm.spec, self.data.name, self.recipe.at_whole_widths(arm), arm.seed)
        return config.model_copy(update=STATISTICS)

    def _float_config(self, arm: Arm) -> TrainConfig:
        return float_config(arm.spec, self.data.name, self.recipe.float_epochs, arm.seed)

    def _float_path(self, arm: Arm) -> Path | None:
        """The float start, None where it is not there (any more); networks of one shape and seed share theirs."""
        path = checkpoint_path(arm.spec.name, self.data.name, None, self.folders.starts(arm))
        return finished(path, self._float_config(arm), teacher_sha256=weights_in(self.teacher))

    def _start_sha256(self, arm: Arm) -> str | None:
        path = self._float_path(arm)
        return None if path is None else weights_in(path)

    def _float_start(self, arm: Arm) -> Path:
        """The float start, trained now if it is not there; of several processes one trains it."""
        place = self.folders.starts(arm)

        def train() -> Path:
            teacher = load_checkpoint(self.teacher)[0]
            trained = train_float(arm.spec, self.data, self._float_config(arm), self.progress, place, teacher)
            return trained.save(self.command(arm), place)

        key = f"{arm.spec.name}-{self.data.name}-float"
        return once(place, key, lambda: self._float_path(arm), train, self.progress.on_message)

    def _budget(self, arm: Arm) -> Budget:
        """That of the network with one width that the mixed one stands beside."""
        if self.equal.kind == "bytes":
            return Budget("bytes", self.equal.cost(arm.spec, one_width(arm.spec, arm.beside)))
        return Budget("luts", self.equal.estimated_luts(arm.spec, arm.beside))

    def _measured_budget(self, arm: Arm, tables: Costs) -> SynthesizedBudget:
        """The same as synthesis counts it, with random weights on both sides: trained ones take some percent less.

        By the tables it is what they say of the network beside: they err by some percent of the whole model.
        """
        equal, beside = self.equal, one_width(arm.spec, arm.beside)
        luts = self.synthesized.luts(arm.spec, beside, equal.cycles)
        near_enough = (1 - equal.tolerance / 2) * max(equal.luts / luts, 1.0)
        tables = replace(tables, budget=tables.of(beside))
        return SynthesizedBudget(
            arm.spec, tables, equal.cycles, luts, min(near_enough, 1.0), lowest(arm.spec, SearchConfig(), beside),
            self.synthesized, self.progress.on_message, beside,
        ).checked()  # fmt: skip

    def _search_of(self, arm: Arm) -> dict[str, object]:
        """What a search depends on; None where that does not count, or is not known (any more)."""
        return {
            "network": arm.spec.name, "budget": str(self._budget(arm)),
            "cycles": None if self.equal.kind == "bytes" else self.equal.cycles,
            "epochs": self.recipe.search_epochs, "start": self._start_sha256(arm),
            "teacher": weights_in(self.teacher),
        }  # fmt: skip

    def _search(self, arm: Arm, start: keras.Model, teacher: keras.Model) -> tuple[BitsSpec, keras.Model]:
        """Widths at the common cost, and the network that was searched."""
        place, budget = self.place(arm), self._budget(arm)
        tables = costs(arm.spec, budget, find_board(self.hardware.board), UTILIZATION, self.equal.cycles)
        learning = quantized_recipe(arm.spec, self.data.name, self.recipe.search_epochs, arm.seed).model_copy(
            update=LEARNING
        )
        beside, search = one_width(arm.spec, arm.beside), SearchConfig()

        counts, within, least = self.equal, None, 1 - self.equal.tolerance
        if counts.kind == "bytes":
            least *= counts.target / tables.budget
        else:
            measured = self._measured_budget(arm, tables)
            tables, within, least = measured.costs, measured.choose, measured.least
        found = find_widths(
            arm.spec, self.data, start, budget, tables, beside, search, learning, place, self.progress, teacher,
            within, least,
        )  # fmt: skip
        plain = {"search": self._search_of(arm), "learned": found.learned, "bits": found.bits.model_dump()}
        write_found(plain, found.path, found.bits, place)
        write_bits(found.bits, place)
        return found.bits, found.network
