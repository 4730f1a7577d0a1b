"""A real browser without a window: what it makes of a page, what it complains about, what it would fetch.

A machine without a browser skips the tests that need one, except where `CI` is set: there a missing one is a failure.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_S = 120
#: how the browser's own log calls a request that no page asked for
OWN_REQUEST = "not an origin"


@dataclass(frozen=True)
class Shown:
    """What came of a page.

    Attributes:
        dom: the document after it was loaded.
        console: messages on the console: errors of scripts, refused and missing resources.
        requests: addresses that the page asked the network for.
    """

    dom: str
    console: list[str]
    requests: list[str]


def program() -> str:
    """The browser; skips the test without one, or fails it where CI is set."""
    found = next((place for name in NAMES if (place := shutil.which(name))), None)
    if found is None:
        reason = f"no browser on PATH: one of {', '.join(NAMES)} is needed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def show(page: Path, *options: str) -> Shown:
    """Opens a file; the browser can reach no other machine."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "net.json"
        command = [
            program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--no-first-run", "--hide-scrollbars", f"--user-data-dir={folder}/profile",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", f"--log-net-log={log}",
            "--virtual-time-budget=4000", *options, "--dump-dom", page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        return Shown(done.stdout, re.findall(r":CONSOLE[:(].*", done.stderr), _requests(log))


def _requests(log: Path) -> list[str]:
    text = log.read_text(errors="replace").rstrip().rstrip(",")
    try:
        plain = json.loads(text)
    except ValueError:  # the browser ended before it closed the list
        plain = json.loads(text + "]}")
    start = plain["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [event["params"] for event in plain["events"] if event["type"] == start and "url" in event.get("params", {})]
    asked = [job["url"] for job in jobs if job.get("initiator") != OWN_REQUEST]
    return [address for address in asked if not address.startswith(("file:", "data:"))]


def measure(page: Path, script: str, width_px: int, folder: Path, *options: str) -> Any:
    """Runs JavaScript beside a page in a frame of some width, and returns what it gives.

    Args:
        script: the body of a function of `doc` and `win`, the page's; what it returns goes through JSON.
    """
    harness = folder / f"harness-{width_px}.html"
    source = html.escape(page.read_text(), quote=True)
    harness.write_text(f"""<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" style="width:{width_px}px;height:3000px;border:0" srcdoc="{source}"></iframe>
<pre id="measured"></pre>
<script>
document.getElementById("frame").addEventListener("load", (event) => {{
  const win = event.target.contentWindow, doc = event.target.contentDocument;
  let found;
  try {{ found = (() => {{ {script} }})(); }} catch (error) {{ found = String(error); }}
  document.getElementById("measured").textContent = JSON.stringify(found);
}});
</script>""")
    shown = show(harness, "--window-size=1600,3000", *options)
    (text,) = re.findall(r'<pre id="measured">(.*?)</pre>', shown.dom, re.DOTALL)
    return json.loads(html.unescape(text))
