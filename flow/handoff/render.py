"""Templates of the hand-off's text files; a name that a template uses and nobody gives is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flow.files import write_whole

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".j2"
EXECUTABLE = ".sh"


def render(target: str, folder: Path, values: dict[str, Any], renamed: dict[str, str] | None = None) -> None:
    """Writes every file of `templates/<target>` into `folder`, in the same places.

    Args:
        values: what the templates, files named `*.j2`, are filled with; other files are copied.
        renamed: the names of files whose names depend on the network, by template without its `.j2`.
    """
    source = TEMPLATES / target
    for path in sorted(source.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(source).as_posix()
        text = _text_of(target, name, values) if path.suffix == SUFFIX else path.read_text()
        name = name.removesuffix(SUFFIX)
        out = folder / (renamed or {}).get(name, name)
        write_whole(out, text)
        if out.suffix == EXECUTABLE:
            out.chmod(out.stat().st_mode | 0o111)


def _text_of(target: str, name: str, values: dict[str, Any]) -> str:
    """One template, `name` below `templates/<target>`, filled."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / target),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name).render(values)
