"""A build that takes no time: says what a real one says, leaves what it is told to, ends as it is told to.

    python fake_build.py ORDERS.json NAME FOLDER

ORDERS.json holds, by name: `status`, `lines` (said on the way), `copy` (a folder that becomes the run's), `seconds`
to wait, `log` (a file that gets a line when the build starts and one when it ends).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    orders, name, folder = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], Path(sys.argv[3])
    order = orders[name]
    with Path(order["log"]).open("a") as log:
        log.write(f"start {name} {os.getpid()}\n")
    for line in order.get("lines", []):
        print(line)
    sys.stdout.flush()
    time.sleep(order.get("seconds", 0))
    if order.get("copy"):
        shutil.copytree(order["copy"], folder, dirs_exist_ok=True)
    with Path(order["log"]).open("a") as log:
        log.write(f"end {name} {os.getpid()}\n")
    if order["status"] < 0:
        os.kill(os.getpid(), signal.Signals(-order["status"]))
    sys.exit(order["status"])


if __name__ == "__main__":
    main()
