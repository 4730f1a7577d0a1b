"""fold: the trained network becomes its deployed twin, and both are measured on all test samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow.files import write_whole
from flow.network import is_model_file
from flow.pipeline.arrays import array_bytes
from flow.pipeline.code import Code
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.subject import default_grid, input_codes, scores, subject_of
from flow.tasks import scores_text

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.network import Samples

TWIN, OUTPUTS = "twin.npz", "outputs.npy"


def run(work: Work) -> Result:
    """Writes the twin and its integer outputs on all test samples."""
    if work.config.runtime_bits is not None:
        from flow.pipeline.stages.runtime import fold_runtime

        return fold_runtime(work)
    from flow.fold import compare_trained_deployed, fold_network
    from flow.fold.network import input_shape
    from flow.quantizers.n2uq import system_of
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
    deployed = scores(samples, outputs, twin.output_fraction_bits, output=work.config.output)
    before = _trained_scores(trained, samples)
    said = f"trained {scores_text(before)}, deployed {scores_text(deployed)} on " if deployed else ""
    named = f" and {differing.labels} labels" if _has_classes(samples) else ""
    work.reporter.line(
        f"  {said}{len(codes):,} samples; {differing.activations:,} of {differing.total:,} activations{named} differ"
    )
    values = {
        "input": twin.input.to_json(),
        "quantizer": system_of(trained),
        "scores_trained": before,
        "scores_deployed": deployed,
        "images": len(codes),
        "differing_activations": differing.activations,
        "total_activations": differing.total,
        "differing_labels": differing.labels if _has_classes(samples) else None,
        "activation_bits": {folded.name: folded.bits for folded in twin.activations},
    }
    return Result(values, (TWIN, OUTPUTS))


def _has_classes(samples: Samples | None) -> bool:
    """Whether the largest output means something; so it does as far as one knows where there are no samples."""
    return samples is None or samples.task == "classification"


def _trained_scores(trained: keras.Model, samples: Samples | None) -> dict[str, float]:
    """Of the network as it was trained, on real numbers."""
    from flow.training.loop import predict

    if samples is None or (samples.labels is None and _has_classes(samples)):
        return {}
    # a sigmoid at the end has its middle at 1/2
    sigmoid = getattr(getattr(trained.layers[-1], "activation", None), "__name__", None) == "sigmoid"
    return scores(samples, predict(trained, samples.x), middle=0.5 * sigmoid)


def _settings(config: BuildConfig) -> dict:
    """Random inputs are as many as the RTL gets."""
    random = is_model_file(config.model) and config.samples is None
    settings = {"output": config.output} | ({"images": config.images, "seed": config.seed} if random else {})
    if config.runtime_bits is not None:
        settings |= {"configurations": config.runtime_configurations, "seed": config.seed}
    return settings


STAGE = Stage("fold", ("train",), Code(__name__, tools=("tensorflow", "tf-keras", "qkeras", "numpy")), _settings, run)
