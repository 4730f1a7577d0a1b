"""What several stages need: digests of the user's files, the inputs of a build."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flow.twin.inputs import InputGrid

if TYPE_CHECKING:
    from flow.pipeline.stage import Work


def file_digest(path: Path | None) -> str | None:
    """SHA-256 of a file that the user named; None for no file or one that cannot be read (the stage will say so)."""
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return f"unreadable {path}"


def inputs_of(work: Work) -> np.ndarray:
    """The input codes of all test samples, as the folded network takes them."""
    from flow.pipeline.subject import input_codes, subject_of

    grid = InputGrid.from_json(work.values("fold")["input"])
    return input_codes(work.config, subject_of(work.config).samples(), grid)
