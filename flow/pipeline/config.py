"""What a user can choose about a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flow.errors import FlowError, unknown
from flow.files import write_whole
from flow.folding.budget import UTILIZATION

#: of all layers that a network leaves open
DEFAULT_BITS = "4"


class BuildConfig(BaseModel):
    """Everything that a build depends on. Every field is an option of `flow build`, a key of `--config`, or both.

    Attributes:
        model: a name that `flow models` lists, or the file of a trained QKeras network.
        bits: a width for all layers, or a bits.yaml; a file has its own.
        quantizer: uniform, n2uq, n2uq-thresholds or n2uq-weights: how the layers that a network leaves open are
            quantized; a file has its own quantizers. Not given, uniform.
        runtime_bits: widths such as 2,3,4 between which each frame chooses, for every layer that the network leaves
            open; in place of bits and quantizer.
        runtime_configurations: random choices that every engine is compared in, beside the same width for all layers.
        beside: folders of finished builds, of one width each, whose firmware the report of one with runtime_bits sets
            beside its own.
        samples: an .npz with what a file's network is tried on; random inputs if not given.
        dataset: a name that `flow models` lists, or auto.
        data: folder in which the dataset is looked for first.
        board: a name that `flow models` lists, or a board file.
        target_fps: frames a second at the board's clock; excludes max_cycles.
        max_cycles: cycles between frames.
        images: test images that go through C simulation and RTL.
        csim_images: the first so many of them go through C simulation, which is slower; all if not given.
        epochs: trains anew, this many epochs, instead of taking a checkpoint.
        seed: of training and of the benches' random stalls.
        checkpoint: a trained network of one's own, as `flow train` wrote it.
        output: what the hardware gives: the logits, or the index of the largest one.
        folding: a folding.yaml to build with instead of solving.
        utilization: share of the board that the solver may fill.
        estimate_refuses: whether a build for a given rate stops where the cost model, which errs by some percent, says
            that the board does not hold it; else synthesis alone says whether it fits.
        adders: whether fully unrolled layers become graphs of adders where that is smaller and da4ml is installed.
        bench_frames: frames that the cocotb bench sends with random stalls.
        stalled_images: the first so many of the images go through the RTL once more, under random stalls on both sides.
        route: whether modules are placed and routed for a routed Fmax.
        route_rows: rows of a matvec, which are copies of one another, that are routed; 0 for all, which takes longer.
        route_seconds: processor time that a module may take to be placed and routed, 0 for no limit; one that needs
            more is left without an Fmax, and the report names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "resnet8"
    bits: str | None = None
    quantizer: str | None = None
    runtime_bits: str | None = None
    runtime_configurations: int = Field(default=20, ge=1)
    beside: tuple[Path, ...] = ()
    samples: Path | None = None
    dataset: str = "auto"
    data: Path | None = None
    board: str = "pynq-z2"
    target_fps: float | None = Field(default=None, gt=0)
    max_cycles: int | None = Field(default=None, gt=0)
    images: int = Field(default=1000, ge=1)
    csim_images: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    checkpoint: Path | None = None
    output: Literal["logits", "argmax"] = "logits"
    folding: Path | None = None
    utilization: float = Field(default=UTILIZATION, gt=0, le=1)
    estimate_refuses: bool = True
    adders: bool = True
    bench_frames: int = Field(default=3, ge=1)
    stalled_images: int = Field(default=100, ge=1)
    route: bool = True
    route_rows: int = Field(default=1, ge=0)
    route_seconds: int = Field(default=240, ge=0)


def make_config(file: Path | None, settings: list[str], options: dict[str, Any]) -> BuildConfig:
    """Merges, later ones winning: defaults, `--config` file, options given on the command line, `--set key=value`.

    Args:
        file: YAML with keys of `BuildConfig`.
        settings: "key=value" strings; values are YAML.
        options: command-line options; None means not given.

    Raises:
        FlowError: an unknown key (with the nearest right one), or a value out of range.
    """
    merged: dict[str, Any] = {}
    if file is not None:
        try:
            loaded = yaml.safe_load(file.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FlowError(f"--config {file}: {' '.join(str(error).split())}") from error
        if not isinstance(loaded, dict):
            raise FlowError(f"--config {file}: expected lines such as 'model: resnet8'")
        merged |= loaded
    merged |= {key: value for key, value in options.items() if value is not None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise FlowError(f"--set {setting}: expected key=value")
        try:
            merged[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise FlowError(f"--set {setting}: {' '.join(str(error).split())}") from error
    for key in merged:
        if key not in BuildConfig.model_fields:
            raise unknown("setting", str(key), BuildConfig.model_fields)
    if isinstance(merged.get("runtime_bits"), list):  # as YAML may have it
        merged["runtime_bits"] = ",".join(map(str, merged["runtime_bits"]))
    if isinstance(merged.get("beside"), str):
        merged["beside"] = [merged["beside"]]
    if isinstance(merged.get("bits"), int):
        merged["bits"] = str(merged["bits"])
    try:
        config = BuildConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise FlowError(f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}") from error
    if config.target_fps is not None and config.max_cycles is not None:
        raise FlowError("--target-fps and --max-cycles both set the rate: give one of them")
    return config


def save_config(config: BuildConfig, path: Path) -> None:
    """Writes the configuration as YAML that `--config` reads, from any folder: its paths are absolute."""
    write_whole(path, yaml.safe_dump(_absolute(config).model_dump(mode="json"), sort_keys=False))


def _absolute(config: BuildConfig) -> BuildConfig:
    """The same with absolute paths; texts that name a file or something of the project are paths where a file is."""
    paths = {
        name: value.absolute()
        for name in ("samples", "data", "checkpoint", "folding")
        if (value := getattr(config, name)) is not None
    }
    files = {
        name: str(Path(value).absolute())
        for name in ("model", "bits", "board")
        if (value := getattr(config, name)) is not None and not value.isdecimal() and Path(value).is_file()
    }
    return config.model_copy(update=paths | files | {"beside": tuple(place.absolute() for place in config.beside)})
