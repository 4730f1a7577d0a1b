"""What is synthesized: a module, its parameters, and exactly the files that it depends on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from flow.cache import content, digest
from flow.errors import FlowError
from flow.tools import yosys
from flow.tools.process import end_running

Found = TypeVar("Found")

_WORD = re.compile(r"[A-Za-z_]\w*")
_FILE_NAME = re.compile(r"\"([^\"\n]+)\"")


@dataclass(frozen=True)
class Job:
    """One module to synthesize.

    Attributes:
        name: how results and messages call it.
        sources: SystemVerilog files, one module a file, file = module; more than needed does no harm.
        top: the module.
        parameters: values for parameters of `top`.
        memory_files: `$readmemh` files; the sources name them by their base names.
        black_boxes: modules without parameters of which only the ports are read: what is in them is not synthesized.
        lanes: of `m_axis_tdata`: how many are looked at, from lane 0, and how many there are. What only the other lanes
            need falls away. For timing, where the lanes are copies of one another; (1, 1) is all.
    """

    name: str
    sources: Sequence[Path]
    top: str
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    memory_files: Sequence[Path] = ()
    black_boxes: Sequence[str] = ()
    lanes: tuple[int, int] = (1, 1)

    def closure(self) -> list[Path]:
        """The sources that `top` reaches, `top` last.

        A file counts as reached when a reached file has its module's name as a word anywhere: a comment can add a
        file too many, and nothing can be missed.

        Raises:
            FlowError: `top` has no file, or a source cannot be read.
        """
        files = {path.stem: path for path in self.sources}
        if self.top not in files:
            raise FlowError(f"{self.name}: there is no {self.top}.sv among the sources")
        reached: dict[str, Path] = {}
        todo = [self.top]
        while todo:
            module = todo.pop()
            if module in reached:
                continue
            reached[module] = files[module]
            if module in self.black_boxes:
                continue
            todo += sorted(set(_WORD.findall(_read(files[module]))) & files.keys() - reached.keys())
        return list(reversed(reached.values()))

    def memories(self, sources: Sequence[Path]) -> list[Path]:
        """The memory files that `sources` or the parameters name."""
        named = {Path(value).name for value in self.parameters.values() if isinstance(value, str)}
        for path in sources:
            named.update(Path(word).name for word in _FILE_NAME.findall(_read(path)))
        return [path for path in self.memory_files if path.name in named]

    def plain_parameters(self) -> dict[str, int | str]:
        """The parameters, with the base name in the place of a memory file's path."""
        names = {path.name for path in self.memory_files}
        return {
            key: Path(value).name if isinstance(value, str) and Path(value).name in names else value
            for key, value in self.parameters.items()
        }

    def key(self, *settings: str) -> str:
        """A hash of everything that the result depends on; `settings` are tool, version and flags."""
        sources = self.closure()
        parameters = json.dumps(self.plain_parameters(), sort_keys=True)
        boxes = " ".join(sorted(self.black_boxes))
        lanes = "{} of {}".format(*self.lanes)
        files = [*content(sources), "|", *content(self.memories(sources))]
        return digest([*settings, self.top, parameters, boxes, lanes, *files])

    def stage(self, folder: Path) -> list[str]:
        """Copies sources and memory files into `folder`, where the tool then runs.

        Returns:
            The Yosys commands that read and elaborate the module.
        """
        sources = self.closure()
        for path in (*sources, *self.memories(sources)):
            shutil.copyfile(path, folder / path.name)
        values = "".join(f" -chparam {key} {yosys.constant(v)}" for key, v in self.plain_parameters().items())
        modes = ["-lib" if path.stem in self.black_boxes else "-defer" for path in sources]
        read = [f"read_verilog -sv {mode} {yosys.quote(Path(path.name))}" for mode, path in zip(modes, sources)]
        return [*read, f"hierarchy -check -top {self.top}{values}"]


def in_parallel(
    jobs: Sequence[Job],
    work: Callable[[Job], Found],
    workers: int,
    progress: Callable[[str, Found, int, int], None] | None = None,
) -> dict[str, Found]:
    """`work` for each job, in threads, since each waits for a process of its own.

    Returns:
        Results by name, in the order of the jobs.

    Raises:
        Whatever the first failing job raised, or an interrupt; jobs not yet started are dropped, running tools ended.
    """
    found: dict[str, Found] = {}
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(running):
                found[running[future].name] = future.result()
                if progress:
                    progress(running[future].name, future.result(), len(found), len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_running()
            raise
    return {job.name: found[job.name] for job in jobs}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FlowError(f"cannot read {path}: {error}") from error
