"""The end of a sweep: what goes into the comparison, and what its exit status says."""

from __future__ import annotations

from collections.abc import Sequence

from flow.comparison import Comparison, Failure, Run, compare, load_run
from flow.errors import CheckFailed, FlowError
from flow.sweep.display import reason
from flow.sweep.run import Outcome

#: exit status of a build that was right to start and whose check failed: it may have a report all the same
CHECK_FAILED = 1


def gather(outcomes: Sequence[Outcome]) -> Comparison:
    """The builds that have a report, side by side, and those that have none with the reason.

    Raises:
        FlowError: none has.
    """
    runs, failures = [], []
    for outcome in outcomes:
        name = outcome.planned.name
        try:
            if outcome.status not in (0, CHECK_FAILED):
                raise FlowError("the build failed")
            runs.append(Run(name, load_run(outcome.planned.folder)))
        except FlowError as error:
            failures.append(Failure(run=name, reason=reason(outcome) if outcome.status else str(error)))
    if not runs:
        raise _failed(outcomes)
    return compare(runs, failures)


def judge(outcomes: Sequence[Outcome]) -> None:
    """Raises unless every build succeeded.

    Raises:
        FlowError: all that failed did so by a user's mistake. CheckFailed: a check failed, or a build crashed.
    """
    if any(outcome.status for outcome in outcomes):
        raise _failed(outcomes)


def _failed(outcomes: Sequence[Outcome]) -> Exception:
    failed = [outcome for outcome in outcomes if outcome.status]
    said = "; ".join(f"{outcome.planned.name}: {reason(outcome)}" for outcome in failed)
    kind = FlowError if all(outcome.status == 2 for outcome in failed) else CheckFailed
    return kind(f"{len(failed)} of {len(outcomes)} builds failed: {said}")
