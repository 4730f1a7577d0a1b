"""Where the project's own files and its cache lie."""

from __future__ import annotations

import os
from pathlib import Path

from flow.errors import FlowError, unknown

#: folders that stand beside `flow/` in a checkout and inside it, under `_share`, in an installed wheel
SHARED = ("hls_templates", "testbench", "verilog")


def shared(folder: str) -> Path:
    """The absolute path of one of the `SHARED` folders.

    Raises:
        FlowError: the installation lacks it.
    """
    if folder not in SHARED:
        raise unknown("folder", folder, SHARED)
    package = Path(__file__).resolve().parent
    places = (package / "_share" / folder, package.parent / folder)
    for place in places:
        if place.is_dir():
            return place
    raise FlowError(f"the installation is not complete: {folder} is neither at {places[0]} nor at {places[1]}")


def verilog() -> Path:
    """The SystemVerilog components."""
    return shared("verilog")


def hls_templates() -> Path:
    """The C++ headers and Tcl for Vitis."""
    return shared("hls_templates")


def testbench() -> Path:
    """The cocotb benches."""
    return shared("testbench")


def cache() -> Path:
    """The folder of everything that can be computed again: `$FLOW_CACHE`, or `flow` in the user's cache folder.

    The folder is not created here.
    """
    given = os.environ.get("FLOW_CACHE")
    if given:
        return Path(given).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "flow"
