"""flow build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flow.cli.options import Board, Data, Dataset, Images, MaxCycles, Seed, Settings, TargetFps


def build(
    model: Annotated[
        str | None,
        typer.Option(
            help="Network: a name of `flow models`, or a trained QKeras file (.h5, .hdf5, .keras, .json). [resnet8]"
        ),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option(help="Bits of weights and activations, 1 to 8, or a bits.yaml that names every layer. [4]"),
    ] = None,
    quantizer: Annotated[
        str | None, typer.Option(help="uniform, n2uq, n2uq-thresholds or n2uq-weights. [uniform]")
    ] = None,
    runtime_bits: Annotated[
        str | None,
        typer.Option(
            metavar="BITS,BITS",
            help="Widths such as 2,3,4 between which each frame chooses for every layer, in place of --bits.",
        ),
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(help="An .npz with x, and y for accuracy, to try a model file on. [random inputs]")
    ] = None,
    dataset: Dataset = None,
    data: Data = None,
    board: Board = None,
    target_fps: TargetFps = None,
    max_cycles: MaxCycles = None,
    images: Images = None,
    epochs: Annotated[
        int | None, typer.Option(help="Train anew, this long, instead of taking the included checkpoint.")
    ] = None,
    seed: Seed = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint of `flow train`.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="What the hardware sends back. logits: a number for each class, from which the host takes softmax, "
            "the best few, or a margin. argmax: the index of the largest one alone, the first if several are equal: "
            "a label that needs no host, and one beat a frame. [logits]"
        ),
    ] = None,
    folding: Annotated[
        Path | None, typer.Option(help="A folding.yaml to build with, edited or from another run.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. [runs/<model>-<bits>-<dataset> or runs/<file>]")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="STAGE", help="First stage to run.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="STAGE", help="Last stage to run.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML with any of these settings.")] = None,
    settings: Settings = None,
) -> None:
    """Build a network: train, fold, convert, csim, rtl, simulate, synthesize, report.

    With --runtime-bits one firmware is built for a network of `flow train --runtime-bits`: a host sets the width of
    each layer, and every frame takes those that it finds when it begins.

    A stage is skipped when nothing that it depends on has changed. Ends with a table, report.json and report.md;
    exits with 0 only if Keras, C simulation and RTL agreed with the golden model on every integer and the board holds
    the network.

    A bits.yaml has two maps, weights and activations, from each layer's name to its bits; `flow search` writes one.

    --set and --config take the options above (max_cycles for --max-cycles) and a few more, here with their defaults:
    runtime_configurations=20, how many random widths of layers every engine is compared in; beside=[], finished builds
    of one width each, [RUN,RUN], that the report sets beside one with run-time widths; utilization=0.95, the share of
    the board that a network may fill as the cost model estimates it; estimate_refuses=true, whether one that exceeds it
    at the given rate is refused at once (false leaves that to synthesis); bench_frames=3, which cocotb sends with
    random stalls, and stalled_images=100, which the C++ harness does; route=true, whether modules are routed for an
    Fmax; route_rows=1, how many of a layer's equal rows are, 0 for all; route_seconds=240, the processor time that one
    may take, 0 for no limit; adders=true, whether fully unrolled layers become graphs of adders where that is smaller
    and da4ml is installed; csim_images, how many of the images go through C simulation, which is slower than RTL here,
    all if not given.
    """
    from flow.pipeline.build import build as run
    from flow.pipeline.build import check
    from flow.pipeline.config import make_config
    from flow.pipeline.reporter import Reporter
    from flow.pipeline.subject import subject_of
    from flow.pipeline.summary import show

    options = {
        "model": model, "bits": bits, "quantizer": quantizer, "runtime_bits": runtime_bits, "samples": samples,
        "dataset": dataset, "data": data, "board": board, "target_fps": target_fps, "max_cycles": max_cycles,
        "images": images, "epochs": epochs, "seed": seed, "checkpoint": checkpoint, "output": output,
        "folding": folding,
    }  # fmt: skip
    chosen = make_config(config, settings or [], options)
    check(chosen)
    folder = out or Path("runs") / subject_of(chosen).run_name
    with Reporter() as reporter:
        built = run(chosen, folder, reporter, first, last)
        show(built, reporter)
