"""The golden model: integers over the IR."""

from flow.golden.run import evaluate, layers, run

__all__ = ["evaluate", "layers", "run"]
