"""How far each layer is unrolled, what that costs, and how to choose it."""

from flow.folding.budget import Amount
from flow.folding.fold import Arithmetic, Fold, Folding, Memory, Style
from flow.folding.solve import estimate, solve

__all__ = ["Amount", "Arithmetic", "Fold", "Folding", "Memory", "Style", "estimate", "solve"]
