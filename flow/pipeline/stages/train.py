"""train: the trained network to build, taken or made."""

from __future__ import annotations

from flow.pipeline.code import Code
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.subject import subject_of


def run(work: Work) -> Result:
    """Puts the network to build into the stage's folder."""
    return subject_of(work.config).prepare(work)


STAGE = Stage(
    "train",
    (),
    Code(
        __name__,
        # a file's network is copied here, and read and judged later
        apart=("flow.fold", "flow.folding", "flow.ir", "flow.network", "flow.twin"),
        tools=("tensorflow", "tf-keras", "qkeras", "scikit-learn"),
    ),
    lambda config: subject_of(config).settings(),
    run,
)
