"""Whether a folder has what a training would make."""

from __future__ import annotations

from pathlib import Path

from flow.errors import FlowError
from flow.training.checkpoints import CheckpointMeta, read_meta
from flow.training.config import TrainConfig

#: what a description records of other networks, for people
_OTHERS = {"start_sha256": "start", "teacher_sha256": "teacher"}


def finished(path: Path, config: TrainConfig, **hashes: str | None) -> Path | None:
    """The checkpoint, None if it is not there yet.

    Args:
        path: of the weights file.
        config: the recipe that is wanted.
        **hashes: ``start_sha256`` and ``teacher_sha256``, see `CheckpointMeta`; None, or one that the description
            does not have, is not compared.

    Raises:
        FlowError: there is one of another recipe, start or teacher: training would overwrite it.
    """
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return None
    meta = read_meta(path)
    changed = [key for key in type(config).model_fields if getattr(meta.config, key, None) != getattr(config, key)]
    changed += [_OTHERS[key] for key, wanted in hashes.items() if _differs(meta, key, wanted)]
    if changed:
        raise FlowError(f"{path}: was trained with another {', '.join(changed)}; take another --out")
    return path


def _differs(meta: CheckpointMeta, key: str, wanted: str | None) -> bool:
    recorded = getattr(meta, key)
    return None not in (recorded, wanted) and recorded != wanted
