"""Where datasets are looked for."""

from __future__ import annotations

import os
from pathlib import Path


def places(data_dir: str | Path | None) -> list[Path]:
    """The folders, in order: `--data`, `$FLOW_DATA`, Keras' cache folder."""
    found = [Path(data_dir)] if data_dir is not None else []
    if os.environ.get("FLOW_DATA"):
        found.append(Path(os.environ["FLOW_DATA"]))
    return [*found, keras_cache()]


def keras_cache() -> Path:
    """The folder in which Keras keeps its datasets."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def listed(folders: list[Path]) -> str:
    """Folders for a sentence."""
    return ", ".join(str(folder) for folder in folders)
