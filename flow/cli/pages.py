"""A page for each command, from the command itself: `python -m flow.cli.pages` writes docs/commands/."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from flow.cli.main import app
from flow.files import write_whole

#: what Markdown takes as it is: fenced blocks and code in a line
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def pages() -> dict[str, str]:
    """Markdown by file name: one page for each command, and a list of them."""
    group = get_command(app)
    context = typer.Context(group, info_name="flow")
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    found = {
        f"{name}.md": as_markdown(
            get_docs_for_click(
                obj=command, ctx=typer.Context(command, parent=context, info_name=name), call_prefix="flow"
            )
        )
        for name, command in commands.items()
    }
    rows = [f"* [`flow {name}`]({name}.md): {command.get_short_help_str(200)}" for name, command in commands.items()]
    found["README.md"] = "# Commands\n\n" + "\n".join(rows) + "\n"
    return found


def as_markdown(text: str) -> str:
    """Help as Markdown shows it: examples, which follow a backspace, in a block; no `<word>` taken for a tag."""
    text = re.sub(r"\x08\n((?:.+\n)+)", r"```console\n\1```\n", text)
    parts = _CODE.split(text.rstrip())
    parts[::2] = [re.sub(r"<(?=\w)", r"\\<", part) for part in parts[::2]]
    return "".join(parts) + "\n"


def main() -> None:
    """Writes the pages of the checkout that is the current folder, and removes those of commands that are gone."""
    folder, found = Path("docs/commands"), pages()
    for path in folder.glob("*.md"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        write_whole(folder / name, text)


if __name__ == "__main__":
    main()
