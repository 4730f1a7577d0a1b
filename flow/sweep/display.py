"""How a sweep speaks while it runs: a row for each build on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from flow.pipeline.reporter import LINE_EVERY_S, read_stage_line
from flow.pipeline.stages import STAGES
from flow.sweep.plan import Planned
from flow.sweep.run import Outcome
from flow.training.console import duration


class Display:
    """Shows where each build is; hears of it as a `Watcher`."""

    def __init__(self, console: Console, planned: list[Planned]) -> None:
        self._console = console
        self._width = max(len(item.name) for item in planned)
        self._last_line = 0.0
        self._tasks: dict[str, TaskID] = {}
        self._live: Progress | None = None
        if console.is_terminal:
            self._live = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=16), TextColumn("{task.fields[stage]}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[detail]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
                console=console, expand=True,
            )  # fmt: skip

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def started(self, planned: Planned) -> None:
        if self._live:
            self._tasks[planned.name] = self._live.add_task(planned.name, total=len(STAGES), stage="starts", detail="")
        else:
            self._print(planned, "starts")

    def said(self, planned: Planned, line: str) -> None:
        """A line of a build: where it is in its stages, or what it is doing there."""
        stage = read_stage_line(line)
        if self._live:
            task = self._tasks[planned.name]
            if stage is None:
                self._live.update(task, detail=line.strip())
            else:
                done = stage.number if stage.outcome else stage.number - 1
                self._live.update(task, completed=done, stage=f"{stage.number}/{len(STAGES)} {stage.name}", detail="")
        elif stage is not None and stage.outcome:
            self._print(planned, line)
        elif line.startswith("  ") and time.monotonic() - self._last_line > LINE_EVERY_S:
            self._print(planned, line.strip())

    def ended(self, outcome: Outcome) -> None:
        took = duration(outcome.seconds)
        said = f"finished in {took}" if outcome.status == 0 else f"failed after {took}: {reason(outcome)}"
        if self._live:
            state = "finished" if outcome.status == 0 else "failed"
            task = self._tasks[outcome.planned.name]
            self._live.update(task, stage=state, detail="" if outcome.status == 0 else reason(outcome))
            self._live.stop_task(task)
        else:
            self._print(outcome.planned, said)

    def _print(self, planned: Planned, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(f"{planned.name:<{self._width}}  {text}", highlight=False, markup=False, soft_wrap=True)


def reason(outcome: Outcome) -> str:
    """Why a build failed: what it said last, or which signal ended it."""
    if outcome.status < 0:
        return f"ended by signal {-outcome.status}; see {outcome.log}"
    said = outcome.last_line.removeprefix("flow: ")
    return said or f"exit status {outcome.status}; see {outcome.log}"
