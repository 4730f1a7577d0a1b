"""Measures the configurations of a trained network on the test samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flow.bits import BitsSpec
from flow.datasets import Dataset
from flow.errors import FlowError
from flow.files import write_whole
from flow.mixer.curve import PLOT, Check, Curve, Point, Sample, measure, sample_configurations
from flow.mixer.fit import Forward
from flow.mixer.integers import export_integers
from flow.mixer.plot import curve_plot
from flow.mixer.twin import compare_trained
from flow.quantizers.nested import ROUND
from flow.quantizers.runtime import runtime_model
from flow.tasks import METRICS, metric_text, score
from flow.training.checkpoints import find_checkpoint, load_checkpoint, read_meta
from flow.training.loop import as_numbers
from flow.training.progress import Progress
from keras_models import find_model
from keras_models.runtime import plan_runtime
from keras_models.spec import ModelSpec

#: random configurations in which the deployed integers are compared with the trained network, beside all network-wide
CHECKED = 20


def evaluate_mixer(
    checkpoint: Path, model_name: str, widths: Sequence[int], data: Dataset, samples: int, seed: int, check_images: int,
    places: Sequence[Path], folder: Path, progress: Progress,
) -> Curve:  # fmt: skip
    """Writes the curve of a checkpoint and its plot; goes on where it was stopped.

    Args:
        checkpoint: of a network with run-time widths.
        model_name, widths: that it should have.
        data: whose test samples count.
        samples: random configurations beside the network-wide ones.
        seed: of the sampling.
        check_images: on which the deployed integers are compared in some of the configurations; 0 for none.
        places: folders in which checkpoints of individually trained networks are looked for.
        folder: of the results.
        progress: is told of each configuration.

    Raises:
        FlowError: the checkpoint has no run-time widths or is of another model, width or dataset, or the folder holds
            another curve.
    """
    model, meta = load_checkpoint(checkpoint)
    model = runtime_model(model)
    if meta.dataset != data.name:
        raise FlowError(f"{checkpoint}: was trained on {meta.dataset}, not {data.name}; say --dataset {meta.dataset}")
    if meta.model != model_name or (meta.runtime or ()) != tuple(widths):
        has = ", ".join(map(str, meta.runtime or ()))
        raise FlowError(f"{checkpoint}: is {meta.model} with widths {has}; say so with --model and --runtime-bits")
    spec = find_model(meta.model)
    plan, metric = plan_runtime(spec, meta.runtime), METRICS[spec.task]
    curve = Curve(
        model=spec.name, dataset=data.name, sha256=meta.sha256, widths=plan.widths, layers=plan.layers, metric=metric,
        seed=seed, test_images=len(data.x_test), points=tuple(_points(spec, data.name, plan.widths, metric, places)),
    )  # fmt: skip
    if check_images and meta.config.nesting == ROUND:
        progress.on_message(f"nesting={ROUND} is not for hardware: there are no integers to compare with")
        check_images = 0
    integers = export_integers(plan, model) if check_images else None  # which may fail: before hours of measuring
    forward, reals = Forward(model), as_numbers(data.x_test).numpy()

    def scored(positions: Sequence[int]) -> float:
        return score(spec.task, forward(data.x_test, positions), reals, data.y_test)[metric]

    def tell(sample: Sample, number: int, total: int) -> None:
        bits = "-".join(map(str, sample.bits))
        value = metric_text(metric, sample.score)
        progress.on_message(f"{number:4d} of {total}  {bits}  {sample.average_bits:.2f} bits  {value}")

    configurations = sample_configurations(plan, samples, seed)
    curve = measure(curve, plan, configurations, scored, folder, tell)
    write_whole(folder / PLOT, curve_plot(curve))
    if check_images:
        chosen = configurations[: CHECKED + len(plan.widths)]
        found = compare_trained(model, integers, data.x_test[:check_images], chosen)
        check = Check(configurations=len(chosen), images=len(data.x_test[:check_images]), **found._asdict())
        curve = curve.model_copy(update={"check": check})
        curve.write(folder)
        progress.on_message(
            f"trained against deployed: {found.activations:,} of {found.total:,} activations and {found.labels} labels "
            f"differ, on {check.images} images in {check.configurations} configurations"
        )
    return curve


def _points(spec: ModelSpec, dataset: str, widths: Sequence[int], metric: str, places: Sequence[Path]) -> list[Point]:
    found = []
    for width in widths:
        paths = (find_checkpoint(spec.name, dataset, BitsSpec.uniform(spec, width), place) for place in places)
        path = next((path for path in paths if path is not None), None)
        if path is not None:
            meta = read_meta(path)
            value = meta.accuracy if meta.accuracy is not None else meta.scores[metric]
            found.append(Point(bits=width, score=value, sha256=meta.sha256))
    return found
