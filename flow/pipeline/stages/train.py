"""train: the trained network to build, taken or made."""

from __future__ import annotations

from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import PACKAGE, code
from flow.pipeline.subject import subject_of


def run(work: Work) -> Result:
    """Puts the network to build into the stage's folder."""
    return subject_of(work.config).prepare(work)


STAGE = Stage(
    "train",
    (),
    (*code("training", "datasets", "network", "bits.py", "keras_env.py"), PACKAGE.parent / "keras_models"),
    lambda config: subject_of(config).settings(),
    run,
)
