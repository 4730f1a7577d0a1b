"""The state of an unfinished training run, in one file that is whole or refused.

The file is the SHA-256 of the rest in hexadecimal, a line feed, and an `npz` archive. It is
written whole or not at all, so that a killed run leaves the last whole epoch.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow.files import write_whole

_DIGEST_LENGTH = 64


@dataclass(frozen=True)
class TrainState:
    """Everything that the next epoch depends on.

    Attributes:
        fingerprint: of the recipe and what it was applied to.
        epoch: number of finished epochs.
        arrays: model and optimizer variables, in their order.
        history: a record per finished epoch.
    """

    fingerprint: str
    epoch: int
    arrays: list[np.ndarray]
    history: list[dict[str, float]]


def save_state(path: Path, state: TrainState) -> None:
    """Writes the state, with its checksum."""
    meta = {"fingerprint": state.fingerprint, "epoch": state.epoch, "history": state.history}
    buffer = io.BytesIO()
    arrays = {f"a{index:04d}": array for index, array in enumerate(state.arrays)}
    np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    write_whole(path, digest + b"\n" + payload)


def load_state(path: Path, fingerprint: str) -> tuple[TrainState | None, str]:
    """Reads a state that belongs to this run.

    Returns:
        The state, or None and the reason why there is none to use (empty if there is no file).
    """
    if not path.exists():
        return None, ""
    raw = path.read_bytes()
    digest, payload = raw[:_DIGEST_LENGTH], raw[_DIGEST_LENGTH + 1 :]
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        return None, f"{path} is truncated or corrupt: ignored"
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        meta = json.loads(archive["meta"].tobytes())
        arrays = [archive[name] for name in sorted(archive.files) if name != "meta"]
    if meta["fingerprint"] != fingerprint:
        return None, f"{path} is of a run with other settings: ignored, training starts anew"
    return TrainState(fingerprint, meta["epoch"], arrays, meta["history"]), ""
