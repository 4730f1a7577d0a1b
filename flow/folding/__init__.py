"""How far each layer is unrolled, what that costs, and how to choose it."""

from flow.folding.budget import Amount
from flow.folding.fold import Fold, Folding, Memory, Style
from flow.folding.solve import estimate, solve

__all__ = ["Amount", "Fold", "Folding", "Memory", "Style", "estimate", "solve"]
