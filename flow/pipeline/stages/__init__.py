"""The stages, one file each, in the order in which a build runs them."""

from flow.pipeline.stages import convert, csim, fold, report, rtl, simulate, synthesize, train

STAGES = (
    train.STAGE, fold.STAGE, convert.STAGE, csim.STAGE, rtl.STAGE, simulate.STAGE, synthesize.STAGE, report.STAGE,
)  # fmt: skip
