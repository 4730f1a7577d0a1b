"""Finished builds side by side: a table, JSON, CSV, and one HTML page that needs nothing but itself.

runs = load_runs([Path("runs/resnet8-2-cifar10"), Path("runs/resnet8-4-cifar10")])
comparison = compare(runs)
console.print(screen_table(comparison))
write(comparison, Path("comparison"))
"""

from __future__ import annotations

from flow.comparison.compare import Comparison, Failure, compare
from flow.comparison.load import Run, load_run, load_runs
from flow.comparison.table import screen_table
from flow.comparison.write import is_comparison, write

__all__ = ["Comparison", "Failure", "Run", "compare", "is_comparison", "load_run", "load_runs", "screen_table", "write"]
