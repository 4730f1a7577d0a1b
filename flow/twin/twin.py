"""A twin and its file: one .npz with the Keras configuration as JSON, every weight and a checksum."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.errors import FlowError
from flow.files import write_whole
from flow.ir import Configuration, RuntimeWidths, fields_of
from flow.twin.inputs import InputGrid

if TYPE_CHECKING:
    from flow.keras_env import keras

FORMAT = 2

#: samples of one Keras step; feature maps of float32 stay in the processor's cache
BATCH = 64


@dataclass(frozen=True)
class Folded:
    """What became of one activation.

    Attributes:
        name: of the layer in the twin.
        trained: of the layer in the trained network whose output it is.
        kind: ``"threshold"`` or ``"requantize"``.
        bits: of its codes.
        differing: reachable accumulator integers, summed over channels, whose code is not the trained one. 0 for
            thresholds always, and for a rescale unless no multiplier of its width is exact.
        step: what a code is worth to the trained network, None where that is 2**-output_fraction_bits as in the twin.
    """

    name: str
    trained: str
    kind: str
    bits: int
    differing: int
    step: float | None = None


@dataclass(frozen=True, eq=False)
class Twin:
    """A network of integers in Keras.

    Attributes:
        model: tf_keras functional model from numbers on the grid of `input` to logits on a power-of-two grid, or to
            the position of the largest one.
        input: what a code of the input stands for.
        output_fraction_bits: logit = integer * 2**-output_fraction_bits.
        activations: every folded activation, in order.
        runtime: the widths that each frame chooses, where there are layers that let it choose; the model then has a
            second input, see `flow.twin.runtime`.
    """

    model: keras.Model
    input: InputGrid
    output_fraction_bits: int
    activations: tuple[Folded, ...] = ()
    runtime: RuntimeWidths | None = None

    @property
    def gives_labels(self) -> bool:
        """Whether the output is the position of the largest logit."""
        return type(self.model.layers[-1]).__name__ == "Argmax"

    def __post_init__(self) -> None:
        # hls4ml's converter is handed the bare model and has to know its inputs' types
        self.model.flow_input, self.model.flow_runtime = self.input, self.runtime

    def fields(self, configuration: Configuration | None, samples: int) -> np.ndarray | None:
        """The configuration of each sample as indices (samples, layers); None where nothing can be chosen.

        Raises:
            FlowError: a configuration is missing, is not right, or is given where nothing can be chosen.
        """
        return fields_of(self.model.name, self.runtime, configuration, samples)


def twin_outputs(
    twin: Twin,
    codes: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
    configuration: Configuration | None = None,
) -> np.ndarray:
    """The logits as integers.

    Args:
        twin: the network.
        codes: integers (N, *twin.input.shape).
        progress: hears how many samples are done.
        configuration: where there are runtime layers their widths, of all samples or of each; see
            `flow.ir.RuntimeWidths.fields`.

    Returns:
        int64 (N, *output shape), on the grid of `twin.output_fraction_bits`.
    """
    from flow.keras_env import tf

    step = tf.function(twin.model, reduce_retracing=True)
    fields = twin.fields(configuration, len(codes))
    outputs = []
    for start in range(0, len(codes), BATCH):
        batch = tf.constant(twin.input.reals(codes[start : start + BATCH]))
        if fields is not None:
            batch = [batch, tf.constant(fields[start : start + BATCH], tf.float32)]
        logits = np.ldexp(step(batch, training=False).numpy().astype(np.float64), twin.output_fraction_bits)
        integers = logits.astype(np.int64)
        assert np.array_equal(integers, logits), "the twin left its grid"
        outputs.append(integers)
        progress(min(start + BATCH, len(codes)))
    return np.concatenate(outputs) if outputs else np.zeros((0, *twin.model.output_shape[1:]), np.int64)


def _digest(structure: str, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the structure and every array with its name, type and shape."""
    sha = hashlib.sha256(structure.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def save(twin: Twin, path: Path) -> None:
    """Writes a twin to `path` (.npz), whole or not at all."""
    structure = json.dumps(
        {
            "format": FORMAT,
            "model": json.loads(twin.model.to_json()),
            "input": twin.input.to_json(),
            "output_fraction_bits": twin.output_fraction_bits,
            "activations": [asdict(a) for a in twin.activations],
            "runtime": twin.runtime and asdict(twin.runtime),
        }
    )
    arrays = {f"{layer.name}.{i}": value for layer in twin.model.layers for i, value in enumerate(layer.get_weights())}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, structure=np.array(structure), checksum=np.array(_digest(structure, arrays)), **arrays)
    write_whole(path, buffer.getvalue())


def load(path: Path) -> Twin:
    """Reads a twin that `save` wrote.

    Raises:
        FlowError: the file is missing, truncated, changed, or of another format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        structure, checksum = str(arrays.pop("structure")), str(arrays.pop("checksum"))
        if _digest(structure, arrays) != checksum:
            raise ValueError("its checksum does not match")
        plain = json.loads(structure)
        if plain["format"] != FORMAT:
            raise ValueError(f"format {plain['format']}, expected {FORMAT}")
    except Exception as error:  # zipfile, json and numpy each have errors of their own for a broken file
        raise FlowError(f"{path} is not a twin that this version wrote ({error}); fold again") from error
    from flow.keras_env import keras
    from flow.twin.runtime import ALL_OBJECTS

    model = keras.models.model_from_json(json.dumps(plain["model"]), custom_objects=ALL_OBJECTS)
    for layer in model.layers:
        layer.set_weights([arrays[f"{layer.name}.{i}"] for i in range(len(layer.weights))])
    activations = tuple(Folded(**a) for a in plain["activations"])
    runtime = plain.get("runtime")
    if runtime:
        runtime = RuntimeWidths(tuple(runtime["widths"]), tuple(runtime["layers"]))
    return Twin(model, InputGrid.from_json(plain["input"]), plain["output_fraction_bits"], activations, runtime)
