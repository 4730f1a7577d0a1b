"""`flow mixer`: accuracy over the configurations of a network with run-time widths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Data


def mixer(
    model: Annotated[str, typer.Option(help="Network: a name of `flow models`.")] = "resnet8",
    runtime_bits: Annotated[
        str, typer.Option(metavar="BITS,BITS", help="The widths that the network was trained for.")
    ] = "2,3,4",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Its weights; if not given, those in --points, runs/checkpoints or with the project."),
    ] = None,
    dataset: Annotated[str, typer.Option(help="A name of `flow models`, or auto.")] = "auto",
    data: Data = None,
    samples: Annotated[int, typer.Option(min=0, help="Random configurations.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampling.")] = 0,
    check: Annotated[
        int, typer.Option(min=0, help="Test samples on which the deployed integers are compared; 0 for none.")
    ] = 100,
    points: Annotated[
        Path | None, typer.Option(help="Folder of networks trained for one width alone, before the usual ones.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of curve.json and curve.svg.")] = Path("runs/mixer"),
) -> None:
    """Measure sampled configurations of a network whose layers change width while it runs.

    Every width network-wide and random layer-wise configurations, each on all test samples: mean, best and worst
    against average bits, beside the networks that were trained for one width alone. The command goes on where it was
    stopped. `flow pick` chooses from what it has measured.
    """
    from rich.console import Console

    from flow.datasets import load
    from flow.errors import FlowError
    from flow.tasks import metric_text
    from flow.training.checkpoints import checkpoint_dir, checkpoint_path, find_checkpoint
    from flow.training.console import console_progress
    from keras_models import find_model
    from keras_models.runtime import parse_widths

    spec, widths = find_model(model), parse_widths(runtime_bits)
    loaded = load(dataset, data, spec.input_shape)
    places = [place for place in (points, Path("runs/checkpoints"), checkpoint_dir()) if place is not None]
    if checkpoint is None:
        found = (find_checkpoint(spec.name, loaded.name, None, place, runtime=widths) for place in places)
        checkpoint = next((path for path in found if path is not None), None)
    if checkpoint is None:
        name = checkpoint_path(spec.name, loaded.name, None, runtime=widths).name
        raise FlowError(f"{name}: no such checkpoint; `flow train --model {model} --runtime-bits {runtime_bits}`")
    from flow.mixer.evaluate import evaluate_mixer

    console = Console()
    with console_progress(console) as progress:
        progress.on_message(loaded.source)
        try:
            curve = evaluate_mixer(checkpoint, spec.name, widths, loaded, samples, seed, check, places, out, progress)
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last configuration")
            raise typer.Exit(130) from None
        summary = curve.summary()
        for sample in (one for one in curve.samples if one.network_wide):
            missed = summary["alone"].get(str(sample.bits[0]))
            against = "no network that was trained for this width alone was found (--points)"
            if missed is not None:
                against = f"{_signed(curve.metric, -missed)} against the network that was trained for it alone"
            score = metric_text(curve.metric, sample.score)
            progress.on_message(f"all layers at {sample.bits[0]} bits: {score}, {against}")
        if summary["mean_gap"] is not None:
            progress.on_message(
                f"{summary['random']} layer-wise configurations: on average "
                f"{_signed(curve.metric, -summary['mean_gap'])} against one width for all layers"
            )
        progress.on_message(f"{out}/curve.json, {out}/curve.svg")


def _signed(metric: str, difference: float) -> str:
    from flow.tasks import metric_text

    return f"{'+' if difference >= 0 else '-'}{metric_text(metric, abs(difference))}"
