"""A build: the stages in order, each run or skipped, from one to another."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from flow import paths
from flow.datasets import AUTO
from flow.errors import FlowError, unknown
from flow.files import locked
from flow.pipeline.config import BuildConfig, save_config
from flow.pipeline.reporter import Reporter, StageLine
from flow.pipeline.stage import Finished, Stage, Work, finished, recorded, run_stage
from flow.pipeline.stages import STAGES

CONFIG = "config.yaml"
LOCK = ".lock"


@dataclass(frozen=True)
class Built:
    """The outcome of a build.

    Attributes:
        folder: of the run.
        stages: those that are up to date, by name.
        seconds: of this call.
    """

    folder: Path
    stages: dict[str, Finished]
    seconds: float


def stage_number(name: str) -> int:
    """The position of a stage, from 1; raises FlowError with the nearest name for an unknown one."""
    names = [stage.name for stage in STAGES]
    if name not in names:
        raise unknown("stage", name, names)
    return names.index(name) + 1


def stage_folder(run: Path, name: str) -> Path:
    """Where a stage's results are in a run."""
    return run / f"{stage_number(name)}_{name}"


def build(
    config: BuildConfig, folder: Path, reporter: Reporter, first: str | None = None, last: str | None = None
) -> Built:
    """Runs the stages from `first` to `last`.

    Stages before `first` must be up to date already; those from `first` on are run when something changed.

    Raises:
        FlowError: a user's mistake. CheckFailed: two engines disagree.
    """
    start = time.monotonic()
    folder = folder.absolute()  # tools run in other folders
    begin, end = stage_number(first or STAGES[0].name), stage_number(last or STAGES[-1].name)
    if begin > end:
        raise FlowError(f"--from {first} comes after --to {last}")
    check(config)
    done: dict[str, Finished] = {}

    def work_of(stage_folder: Path) -> Work:
        return Work(config, stage_folder, paths.cache(), reporter, dict(done))

    with locked(folder / LOCK, held=f"another build is running in {folder}"):
        save_config(settled(config), folder / CONFIG)
        for number, stage in enumerate(STAGES[:end], start=1):
            if number < begin:
                done[stage.name] = _must_be_done(stage, number, folder, work_of)
                continue
            reporter.line(StageLine(number, stage.name).text(len(STAGES)))
            done[stage.name] = run_stage(stage, number, folder, work_of)
            state = "unchanged, skipped" if done[stage.name].skipped else f"done in {done[stage.name].seconds:.1f} s"
            reporter.line(StageLine(number, stage.name, state).text(len(STAGES)))
    return Built(folder, done, time.monotonic() - start)


def settled(config: BuildConfig) -> BuildConfig:
    """The configuration with the dataset that `auto` comes to, so that the run keeps it wherever it is looked at."""
    from flow.pipeline.subject import subject_of

    name = getattr(subject_of(config), "dataset_name", None)
    # in a folder that was named, what is missing is an error, which another name would hide
    if name is None or config.dataset != AUTO or config.data is not None:
        return config
    return config.model_copy(update={"dataset": name})


def check(config: BuildConfig) -> None:
    """Finds a user's mistakes that need no work to be found: names, bits, layers, samples, folding, files."""
    from flow.boards import find_board
    from flow.pipeline.stages.report import firmware
    from flow.pipeline.subject import subject_of
    from flow.tasks import ACCURACY

    subject = subject_of(config)
    subject.check()
    for place in config.beside:
        if config.runtime_bits is None:
            raise FlowError("beside: is for a build with --runtime-bits; `flow compare` compares any builds")
        firmware(place, config, subject.dataset_name, ACCURACY)
    find_board(config.board)
    if config.folding is None:
        return
    if not config.folding.is_file():
        raise FlowError(f"--folding {config.folding}: there is no such file")
    for option, given in (("--max-cycles", config.max_cycles), ("--target-fps", config.target_fps)):
        if given is not None:
            raise FlowError(f"{option}: --folding {config.folding} sets the rate already; leave one of them out")


def _must_be_done(stage: Stage, number: int, folder: Path, work_of) -> Finished:
    found = finished(stage, number, folder, work_of)
    if found is None:
        raise FlowError(f"stage '{stage.name}' in {folder} is missing or out of date: build with --from {stage.name}")
    return found


def standing(folder: Path, last: str = STAGES[-1].name) -> dict[str, Finished]:
    """The finished stages of a run that `last` rests on, and `last` itself, by name.

    Each is intact, and was made from the others as they are now. With which code and settings is not asked: what is
    there belongs together, whether or not a new build would come to the same.

    Raises:
        FlowError: no build; a stage has not finished, or not since one that it needs; or a file was changed.
    """
    load_config(folder)
    found: dict[str, Finished] = {}
    try:
        for name in _needed(last):
            stage = STAGES[stage_number(name) - 1]
            done, needs = recorded(stage, stage_number(name), folder)
            stale = [need for need in stage.needs if needs.get(need) != found[need].digest]
            if stale:
                raise FlowError(f"stage '{name}' has not run since '{stale[0]}' did")
            found[name] = done
    except FlowError as error:
        whole = last == STAGES[-1].name
        what, to = ("is not a finished build", "") if whole else (f"is not built up to {last}", f" --to {last}")
        again = f"flow build --config {folder / CONFIG} --out {folder}{to}"
        raise FlowError(f"{folder} {what}: {error}; finish it first: {again}") from error
    return found


def _needed(last: str) -> list[str]:
    """The stages that one rests on, and itself, in order."""
    needed = {last}
    for stage in reversed(STAGES):
        needed |= set(stage.needs) if stage.name in needed else set()
    return [stage.name for stage in STAGES if stage.name in needed]


def load_config(folder: Path) -> BuildConfig:
    """The configuration of a run."""
    import yaml

    try:
        return BuildConfig.model_validate(yaml.safe_load((folder / CONFIG).read_text()))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FlowError(f"{folder} is not the folder of a build: {' '.join(str(error).split())[:200]}") from error
