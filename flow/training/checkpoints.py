"""Trained networks on disk: a weights file, what it is, and how to make it again.

`<model>-<dataset>-<w4a4|n2uq-w2a2|mixer-w234|float>.h5` holds the weights of a `tf_keras` network; the `.json` beside
it says which network (model, bits, ranges), how it was trained, how accurate it is, the SHA-256
of the weights and the command that makes the file again; the `.csv` is the training log.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.files import write_json, write_whole
from flow.mixer.config import MixerConfig
from flow.quantizers import UNIFORM
from flow.tasks import ACCURACY, scores_text
from flow.training.config import TrainConfig
from keras_models import find_model
from keras_models.ranges import Ranges
from keras_models.spec import ModelSpec

if TYPE_CHECKING:
    from flow.keras_env import keras

FLOAT_LABEL = "float"


class CheckpointMeta(BaseModel):
    """What is known of a checkpoint.

    Attributes:
        model: key of `MODELS`.
        dataset: that it was trained on.
        bits: width of every quantizer, None for a float network and one with run-time widths.
        ranges: step of every quantizer, None for a float network.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
        runtime: the widths that every layer can take while the network runs, None if it cannot.
        config: the recipe.
        accuracy: on all test images, of exactly these weights, in float32; None where the task is not to name a class.
        scores: the figures of another task, by name, see `flow.tasks`; those of each run-time width, network-wide.
        test_images: how many test samples there are.
        note: how the checkpoint was chosen.
        command: that makes it again.
        start_sha256: of the float weights that training began from.
        teacher_sha256: of the float weights whose answers it learned from.
        versions: of the packages it was trained with.
        sha256: of the weights file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    dataset: str
    bits: BitsSpec | None = None
    ranges: Ranges | None = None
    quantizer: str = UNIFORM
    runtime: tuple[int, ...] | None = None
    config: MixerConfig | TrainConfig
    accuracy: float | None = None
    scores: dict[str, float] = {}
    test_images: int
    note: str = "weights of the last epoch; nothing was selected on the test images"
    command: str
    start_sha256: str | None = None
    teacher_sha256: str | None = None
    versions: dict[str, str]
    sha256: str = ""

    @property
    def score_text(self) -> str:
        """How well it does its task, for people."""
        if self.runtime is not None:
            return scores_text({name: value for name, value in self.scores.items() if " at " in name})
        return scores_text(self.scores if self.accuracy is None else {ACCURACY: self.accuracy})

    @property
    def label(self) -> str:
        """What the file's name says of the widths, see `label`."""
        return label(find_model(self.model), self.bits, self.quantizer, self.runtime)


def checkpoint_dir() -> Path:
    """The folder of the checkpoints that come with the project."""
    import keras_models

    return Path(keras_models.__file__).parent / "checkpoints"


def label(
    spec: ModelSpec, bits: BitsSpec | None, quantizer: str = UNIFORM, runtime: tuple[int, ...] | None = None
) -> str:
    """How a file name writes the widths: ``float``, ``w4a4``, ``n2uq-w4a4``, ``mixed-<hash>`` or ``mixer-w234``."""
    if runtime is not None:
        return "mixer-w" + "".join(map(str, runtime))
    if bits is None:
        return FLOAT_LABEL
    return bits.label(spec) if quantizer == UNIFORM else f"{quantizer}-{bits.label(spec)}"


def checkpoint_path(
    model: str, dataset: str, bits: BitsSpec | None, folder: Path | None = None, quantizer: str = UNIFORM,
    runtime: tuple[int, ...] | None = None,
) -> Path:  # fmt: skip
    """Where the weights of a network are kept, whether or not they are there."""
    name = f"{model}-{dataset}-{label(find_model(model), bits, quantizer, runtime)}.h5"
    return (folder or checkpoint_dir()) / name


def find_checkpoint(
    model: str, dataset: str, bits: BitsSpec | None, folder: Path | None = None, quantizer: str = UNIFORM,
    runtime: tuple[int, ...] | None = None,
) -> Path | None:  # fmt: skip
    """The weights file of a trained network, or None.

    Args:
        model: key of `MODELS`.
        dataset: that it was trained on.
        bits: its widths, None for the float network.
        folder: where to look; the project's own folder if not given.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
        runtime: its run-time widths, if it has them; `bits` is None then.
    """
    path = checkpoint_path(model, dataset, bits, folder, quantizer, runtime)
    return path if path.is_file() and path.with_suffix(".json").is_file() else None


def save_checkpoint(
    path: Path, model: keras.Model, meta: CheckpointMeta, history: list[dict[str, float]]
) -> CheckpointMeta:
    """Writes weights, description and log; each file is whole or old.

    The description comes last and holds the checksum of the weights, so that a run killed in
    between leaves files that `load_checkpoint` refuses.

    Returns:
        The description with the checksum filled in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part.h5")
    try:
        model.save_weights(temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    write_whole(path.with_suffix(".csv"), _history_csv(history))
    meta = meta.model_copy(update={"sha256": digest})
    write_json(path.with_suffix(".json"), meta.model_dump(mode="json"))
    return meta


def read_meta(path: Path) -> CheckpointMeta:
    """Reads the description beside a weights file, without TensorFlow.

    Raises:
        FlowError: it is missing or not a description, or the file is no weights file.
    """
    if path.suffix != ".h5":
        raise FlowError(f"{path}: is not the weights file of a checkpoint; give {path.with_suffix('.h5').name}")
    side = path.with_suffix(".json")
    try:
        return CheckpointMeta.model_validate_json(side.read_bytes())
    except FileNotFoundError:
        raise FlowError(f"{side}: missing; a checkpoint is {path.name} and {side.name}") from None
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise FlowError(f"{side}: corrupt, not used ({reason}); train it again") from error


def load_checkpoint(path: str | Path) -> tuple[keras.Model, CheckpointMeta]:
    """Builds the network of a checkpoint and loads its verified weights.

    Args:
        path: of the weights file, `.h5`.

    Returns:
        A QKeras or float network, or a `RuntimeModel`, from real samples (pixel / 256) to its outputs, and its
        description.

    Raises:
        FlowError: a file is missing or corrupt; the message gives the command that makes it again.
    """
    path = Path(path)
    if not path.is_file():
        raise FlowError(f"{path}: no such checkpoint; `flow train` makes one")
    meta = read_meta(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != meta.sha256:
        raise FlowError(
            f"{path}: corrupt or truncated, not used: SHA-256 is {digest[:16]}..., should be "
            f"{meta.sha256[:16]}...; made again by: {meta.command}"
        )
    spec = find_model(meta.model)
    if meta.runtime is not None:
        model = spec.build_runtime(meta.runtime, meta.ranges, meta.config.nesting)
    elif meta.bits is None:
        model = spec.build_float()
    else:
        model = spec.build_quantized(meta.bits, meta.ranges, meta.quantizer)
    model.load_weights(path)
    return model, meta


def _history_csv(history: list[dict[str, float]]) -> str:
    """Every column of a record but those about the run's own course."""
    columns = [name for name in history[0] if name not in ("epochs", "seconds_left")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for record in history:
        writer.writerow([f"{record[name]:.6g}" for name in columns])
    return out.getvalue()
