"""One bit-width against another at equal cost: the question of *One Weight Bitwidth to Rule Them All*.

Chin et al., arXiv 2008.09916: every network is brought to the same size by a width multiplier on its channels, and only
then compared. Here also at equal LUTs and at equal cycles between frames.

from flow.isocost.solve import solve_multiplier
"""
