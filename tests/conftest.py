"""Tests import their helpers by name; what several files start from is a fixture."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# no test downloads anything or waits for a network; those that are about it take this away
os.environ["FLOW_OFFLINE"] = "1"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of a finished build."""
    import finished_build

    return finished_build.make(tmp_path_factory.mktemp("handoff") / "run")


@pytest.fixture(scope="session")
def real_images():
    """CIFAR-10. Where it is not there, tests that need it are skipped and say so; where it is damaged they fail."""
    from flow.datasets import cifar10, load

    if cifar10.batches_in(cifar10.places(None)) is None:
        pytest.skip(f"not run: CIFAR-10 is not in {cifar10.missing(None)}")
    return load("cifar10", download=False)


@pytest.fixture(scope="module")
def handed(made, tmp_path_factory) -> dict[str, Path]:
    """Both hand-offs, moved after they were written."""
    from flow import handoff

    places = {}
    for target in handoff.TARGETS:
        place = tmp_path_factory.mktemp(target)
        handoff.write(handoff.finished(made), target, place / "written")
        places[target] = (place / "written").rename(place / "moved")
    return places
