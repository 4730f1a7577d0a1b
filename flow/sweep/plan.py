"""What a sweep builds: a configuration and a folder for each width, all checked before the first build starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow.errors import FlowError
from flow.network import is_model_file
from flow.pipeline.build import check
from flow.pipeline.built_in import BuiltIn
from flow.pipeline.config import BuildConfig, make_config


@dataclass(frozen=True)
class Planned:
    """One build of a sweep.

    Attributes:
        bits: as the user wrote them.
        config: of the build.
        folder: of the run; the one that `flow build` would take, so that its finished stages are used.
        trains: no checkpoint is included for these widths, so that the build starts with training.
    """

    bits: str
    config: BuildConfig
    folder: Path
    trains: bool

    @property
    def name(self) -> str:
        return self.folder.name


def parse_bits(text: str) -> list[str]:
    """The widths, or bits.yaml files, of a list such as ``2,3,4,6,8``.

    Raises:
        FlowError: an entry is empty or given twice, or there is only one.
    """
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entries):
        raise FlowError(f"--bits '{text}': an entry is empty; expected widths with commas between, such as 2,4,8")
    found = [str(int(entry)) if entry.isdecimal() else entry for entry in entries]
    twice = [entry for entry, count in Counter(found).items() if count > 1]
    if twice:
        raise FlowError(f"--bits {text}: {twice[0]} is given twice")
    if len(found) < 2:
        raise FlowError(f"--bits {text}: a sweep needs two widths or more; for one: flow build --bits {text}")
    return found


def plan(bits: str, file: Path | None, settings: list[str], options: dict[str, Any], out: Path) -> list[Planned]:
    """The builds of a sweep, in the order of its bits.

    Args:
        bits: the list that the user gave.
        file, settings, options: as for `make_config`.
        out: folder of the runs' folders.

    Raises:
        FlowError: whatever can be found wrong without work, for any of the widths.
    """
    widths = parse_bits(bits)
    planned = []
    for width in widths:
        config = make_config(file, settings, options | {"bits": width})
        if config.bits != width:
            raise FlowError("--set bits: a sweep sets them itself: name them all in --bits")
        if config.checkpoint is not None:
            raise FlowError(f"checkpoint {config.checkpoint}: a checkpoint has one width, and a sweep builds several")
        if is_model_file(config.model):
            raise FlowError(
                f"--model {config.model}: a file has the widths that it was trained with; a sweep trains its own"
            )
        check(config)
        subject = BuiltIn(config)
        planned.append(Planned(width, config, out / subject.run_name, subject.trains))
    same = [name for name, count in Counter(item.name for item in planned).items() if count > 1]
    if same:
        raise FlowError(f"--bits {bits}: two of them would be built in one folder, {same[0]}: rename a file")
    return planned


def comparison_folder(planned: list[Planned], out: Path) -> Path:
    """Where a sweep's logs and comparison go; not named as a run, so that no pattern of runs takes it for one."""
    subject = BuiltIn(planned[0].config)
    return out / f"sweep-{subject.family}-{subject.dataset_name}"
