"""fold: the trained network becomes its deployed twin, and both are measured on all test samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flow.files import write_whole
from flow.network import is_model_file
from flow.pipeline.arrays import array_bytes
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import code
from flow.pipeline.subject import default_grid, input_codes, share_right, subject_of

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.network import Samples

TWIN, OUTPUTS = "twin.npz", "outputs.npy"


def run(work: Work) -> Result:
    """Writes the twin and its integer outputs on all test samples."""
    from flow.fold import compare_trained_deployed, fold_network
    from flow.fold.network import input_shape
    from flow.twin import save, twin_outputs

    subject, progress = subject_of(work.config), work.reporter.progress
    trained, samples = subject.load(work.path("train", work.values("train")["network"])), subject.samples()
    twin = fold_network(trained, default_grid(samples, input_shape(trained)), work.config.output == "argmax")
    save(twin, work.folder / TWIN)
    work.reporter.line(f"  the hardware receives {twin.input.precision} of shape {twin.input.shape}")
    codes = input_codes(work.config, samples, twin.input)
    outputs = twin_outputs(twin, codes, lambda done: progress("twin", done, len(codes)))
    write_whole(work.folder / OUTPUTS, array_bytes(outputs))
    differing = compare_trained_deployed(
        trained, twin, codes, lambda done: progress("trained against deployed", done, len(codes))
    )
    labels = None if samples is None else samples.labels
    deployed = share_right(outputs, labels, output=work.config.output)
    trained_accuracy = _trained_accuracy(trained, samples)
    accuracies = "" if labels is None else f"trained {trained_accuracy:.2%}, deployed {deployed:.2%} on "
    work.reporter.line(
        f"  {accuracies}{len(codes):,} samples; "
        f"{differing.activations:,} of {differing.total:,} activations and {differing.labels} labels differ"
    )
    values = {
        "input": twin.input.to_json(),
        "accuracy_trained": trained_accuracy,
        "accuracy_deployed": deployed,
        "images": len(codes),
        "differing_activations": differing.activations,
        "total_activations": differing.total,
        "differing_labels": differing.labels,
        "activation_bits": {folded.name: folded.bits for folded in twin.activations},
    }
    return Result(values, (TWIN, OUTPUTS))


def _trained_accuracy(trained: keras.Model, samples: Samples | None) -> float | None:
    """Of the network as it was trained, on real numbers."""
    from flow.training.loop import predict

    if samples is None or samples.labels is None:
        return None
    # a sigmoid at the end has its middle at 1/2
    sigmoid = getattr(getattr(trained.layers[-1], "activation", None), "__name__", None) == "sigmoid"
    # `predict` takes pixels
    scale = 1 if samples.x.dtype == np.uint8 else 256
    return share_right(predict(trained, samples.x * scale if scale > 1 else samples.x), samples.labels, 0.5 * sigmoid)


def _settings(config: BuildConfig) -> dict:
    """Random inputs are as many as the RTL gets."""
    random = is_model_file(config.model) and config.samples is None
    return {"output": config.output} | ({"images": config.images, "seed": config.seed} if random else {})


STAGE = Stage("fold", ("train",), code("fold", "twin"), _settings, run)
