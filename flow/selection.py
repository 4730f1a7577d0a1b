"""Some of the networks of a study, by the names that `--only` lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from flow.errors import FlowError, unknown


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


def chosen(arms: Sequence[T], only: str | None, kind: str) -> list[T]:
    """Those whose names are in a list with commas between, in the study's order; all without one.

    Args:
        kind: what they are called in messages.

    Raises:
        FlowError: a name that is no arm's, or none at all.
    """
    if only is None:
        return list(arms)
    by_name = {arm.name: arm for arm in arms}
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in by_name:
            raise unknown(kind, name, by_name)
    if not names:
        raise FlowError(f"--only '{only}': names no {kind}; there are {', '.join(by_name)}")
    return [arm for arm in arms if arm.name in names]
