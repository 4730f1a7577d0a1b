"""What a build is about: one of the project's networks, or a file of somebody else's. The stages see no difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from flow.network import Samples, is_model_file
from flow.network.samples import real_grid
from flow.pipeline.config import BuildConfig
from flow.tasks import label_score, score
from flow.twin.inputs import InputGrid, pixels

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.pipeline.stage import Result, Work


class Subject(Protocol):
    """A trained network and what it is tried on.

    Attributes:
        name: an identifier; modules of the RTL start with it.
        run_name: of the folder of its builds.
    """

    name: str
    run_name: str

    def check(self) -> None:
        """Raises FlowError for a mistake that needs no work to be found."""

    def settings(self) -> Any:
        """What decides which network is built and what it is tried on; plain values."""

    def prepare(self, work: Work) -> Result:
        """Puts the trained network into the stage's folder: `network` is its file, `source` what it is tried on."""

    def load(self, path: Path) -> keras.Model:
        """The trained network of a file that `prepare` left."""

    def samples(self) -> Samples | None:
        """What it is tried on, None for random inputs."""


def subject_of(config: BuildConfig) -> Subject:
    """The subject of a build."""
    if is_model_file(config.model):
        from flow.pipeline.model_file import ModelFile

        return ModelFile(config)
    if config.runtime_bits is not None:
        from flow.pipeline.runtime_network import RuntimeNetwork

        return RuntimeNetwork(config)
    from flow.pipeline.built_in import BuiltIn

    return BuiltIn(config)


def default_grid(samples: Samples | None, shape: tuple[int, ...]) -> InputGrid:
    """The grid of an input that the network quantizes by no layer of its own.

    Without samples an image is taken for pixels and everything else for real numbers.
    """
    if samples is not None:
        return samples.grid(shape)
    return pixels(shape) if len(shape) == 3 and shape[0] > 1 else real_grid(shape)


def input_codes(config: BuildConfig, samples: Samples | None, grid: InputGrid) -> np.ndarray:
    """The codes of all samples; of random inputs, as many as the build sends through the RTL."""
    return grid.random(config.images, config.seed) if samples is None else grid.codes(samples.x)


def scores(
    samples: Samples | None, outputs: np.ndarray, fraction_bits: int = 0, middle: float = 0.0, output: str = "logits"
) -> dict[str, float]:
    """How well outputs do the task of the samples, by the names of `flow.tasks`; empty where nobody can tell.

    Args:
        samples: of which the first ones gave the outputs.
        outputs: real numbers, or integers on a grid of `fraction_bits`.
        fraction_bits: of integers.
        middle: where the two classes of a single output part.
        output: "argmax" where the outputs are class indices already.
    """
    if samples is None:
        return {}
    if output == "argmax":
        return label_score(outputs, samples.labels)
    return score(samples.task, np.ldexp(outputs, -fraction_bits), samples.numbers, samples.labels, middle)
