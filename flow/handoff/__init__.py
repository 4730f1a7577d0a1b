"""Hand-off of a finished build to the chip vendor's tools, and their reports back into the build's report.

build = finished(Path("runs/resnet8-4-cifar10"))
write(build, "vivado", Path("to-vivado"))
collect(build, Path("to-vivado"))
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flow.errors import unknown
from flow.files import whole_folder
from flow.handoff import vitis, vivado
from flow.handoff.collect import collect
from flow.handoff.finished import FinishedBuild, finished
from flow.handoff.folder import check_place, seal

__all__ = ["TARGETS", "FinishedBuild", "check_target", "collect", "finished", "write"]

TARGETS: dict[str, Callable[[FinishedBuild, Path], None]] = {"vitis": vitis.write, "vivado": vivado.write}


def check_target(name: str) -> None:
    """Raises FlowError with the nearest name where `name` is none of `TARGETS`."""
    if name not in TARGETS:
        raise unknown("target", name, TARGETS)


def write(build: FinishedBuild, target: str, place: Path) -> None:
    """Writes the hand-off folder, whole or not at all.

    Args:
        target: one of `TARGETS`.
        place: replaced if it holds an earlier hand-off and nothing else.

    Raises:
        FlowError: an unknown target; `place` cannot be written, or holds something else.
    """
    check_target(target)
    check_place(place)
    with whole_folder(place) as folder:
        TARGETS[target](build, folder)
        seal(folder, target, build)
