"""What the stages do besides where layers change their width while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flow import golden
from flow.errors import CheckFailed
from flow.files import write_whole
from flow.ir import Graph
from flow.pipeline.arrays import array_bytes
from flow.pipeline.stage import Result, Work
from flow.pipeline.subject import input_codes, scores, subject_of
from flow.pipeline.widths import configurations, frame_widths
from flow.simulate.compare import compare
from flow.tasks import scores_text

if TYPE_CHECKING:
    from flow.folding import Folding
    from flow.simulate.fast import Simulator

#: images on which the trained network and the twin are compared in every configuration
TRAINED_IMAGES = 100
#: frames of one configuration that are timed, and layer-wise configurations that are timed beside the network-wide ones
TIMED_FRAMES, TIMED_MIXED = 8, 5


def fold_runtime(work: Work) -> Result:
    """Stage fold: the integers of all widths, their twin, and both measured.

    `OUTPUTS` holds the twin's outputs on all test samples, each with the widths that `frame_widths` gives it.
    """
    from flow.mixer.deploy import deploy
    from flow.mixer.fit import Forward
    from flow.mixer.integers import export_integers
    from flow.mixer.twin import compare_trained
    from flow.pipeline.stages.fold import OUTPUTS, TWIN
    from flow.quantizers.runtime import runtime_model
    from flow.twin import save, twin_outputs

    config, reporter = work.config, work.reporter
    subject = subject_of(config)
    plan, samples = subject.plan, subject.samples()
    model = runtime_model(subject.load(work.path("train", work.values("train")["network"])))
    integers = export_integers(plan, model)
    twin = deploy(integers, config.output == "argmax")
    save(twin, work.folder / TWIN)
    codes = input_codes(config, samples, twin.input)
    widths = frame_widths(config, twin.runtime, len(codes))
    reporter.line(
        f"  the hardware receives {twin.input.precision} of shape {twin.input.shape}; {len(plan.layers)} layers of "
        f"{', '.join(map(str, plan.widths))} bits, {len(configurations(config, twin.runtime))} configurations in turn"
    )
    outputs = twin_outputs(twin, codes, lambda done: reporter.progress("twin", done, len(codes)), widths)
    write_whole(work.folder / OUTPUTS, array_bytes(outputs))
    top = (len(plan.widths) - 1,) * len(plan.layers)
    differing = compare_trained(model, integers, samples.x, [top])
    mixed = [plan.indices(bits.tolist()) for bits in configurations(config, twin.runtime)]
    tried = samples.x[:TRAINED_IMAGES]
    elsewhere = compare_trained(model, integers, tried, mixed)
    reporter.line(
        f"  trained against deployed: at {plan.top} bits {differing.activations:,} of {differing.total:,} activations "
        f"and {differing.labels} of {len(codes):,} labels differ; in {len(mixed)} configurations on {len(tried)} "
        f"samples {elsewhere.activations:,} of {elsewhere.total:,} and {elsewhere.labels}"
    )
    off = {folded.name: folded.differing for folded in twin.activations if folded.differing}
    if off:
        named = ", ".join(f"{name} {count:,}" for name, count in off.items())
        reporter.line(f"  no multiplier of the allowed width is exact for all sums, which is part of that: {named}")
    forward = Forward(model)
    trained = {
        str(width): scores(samples, forward(samples.x, (position,) * len(plan.layers)))
        for position, width in enumerate(plan.widths)
    }
    values = {
        "input": twin.input.to_json(),
        "trained": trained,
        "images": len(codes),
        "nesting": model.get_layer(plan.layers[0]).nesting,
        "inexact": off,
        "differing_activations": differing.activations + elsewhere.activations,
        "total_activations": differing.total + elsewhere.total,
        "differing_labels": differing.labels if samples.task == "classification" else None,
        "activation_bits": {folded.name: folded.bits for folded in twin.activations},
    }
    return Result(values, (TWIN, OUTPUTS))


def deployed_scores(work: Work, graph: Graph, images: np.ndarray, mixed: np.ndarray) -> dict[str, Any]:
    """How well the integers do the task: every width network-wide, and each sample with its own frame's widths.

    Args:
        images: codes of all test samples.
        mixed: golden's outputs on them, with the widths of `frame_widths`.
    """
    samples, fraction_bits = subject_of(work.config).samples(), graph.sources(graph.output)[0].fraction_bits
    found = {}

    def scored(outputs: np.ndarray) -> dict[str, float]:
        return scores(samples, outputs, fraction_bits, output=work.config.output)

    for width in graph.runtime.widths:
        wide = graph.runtime.network_wide(width)

        def tell(done: int, width: int = width) -> None:
            work.reporter.progress(f"golden at {width} bits", done, len(images))

        found[str(width)] = scored(golden.run(graph, images, tell, wide))
        work.reporter.line(f"  all layers at {width} bits: {scores_text(found[str(width)])}")
    found["mixed"] = scored(mixed)
    work.reporter.line(f"  layer-wise, each sample in one of the configurations: {scores_text(found['mixed'])}")
    return {"deployed": found}


def timed(work: Work, graph: Graph, folding: Folding, simulator: Simulator, images: np.ndarray) -> list[dict[str, Any]]:
    """Cycles of the RTL with the same widths for all frames: every width network-wide, and some of the others.

    Raises:
        CheckFailed: an integer differs from golden's.
    """
    runtime, found = graph.runtime, []
    frames = images[np.arange(TIMED_FRAMES) % len(images)]
    for bits in configurations(work.config, runtime)[: len(runtime.widths) + TIMED_MIXED]:
        chosen = dict(zip(runtime.layers, bits.tolist(), strict=True))
        run = simulator.run(frames, configuration=chosen)
        named = "-".join(map(str, bits))
        difference = compare(graph.output.inputs[0], golden.run(graph, frames, configuration=chosen), run.outputs)
        if difference.count:
            raise CheckFailed(f"RTL and golden at {named} bits: {difference}")
        planned = folding.at(chosen).interval(graph)
        found.append(
            {
                "bits": bits.tolist(),
                "word": runtime.words(runtime.fields(chosen, 1))[0],
                "planned_cycles": planned,
                "interval_cycles": run.interval_cycles,
                "first_frame_cycles": run.first_frame_cycles,
            }
        )
        work.reporter.line(
            f"  {named} bits: first frame {run.first_frame_cycles:,} cycles, then one every {run.interval_cycles:,} "
            f"({planned:,} planned)"
        )
    return found
