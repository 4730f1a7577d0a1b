"""What the documentation says is what happens: its pages are those of the commands, and its tutorial runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pylibfst
import pytest
import typer
from typer.main import get_command

from flow.cli.main import app
from flow.cli.pages import as_markdown, pages
from flow.pipeline.build import stage_number
from flow.pipeline.config import BuildConfig, make_config
from flow.sweep.plan import parse_bits

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text()
COMMANDS = re.findall(r"(?m)^    (flow .*)$", (DOCS.parent / "README.md").read_text())
COMMANDS += re.findall(r"(?m)^(flow .*)$", TUTORIAL)
_BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n")
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def test_the_pages_are_those_of_the_commands():
    written = {path.name: path.read_text() for path in (DOCS / "commands").glob("*.md")}
    assert written == pages(), "python -m flow.cli.pages writes them again"


def test_examples_stay_lines_and_words_in_brackets_stay_words():
    assert as_markdown("See <out>/a, `<out>`.\n\n\b\nflow a <b>\nflow c\n\n* `-x <y>`: Z <z>.\n\n") == (
        "See \\<out>/a, `<out>`.\n\n```console\nflow a <b>\nflow c\n```\n\n* `-x <y>`: Z \\<z>.\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_readme_and_tutorial_are_understood(command):
    """Their options exist, and their values are read; nothing is run."""
    _, name, *words = [word for word in shlex.split(command, comments=True) if word != "..."]
    group = get_command(app)
    parent = typer.Context(group, info_name="flow")
    given = group.get_command(parent, name).make_context(name, words, parent=parent).params
    if name in ("build", "sweep"):
        options = {key: value for key, value in given.items() if key in BuildConfig.model_fields}
        widths = parse_bits(options.pop("bits")) if name == "sweep" else [options.pop("bits")]
        for bits in widths:
            make_config(None, given["settings"] or [], options | {"bits": bits})
    for stage in filter(None, (given.get("first"), given.get("last"))):
        stage_number(stage)


@pytest.mark.parametrize("page", sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")))
def test_links_lead_somewhere(page):
    path = DOCS / page
    assert all((path.parent / link).exists() for link in _LINK.findall(path.read_text()))


@pytest.mark.long
def test_the_tutorial_runs(tmp_path):
    """Each python block is a file, named in its first line; each bash block is run, in order."""
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    ran = []
    for language, text in _BLOCK.findall(TUTORIAL):
        if language == "python":
            (tmp_path / _FILE.match(text)[1]).write_text(text)
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        ran.append(done.stdout)
    said = "\n".join(ran)
    assert "differing integers: 0 0 0" in said
    percent = float(re.search(r"([\d.]+)% of the test digits", said)[1])
    assert percent > 90
    changes = changes_in(tmp_path / "runs" / "digits" / "simulate" / "waves.fst")
    assert changes["digits_top.ap_clk"] > 10_000 and changes["digits_top.m_axis_tdata [15:0]"] >= 40


def changes_in(waves: Path) -> dict[str, int]:
    """How often each signal of an FST file changes, by its name, as GTKWave's library reads it."""
    opened = pylibfst.lib.fstReaderOpen(str(waves).encode())
    assert opened != pylibfst.ffi.NULL, f"{waves} is not an FST file"
    _, signals = pylibfst.get_scopes_signals2(opened)
    handles = Counter()
    pylibfst.lib.fstReaderSetFacProcessMaskAll(opened)
    pylibfst.fstReaderIterBlocks(opened, lambda data, time, handle, value: handles.update([handle]))
    pylibfst.lib.fstReaderClose(opened)
    return {name: handles[signal.handle] for name, signal in signals.by_name.items()}
