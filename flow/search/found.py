"""What a search has found, in one file: the same search finds it there, and neither trains nor chooses again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flow.bits import BitsSpec
from flow.keras_env import keras
from flow.training.progress import Progress
from flow.training.resume import TrainState, load_state, save_state
from keras_models.spec import ModelSpec


@dataclass(frozen=True)
class Searched:
    """What a search has found.

    Attributes:
        learned: widths before rounding, by layer, under ``"weights"`` and ``"activations"``.
        bits: whole ones, within the budget.
        path: the records of `flow.search.path.PathRecorder`.
        network: float, with the searched weights and the batch statistics at `bits`: where training with frozen widths
            starts.
    """

    learned: dict[str, dict[str, float]]
    bits: BitsSpec
    path: list[dict]
    network: keras.Model


def save_found(file: Path, identity: str, found: Searched) -> None:
    """Writes it, whole or not at all, under the identity of the search."""
    plain = {"learned": found.learned, "bits": found.bits.model_dump(), "path": found.path}
    save_state(file, TrainState(identity, len(found.path), found.network.get_weights(), [plain]))


def load_found(file: Path, identity: str, spec: ModelSpec, progress: Progress) -> Searched | None:
    """What an equal search has left, None if there is none or if it is damaged."""
    state, reason = load_state(file, identity)
    if reason:
        progress.on_message(reason)
    if state is None:
        return None
    network, (plain,) = spec.build_float(), state.history
    network.set_weights(state.arrays)
    return Searched(plain["learned"], BitsSpec(**plain["bits"]), plain["path"], network)
