"""Constant matrices as graphs of adders: distributed arithmetic for layers that are not folded at all.

    from flow.adders import available, solve
    graph = solve(weights)          # needs the package da4ml, an optional extra

Every product by a constant is a sum of shifted inputs, and sums that several outputs need are made once.
"""

from flow.adders.graph import Adder, AdderGraph, Result
from flow.adders.solve import EXTRA, MAX_WEIGHTS, available, solve

__all__ = ["EXTRA", "MAX_WEIGHTS", "Adder", "AdderGraph", "Result", "available", "solve"]
