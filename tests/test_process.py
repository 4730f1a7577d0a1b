"""Programs of the flow: found where the caller means, and none outlives the flow, even when that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from flow.tools import process


def test_a_program_given_by_its_path_is_looked_for_from_here(tmp_path: Path, monkeypatch):
    (tmp_path / "else").mkdir()
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    finished = process.run(["./program"], tmp_path / "log", tmp_path / "else")
    assert (finished.status, finished.last_lines()) == (0, str(tmp_path / "else"))


def test_a_killed_flow_leaves_no_program_behind(tmp_path: Path):
    script = """
from pathlib import Path; from concurrent.futures import ThreadPoolExecutor; from flow.tools import process
with ThreadPoolExecutor(1) as pool:
    pool.submit(process.run, ["sh", "-c", "echo $$ > pid.new; mv pid.new pid; exec sleep 60"], Path("log"), Path.cwd())
"""
    flow = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    pid = tmp_path / "pid"
    _until(pid.exists)
    os.kill(flow.pid, signal.SIGKILL)
    flow.wait()
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    _until(lambda: not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z")


def _until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
