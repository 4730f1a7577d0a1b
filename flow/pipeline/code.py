"""What of the project and of the tools a stage's results depend on, found in the imports of its module.

The modules of a stage are its own and all that are imported from there, inside functions too, but not what only type
checkers import. A stage that comes later has those of the earlier ones through their digests, so that `apart` names
only what a stage mentions and does not use.
"""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import flow
from flow.cache import ResultCache, digest

ROOT = Path(flow.__file__).parent.parent
PACKAGES = ("flow", "keras_models")
#: packages whose modules are imported by names that are put together
BY_NAME = ("flow.datasets",)
#: what carries a build and shows it, and decides no result; boards and options reach a stage through its settings
CARRIERS = (
    "flow.boards", "flow.cache", "flow.cli", "flow.errors", "flow.files", "flow.paths",
    "flow.pipeline.build", "flow.pipeline.code", "flow.pipeline.config", "flow.pipeline.reporter",
    "flow.pipeline.stage",
)  # fmt: skip
#: the one tool that is no Python package
COMPILER = "g++"


@dataclass(frozen=True)
class Code:
    """See above.

    Attributes:
        module: of the stage.
        apart: modules and packages that are not followed.
        data: files, and folders with all that is in them.
        tools: distributions, or `COMPILER`, whose versions count.
    """

    module: str
    apart: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    tools: tuple[str, ...] = ()

    def modules(self, cache: Path) -> list[str]:
        """The stage's modules in order of their names."""
        project, found, waiting = _project(cache), set(), [self.module]
        while waiting:
            name = waiting.pop()
            if name not in found and not _is_below(name, (*CARRIERS, *self.apart)):
                found.add(name)
                waiting += project.imports[name]
        return sorted(found)

    def parts(self, cache: Path) -> list[bytes | str]:
        """Names and contents of all, for `flow.cache.digest`.

        Args:
            cache: keeps what the modules import.
        """
        sources = _project(cache).sources
        parts: list[bytes | str] = [part for name in self.modules(cache) for part in (name, sources[name])]
        for place in self.data:
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".md":
                    parts += [file.name, file.read_bytes()]
        return [*parts, *(f"{tool} {version(tool)}" for tool in self.tools)]


@lru_cache
def version(tool: str) -> str:
    """The version of a distribution or of the compiler; "missing" where there is none."""
    if tool == COMPILER:
        place = shutil.which(tool)
        command = [place, "-dumpfullversion", "-dumpversion"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() if place else "missing"
    try:
        return importlib.metadata.version(tool)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


@dataclass(frozen=True)
class _Project:
    """The project's modules: their sources, and which of one another they import."""

    sources: dict[str, bytes]
    imports: dict[str, list[str]]


@lru_cache(maxsize=1)
def _project(cache: Path) -> _Project:
    """Read once in a run; parsing takes a third of a second, so that the imports are kept by what they come from."""
    sources = {_name(path): path.read_bytes() for package in PACKAGES for path in _files(ROOT / package)}
    kept, key = ResultCache(cache / "imports"), digest(part for pair in sources.items() for part in pair)
    imports = kept.get(key)
    if imports is None:
        imports = {name: sorted(_imported(name, sources)) for name in sources}
        kept.put(key, imports)
    return _Project(sources, imports)


def _files(package: Path) -> list[Path]:
    """The modules of a package; templates and what a wheel carries along are none."""
    found = (path for path in package.rglob("*.py") if not {"templates", "_share"} & set(path.parts[len(ROOT.parts) :]))
    return sorted(found)


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _is_below(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _imported(name: str, sources: dict[str, bytes]) -> set[str]:
    """The project's modules that a module imports."""
    found = {other for other in sources if name in BY_NAME and _is_below(other, (name,))}
    for node in _statements(ast.parse(sources[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # a package's own file counts only where something is taken from it
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in sources else node.module)
    return found & set(sources)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements below a node that are there when the program runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.stmt):
            yield child
        if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield from _statements(child)
