"""Training a network of one's own with the project's recipe, whatever its quantizers are."""

from __future__ import annotations

from pathlib import Path

from flow.datasets import Dataset
from flow.errors import FlowError
from flow.keras_env import keras
from flow.quantizers.start import IMAGES, start_activations
from flow.training.config import TrainConfig
from flow.training.loop import as_numbers, fit
from flow.training.progress import Progress, Silent
from flow.training.run import run_identity, weights_sha256
from flow.training.statistics import STATISTICS_IMAGES, measure_statistics, settle_statistics


def train_own(
    model: keras.Model,
    data: Dataset,
    config: TrainConfig,
    teacher: keras.Model | None = None,
    progress: Progress | None = None,
    state_path: Path | None = None,
) -> list[dict[str, float]]:
    """Trains a quantized network in place, as N2UQ does (Liu et al., arXiv 2111.14826).

    The steps of every `N2UQActivation` are first set from training images; its parameters then learn at
    `config.quantizer_rate` times the learning rate, and the teacher's soft labels have the share `config.distill` of
    the loss. Copy float weights into the network before.

    Args:
        model: from pixel / 256 to logits, any functional network of Keras, QKeras and N2UQ layers.
        data: uint8 images and labels.
        config: the recipe; `epochs` and `learning_rate` have to be given, see `default_config` for examples.
        teacher: a trained network with the same input and output; None trains on the labels alone.
        progress: is told of every epoch.
        state_path: a file in which an interrupted run is kept and found again; None keeps none.

    Returns:
        A record per epoch.

    Raises:
        FlowError: the network or the teacher does not take the data's images.
    """
    for what, network in (("the network", model), ("the teacher", teacher)):
        if network is not None and tuple(network.input_shape[1:]) != data.x_train.shape[1:]:
            shapes = f"{network.input_shape[1:]}; the images of {data.name} are {data.x_train.shape[1:]}"
            raise FlowError(f"{what} takes {shapes}")
    if teacher is not None and teacher.output_shape != model.output_shape:
        raise FlowError(f"the teacher gives {teacher.output_shape[1:]} logits, the network {model.output_shape[1:]}")
    start_activations(model, as_numbers(data.x_train[:IMAGES]))

    def measure() -> None:
        measure_statistics(model, data.x_train[:STATISTICS_IMAGES])

    measure()
    hashes = [weights_sha256(network) for network in (model, teacher) if network is not None]
    identity = run_identity(model.to_json(), data, config.fingerprint(), *hashes)
    history = fit(model, data, config, progress or Silent(), state_path, identity, teacher, measure)
    settle_statistics(model, data, config)
    return history
