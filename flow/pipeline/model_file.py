"""A trained network that somebody brought as a file."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.datasets import AUTO
from flow.errors import FlowError
from flow.network import Samples, load_samples, network_name, read_configuration, weights_file
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result
from flow.pipeline.stages.common import file_digest

if TYPE_CHECKING:
    from flow.keras_env import keras
    from flow.pipeline.stage import Work


class ModelFile:
    """See `Subject`."""

    def __init__(self, config: BuildConfig) -> None:
        self._config = config
        self._path = Path(config.model)
        self.name = self.run_name = network_name(config.model)

    def check(self) -> None:
        if not self._path.exists():
            raise FlowError(f"--model {self._path}: there is no such file")
        # first: a network without quantizers is told which it needs, not that it has its own
        read_configuration(self._path)
        weights_file(self._path)
        self._check_options()
        self.samples()

    def _check_options(self) -> None:
        """Refuses what is for networks of the project."""
        config, trained = self._config, "is trained, with bits and quantizers of its own"
        tried = "is tried on --samples, or on random inputs"
        for option, given, why in (
            ("--bits", config.bits, trained),
            ("--quantizer", config.quantizer, trained),
            ("--runtime-bits", config.runtime_bits, trained),
            ("--epochs", config.epochs, trained),
            ("--checkpoint", config.checkpoint, trained),
            ("--dataset", None if config.dataset == AUTO else config.dataset, tried),
            ("--data", config.data, tried),
        ):
            if given is not None:
                raise FlowError(f"{option}: {self._path.name} {why}; leave {option} out")

    def settings(self) -> Any:
        model = [file_digest(path) for path in self._files()]
        return {"model": model, "name": self.name, "samples": file_digest(self._config.samples)}

    def prepare(self, work: Work) -> Result:
        files = {f"network{path.name.removeprefix(self._path.stem).lower()}": path for path in self._files()}
        for name, path in files.items():
            shutil.copyfile(path, work.folder / name)
        samples = self.samples()
        source = f"random inputs, seed {self._config.seed}" if samples is None else samples.source
        work.reporter.line(f"  {self._path.name}, tried on {source}")
        return Result({"network": next(iter(files)), "command": None, "source": source}, tuple(files))

    def _files(self) -> list[Path]:
        """The model file, and behind it the weights where they are in a file of their own."""
        return list(dict.fromkeys([self._path, weights_file(self._path)]))

    def load(self, path: Path) -> keras.Model:
        from flow.network import load_model_file

        return load_model_file(path)

    def samples(self) -> Samples | None:
        if self._config.samples is None:
            return None
        return _samples(self._config.samples, _shape(self._path))


@lru_cache(maxsize=1)
def _samples(path: Path, shape: tuple[int, ...]) -> Samples:
    return load_samples(path, shape)


def _shape(path: Path) -> tuple[int, ...]:
    """The shape that the network takes, from its configuration."""
    layers = read_configuration(path)["layers"]
    return tuple(next(e["config"]["batch_input_shape"][1:] for e in layers if e["class_name"] == "InputLayer"))
