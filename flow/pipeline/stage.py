"""A stage: a function from configuration and earlier results to a folder and a small result, done once.

A stage's folder holds its log, its files and `done.json`: a digest of all that the stage depends on, the digests of
the results that it read, the SHA-256 of every file that it promised, and its result. `done.json` is written last. A
stage is skipped while its digest is the same and its files are intact; a file that was changed or cut short is named,
and the stage runs again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow import __version__
from flow.cache import digest
from flow.errors import FlowError
from flow.files import read_json, write_json
from flow.pipeline.code import Code
from flow.pipeline.config import BuildConfig
from flow.pipeline.reporter import Reporter

DONE = "done.json"
LOG = "log.txt"


@dataclass(frozen=True)
class Result:
    """What a stage leaves behind.

    Attributes:
        values: plain JSON values for later stages and the report.
        files: what later stages read, relative to the stage's folder; kept intact from here on.
    """

    values: dict[str, Any]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """What a stage works with.

    Attributes:
        config: the user's choices.
        folder: the stage's own folder.
        cache: for what can be shared between builds, kept by content.
        reporter: hears of progress.
        earlier: the finished stages, by name.
    """

    config: BuildConfig
    folder: Path
    cache: Path
    reporter: Reporter
    earlier: Mapping[str, Finished]

    def path(self, stage: str, file: str) -> Path:
        """A file of an earlier stage."""
        return self.earlier[stage].folder / file

    def values(self, stage: str) -> dict[str, Any]:
        """The values of an earlier stage."""
        return self.earlier[stage].result.values


@dataclass(frozen=True)
class Stage:
    """One arrow of the flow.

    Attributes:
        name: its command-line name.
        needs: stages whose results it reads.
        code: of the project and of tools, that it depends on.
        settings: what of the configuration it depends on; paths are replaced by the content they name.
        run: does the work.
    """

    name: str
    needs: tuple[str, ...]
    code: Code
    settings: Callable[[BuildConfig], Any]
    run: Callable[[Work], Result]


@dataclass(frozen=True)
class Finished:
    """A stage whose results are there.

    Attributes:
        digest: of everything that the results depend on and of the files that came out, for the stages that follow.
        seconds: that the stage took when it ran.
        skipped: nothing had changed, so it did not run now.
    """

    folder: Path
    digest: str
    result: Result
    seconds: float
    skipped: bool = field(default=False)


def run_stage(stage: Stage, number: int, run_folder: Path, work_of: Callable[[Path], Work]) -> Finished:
    """Runs one stage, or takes what it left when nothing that it depends on has changed."""
    folder = run_folder / f"{number}_{stage.name}"
    work = work_of(folder)
    key = _key(stage, work)
    found = _intact(folder, key, work.reporter)
    if found is not None:
        return found
    (folder / DONE).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("w") as log:

        def keep(line: str) -> None:
            log.write(line + "\n")
            log.flush()

        work.reporter.log_to(keep)
        start = time.monotonic()
        try:
            result = stage.run(work)
        finally:
            work.reporter.settle()
            work.reporter.log_to(None)
    seconds = time.monotonic() - start
    files = {name: _sha256(folder / name) for name in result.files}
    needs = {name: work.earlier[name].digest for name in stage.needs}
    record = {"digest": key, "needs": needs, "seconds": seconds, "files": files, "values": result.values}
    write_json(folder / DONE, record)
    # what JSON gives back is what every later run sees
    return Finished(folder, _outcome(key, files), Result(json.loads(json.dumps(result.values)), result.files), seconds)


def finished(stage: Stage, number: int, run_folder: Path, work_of: Callable[[Path], Work]) -> Finished | None:
    """What the stage left, if it is up to date and intact."""
    folder = run_folder / f"{number}_{stage.name}"
    work = work_of(folder)
    return _intact(folder, _key(stage, work), work.reporter)


def recorded(stage: Stage, number: int, run_folder: Path) -> tuple[Finished, dict[str, str]]:
    """What the stage left, whichever code and settings it ran with, and the digests of the results that it read.

    Raises:
        FlowError: it has not finished, or a file was changed since.
    """
    folder = run_folder / f"{number}_{stage.name}"
    if not (folder / DONE).exists():
        raise FlowError(f"stage '{stage.name}' has not finished")
    done = read_json(folder / DONE)
    try:
        key, needs, files, values, seconds = (done[name] for name in ("digest", "needs", "files", "values", "seconds"))
    except (KeyError, TypeError) as error:
        raise FlowError(f"{folder / DONE} is not of this version") from error
    problem = _damage(folder, files)
    if problem:
        raise FlowError(problem)
    return Finished(folder, _outcome(key, files), Result(values, tuple(files)), seconds, skipped=True), needs


def seal(folder: Path, names: list[str]) -> None:
    """Records files of a finished stage, which were written anew on purpose, as they are now."""
    done = read_json(folder / DONE)
    done["files"] = {name: _sha256(folder / name) for name in dict.fromkeys([*done["files"], *names])}
    write_json(folder / DONE, done)


def _key(stage: Stage, work: Work) -> str:
    upstream = [work.earlier[name].digest for name in stage.needs]
    settings = json.dumps(stage.settings(work.config), sort_keys=True, default=str)
    return digest([__version__, stage.name, settings, *upstream, *stage.code.parts(work.cache)])


def _outcome(key: str, files: Mapping[str, str]) -> str:
    return digest([key, *(f"{name} {checksum}" for name, checksum in sorted(files.items()))])


def _intact(folder: Path, key: str, reporter: Reporter) -> Finished | None:
    try:
        done = json.loads((folder / DONE).read_text())
        if done["digest"] != key:
            return None
        files, values, seconds, _ = done["files"], done["values"], done["seconds"], done["needs"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        reporter.line(f"  {folder / DONE} is damaged: the stage runs again")
        return None
    problem = _damage(folder, files)
    if problem:
        reporter.line(f"  {problem}: the stage runs again")
        return None
    return Finished(folder, _outcome(key, files), Result(values, tuple(files)), seconds, skipped=True)


def _damage(folder: Path, files: Mapping[str, str]) -> str | None:
    """The first file that is not as it was recorded."""
    for name, expected in files.items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected:
            return f"{path} is {'changed or cut short' if path.exists() else 'missing'}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
