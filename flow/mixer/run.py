"""From a float network to one whose layers change width while it runs."""

from __future__ import annotations

from pathlib import Path

from flow.datasets import Dataset
from flow.keras_env import keras
from flow.mixer.config import MixerConfig, default_mixer_config
from flow.mixer.fit import Forward, fit_mixer, width_scores
from flow.mixer.start import start_model
from flow.tasks import METRICS
from flow.training.progress import Progress, Silent
from flow.training.run import Trained, run_identity, state_file, weights_sha256
from keras_models.runtime import plan_runtime
from keras_models.spec import ModelSpec


def train_mixer(
    spec: ModelSpec,
    widths: tuple[int, ...],
    data: Dataset,
    start: keras.Model,
    config: MixerConfig | None = None,
    progress: Progress | None = None,
    state_dir: Path | None = None,
    teacher: keras.Model | None = None,
) -> Trained:
    """Trains one network for all widths, in three stages; see `MixerConfig`.

    Args:
        spec: the topology of the float network.
        widths: 2 to 4 different ones of 2 to 8 bits.
        data: samples in its input shape.
        start: the trained float network; it is not changed.
        config: the recipe; `default_mixer_config` if not given.
        progress: is told of every stage and epoch.
        state_dir: where an interrupted run is kept and found again; None keeps none. The states after stages I and
            II stay there, so that another recipe for what follows need not begin anew.
        teacher: of the soft labels; `start` if not given.

    Returns:
        The network at the top width; `scores` has the test score of every width network-wide.
    """
    plan = plan_runtime(spec, widths)
    config = config or default_mixer_config(data.name, spec.input_shape)
    progress, teacher = progress or Silent(), teacher or start
    keras.utils.set_random_seed(config.seed)
    model, ranges = start_model(plan, start, data.x_train, config.nesting)
    hashes = weights_sha256(start), weights_sha256(teacher)
    named = ",".join(map(str, plan.widths))
    identity = run_identity(spec.name, data, config.fingerprint(), "mixer", named, ranges.model_dump_json(), *hashes)
    progress.on_message(
        f"{spec.name} at run-time widths {named} on {data.name}: {config.epochs} epochs from the float network"
    )
    state_path = state_file(state_dir, identity)
    waypoints = {}
    for stage in (1, 2) if state_dir is not None else ():
        name = run_identity(spec.name, data, config.until(stage), "mixer", named, ranges.model_dump_json(), *hashes)
        waypoints[sum(config.stages[:stage])] = state_file(state_dir, name, f"stage-{stage}"), name
    history = fit_mixer(model, data, config, progress, state_path, identity, teacher, spec.task, waypoints)
    scores = width_scores(Forward(model), model, data, spec.task)
    model.set_bits(plan.top)
    metric = METRICS[spec.task]
    return Trained(
        spec=spec,
        model=model,
        dataset=data.name,
        config=config,
        history=history,
        scores={metric: scores[plan.top]} | {f"{metric} at {width} bits": value for width, value in scores.items()},
        test_images=len(data.x_test),
        ranges=ranges,
        runtime=plan.widths,
        start_sha256=hashes[0],
        teacher_sha256=hashes[1],
        state_path=state_path,
    )
