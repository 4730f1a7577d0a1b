"""fold: the trained network becomes its deployed twin, and both are measured on all test images."""

from __future__ import annotations

import numpy as np

from flow.files import write_whole
from flow.pipeline.arrays import array_bytes
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import code, dataset_of

TWIN, OUTPUTS = "twin.npz", "outputs.npy"


def run(work: Work) -> Result:
    """Writes the twin and its integer outputs on all test images."""
    from flow.fold import compare_trained_deployed, fold_network
    from flow.training.checkpoints import load_checkpoint
    from flow.training.loop import accuracy
    from flow.twin import save, twin_outputs

    data = dataset_of(work.config)
    trained, _ = load_checkpoint(work.path("train", work.values("train")["checkpoint"]))
    twin = fold_network(trained)
    save(twin, work.folder / TWIN)
    images, labels = data.x_test, data.y_test
    outputs = twin_outputs(twin, images, lambda done: work.reporter.progress("twin", done, len(images)))
    write_whole(work.folder / OUTPUTS, array_bytes(outputs))
    differing = compare_trained_deployed(
        trained, twin, images, lambda done: work.reporter.progress("trained against deployed", done, len(images))
    )
    deployed = float(np.mean(outputs.argmax(axis=1) == labels))
    trained_accuracy = float(accuracy(trained, images, labels))
    work.reporter.line(
        f"  trained {trained_accuracy:.2%}, deployed {deployed:.2%} on {len(images):,} images; "
        f"{differing.activations:,} of {differing.total:,} activations and {differing.labels} labels differ"
    )
    values = {
        "accuracy_trained": trained_accuracy,
        "accuracy_deployed": deployed,
        "images": len(images),
        "differing_activations": differing.activations,
        "total_activations": differing.total,
        "differing_labels": differing.labels,
    }
    return Result(values, (TWIN, OUTPUTS))


STAGE = Stage("fold", ("train",), code("fold", "twin"), lambda config: None, run)
