"""The two ways in which a command can fail on purpose.

`FlowError` is a user's mistake: the CLI prints its one line and exits with 2.
`CheckFailed` is a proof that did not hold: the CLI prints it and exits with 1.
Anything else that escapes is a defect of this project and shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FlowError(Exception):
    """A mistake in what the user gave: what is wrong, where, and what would be right."""


class CheckFailed(Exception):
    """Two engines disagree, or a promise of the build does not hold."""


def unknown(kind: str, given: str, known: Iterable[str]) -> FlowError:
    """The error for a name that does not exist, with the nearest one that does.

    Args:
        kind: what the name should be one of, for example ``"model"``.
        given: the name as the user wrote it.
        known: every name that would have been accepted.
    """
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return FlowError(f"unknown {kind} '{given}': {hint}known: {', '.join(names)}")
