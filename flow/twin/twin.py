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
    """

    model: keras.Model
    input: InputGrid
    output_fraction_bits: int
    activations: tuple[Folded, ...] = ()

    @property
    def gives_labels(self) -> bool:
        """Whether the output is the position of the largest logit."""
        return type(self.model.layers[-1]).__name__ == "Argmax"

    def __post_init__(self) -> None:
        # hls4ml's converter is handed the bare model and has to know its input's type
        self.model.flow_input = self.input


def twin_outputs(twin: Twin, codes: np.ndarray, progress: Callable[[int], None] = lambda done: None) -> np.ndarray:
    """The logits as integers.

    Args:
        twin: the network.
        codes: integers (N, *twin.input.shape).
        progress: hears how many samples are done.

    Returns:
        int64 (N, *output shape), on the grid of `twin.output_fraction_bits`.
    """
    from flow.keras_env import tf

    step = tf.function(twin.model, reduce_retracing=True)
    outputs = []
    for start in range(0, len(codes), BATCH):
        batch = twin.input.reals(codes[start : start + BATCH])
        logits = np.ldexp(
            step(tf.constant(batch), training=False).numpy().astype(np.float64), twin.output_fraction_bits
        )
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
    from flow.twin.layers import CUSTOM_OBJECTS

    model = keras.models.model_from_json(json.dumps(plain["model"]), custom_objects=CUSTOM_OBJECTS)
    for layer in model.layers:
        layer.set_weights([arrays[f"{layer.name}.{i}"] for i in range(len(layer.weights))])
    activations = tuple(Folded(**a) for a in plain["activations"])
    return Twin(model, InputGrid.from_json(plain["input"]), plain["output_fraction_bits"], activations)
