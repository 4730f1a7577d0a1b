"""How to install a package in the version that the project asks for."""

from __future__ import annotations

import importlib.metadata

from packaging.requirements import Requirement

DISTRIBUTION = "flow-fpga"


def requirements() -> list[Requirement]:
    """What our own metadata asks for, without the extras.

    Raises:
        PackageNotFoundError: the project is not installed.
    """
    asked = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    return [one for one in asked if not one.marker or one.marker.evaluate({"extra": ""})]


def install(name: str) -> str:
    """The command that installs a package."""
    try:
        specifier = next((str(one.specifier) for one in requirements() if one.name == name), "")
    except importlib.metadata.PackageNotFoundError:
        specifier = ""
    return f"python -m pip install '{name}{specifier}'"
