"""`flow train`: make a float start or a quantized network, and its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flow.cli.options import Data

if TYPE_CHECKING:
    from flow.datasets import Dataset
    from flow.keras_env import keras
    from flow.training.config import TrainConfig
    from flow.training.progress import Progress
    from keras_models.spec import ModelSpec

DEFAULT_OUT = Path("runs/checkpoints")
DEFAULT_BITS = "4"


def train(
    model: Annotated[str, typer.Option(help="Network to train: a name of `flow models`.")] = "resnet8",
    float_: Annotated[
        bool, typer.Option("--float", help="Train the float start and teacher, not the quantized network.")
    ] = False,
    bits: Annotated[
        str | None,
        typer.Option(help="Bits of weights and activations: 1 to 8, or a YAML file that names every layer. [4]"),
    ] = None,
    runtime_bits: Annotated[
        str | None,
        typer.Option(
            metavar="BITS,BITS", help="Widths such as 2,3,4 between which every layer can change while it runs."
        ),
    ] = None,
    quantizer: Annotated[
        str, typer.Option(help="uniform, n2uq (arXiv 2111.14826), n2uq-thresholds or n2uq-weights: a part of it.")
    ] = "uniform",
    dataset: Annotated[
        str, typer.Option(help="A name of `flow models`, or auto: the first that fits and is here, or can be had.")
    ] = "auto",
    data: Data = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training images. [the recipe's]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of initial weights, order and augmentation.")] = 0,
    start: Annotated[
        Path | None,
        typer.Option(help="Float checkpoint to start from; if not given, the one in --out or with the project."),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Float checkpoint whose answers are learned; the start if not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint, its log, and an unfinished run.")] = DEFAULT_OUT,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of the recipe, such as learning_rate=0.002."),
    ] = None,
) -> None:
    """Train a network and write its checkpoint.

    A quantized network starts from a float network: the given one, else one in --out, else one that
    comes with the project, else one that is trained first. With --runtime-bits one network is trained
    for all widths (Bit-Mixer, arXiv 2103.17267), in three stages. A run that was stopped goes on after
    its last whole epoch when the same command is given again. The weights of the last epoch are kept,
    with precise_statistics=true batch statistics are measured for them; the test images are reported
    on and select nothing.

    --set takes batch, optimizer, learning_rate, warmup_epochs, weight_decay, augment, flip, shift,
    frozen_epochs, precise_statistics, distill (the teacher's share of the loss), temperature,
    quantizer_rate and arithmetic; with --runtime-bits not precise_statistics, but 'stages=[16,32,32]'
    (epochs of each), stage_rates, mixing, ramp, and nesting=floor, centre or round (for no hardware).
    What is not given is the dataset's recipe.
    """
    from rich.console import Console

    from flow.bits import BitsSpec
    from flow.datasets import load
    from flow.errors import FlowError
    from flow.quantizers import find_system
    from flow.quantizers.nested import ROUND
    from flow.training.checkpoints import read_meta
    from flow.training.console import console_progress
    from keras_models import find_model

    spec = find_model(model)
    if float_ and (start or teacher):
        raise FlowError("--start and --teacher are for the quantized network: leave out --float")
    system = find_system(quantizer)
    if float_ and not system.uniform:
        raise FlowError("--quantizer is for the quantized network: leave out --float")
    if float_ and bits is not None:
        raise FlowError("--bits is for the quantized network: leave out --float")
    runtime = _runtime_widths(spec, runtime_bits, float_, bits, system.uniform)
    bits = bits or DEFAULT_BITS
    widths = None if float_ or runtime else BitsSpec.parse(spec, bits)
    _check_writable(out)
    images = load(dataset, data, spec.input_shape)
    config = _recipe(_defaults(spec, images, not float_, runtime, epochs), epochs, seed, set_ or [])
    kind = ["--float"] if float_ else ["--runtime-bits", ",".join(map(str, runtime))] if runtime else ["--bits", bits]
    command = _command(model, kind, quantizer, images.name, config, start, teacher, out, set_ or [])
    console = Console()
    with console_progress(console) as progress:
        progress.on_message(images.source)
        if runtime and config.nesting == ROUND:
            progress.on_message(f"nesting={ROUND} is not for hardware: `flow build` will refuse the network")
        try:
            if float_:
                from flow.training.run import train_float

                trained = train_float(spec, images, config, progress, out)
            else:
                first = _float_network(spec, images, start, out, seed, progress)
                guide = _checked_float(teacher, spec, images) if teacher else None
                if runtime:
                    from flow.mixer.run import train_mixer

                    trained = train_mixer(spec, runtime, images, first, config, progress, out, guide)
                else:
                    from flow.training.run import train_quantized

                    trained = train_quantized(spec, widths, images, first, config, progress, out, guide, quantizer)
            path = trained.save(command, out)
        except OSError as error:
            raise FlowError(f"--out {out}: cannot be written: {error}") from error
        except KeyboardInterrupt:
            progress.on_message("stopped; the same command goes on after the last whole epoch")
            raise typer.Exit(130) from None
        progress.on_message(f"{read_meta(path).score_text} on {trained.test_images:,} test samples: {path}")


def _float_network(
    spec: ModelSpec, images: Dataset, start: Path | None, out: Path, seed: int, progress: Progress
) -> keras.Model:
    from flow.training.run import float_start

    if start is not None:
        return _checked_float(start, spec, images)
    return float_start(spec, images, out, progress, seed)


def _checked_float(path: Path, spec: ModelSpec, images: Dataset) -> keras.Model:
    """Loads a float checkpoint of a network that takes the same images."""
    from flow.errors import FlowError
    from flow.training.checkpoints import FLOAT_LABEL, load_checkpoint

    model, meta = load_checkpoint(path)
    if meta.label != FLOAT_LABEL:
        raise FlowError(f"{path}: holds a quantized network; a float one is needed (`flow train --float`)")
    if (meta.model, meta.dataset) != (spec.name, images.name):
        raise FlowError(f"{path}: is {meta.model} on {meta.dataset}, not {spec.name} on {images.name}")
    return model


def _runtime_widths(
    spec: ModelSpec, text: str | None, float_: bool, bits: str | None, uniform: bool
) -> tuple[int, ...] | None:
    """What --runtime-bits says, checked against the model and the other options."""
    from flow.errors import FlowError
    from keras_models.runtime import parse_widths, plan_runtime

    if text is None:
        return None
    if float_ or not uniform or bits is not None:
        other = "--float" if float_ else "--bits" if bits is not None else "--quantizer"
        raise FlowError(f"--runtime-bits {text}: takes the place of {other}; leave one of them out")
    return plan_runtime(spec, parse_widths(text)).widths


def _defaults(
    spec: ModelSpec, images: Dataset, quantized: bool, runtime: tuple[int, ...] | None, epochs: int | None
) -> TrainConfig:
    """The recipe that the settings of the command line change."""
    from flow.errors import FlowError
    from flow.mixer.config import STAGES, default_mixer_config
    from flow.training.config import default_config

    if runtime is None:
        return default_config(images.name, spec.input_shape, quantized)
    if epochs is not None and epochs < len(STAGES):
        raise FlowError(f"--epochs {epochs}: run-time widths are trained in {len(STAGES)} stages, of an epoch or more")
    return default_mixer_config(images.name, spec.input_shape, epochs)


def _recipe(defaults: TrainConfig, epochs: int | None, seed: int, settings: list[str]) -> TrainConfig:
    """The default recipe with what was given on the command line."""
    import yaml
    from pydantic import ValidationError

    from flow.errors import FlowError, unknown

    fields = defaults.model_dump()
    fields["seed"] = seed
    if epochs is not None:
        fields["epochs"] = epochs
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise FlowError(f"--set {setting}: should be KEY=VALUE, such as learning_rate=0.002")
        if key not in fields:
            raise unknown("setting", key, fields)
        try:
            fields[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise FlowError(f"--set {setting}: '{value}' is no value; a list is [1,2,3]") from None
        wanted = getattr(defaults, key)
        if isinstance(wanted, tuple) and isinstance(fields[key], list) and len(fields[key]) != len(wanted):
            raise FlowError(f"--set {setting}: {len(wanted)} numbers are expected, not {len(fields[key])}")
        if key == "stages" and epochs is None and _is_numbers(fields[key]):
            fields["epochs"] = sum(fields[key])
    try:
        return type(defaults).model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{first['loc'][0]}={first['input']}: " if first["loc"] else ""
        raise FlowError(f"--set {what}{first['msg']}") from error


def _is_numbers(value) -> bool:
    return isinstance(value, list) and all(isinstance(part, int) for part in value)


def _command(
    model: str,
    kind: list[str],
    quantizer: str,
    dataset: str,
    config: TrainConfig,
    start: Path | None,
    teacher: Path | None,
    out: Path,
    settings: list[str],
) -> str:
    """The command that makes the checkpoint again, wherever the data lies."""
    import shlex

    words = ["flow", "train", "--model", model, *kind]
    words += ["--quantizer", quantizer] if quantizer != "uniform" else []
    words += ["--dataset", dataset, "--epochs", str(config.epochs), "--seed", str(config.seed)]
    for option, path in (("--start", start), ("--teacher", teacher)):
        if path is not None:
            words += [option, str(path)]
    for setting in settings:
        words += ["--set", setting]
    if out != DEFAULT_OUT:
        words += ["--out", str(out)]
    return shlex.join(words)


def _check_writable(folder: Path) -> None:
    """Fails before hours of training, not after."""
    import tempfile

    from flow.errors import FlowError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FlowError(f"--out {folder}: cannot be written: {error.strerror}") from error
