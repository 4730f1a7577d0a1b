"""Amounts of a device's resources: what there is, what is needed, what is left."""

from __future__ import annotations

from dataclasses import dataclass, fields

from flow.boards import Board

#: share of the board that a folding may fill, in LUTs as Yosys counts them: one a function, where the chip can put two
#: small functions into one
UTILIZATION = 0.95


@dataclass(frozen=True)
class Amount:
    """LUTs, flip-flops, DSP blocks and 36-kbit block RAMs (halves are 18-kbit ones)."""

    lut: float = 0
    ff: float = 0
    dsp: float = 0
    bram36: float = 0

    @classmethod
    def of(cls, board: Board) -> Amount:
        """All that a board's chip holds."""
        return cls(board.lut, board.ff, board.dsp, board.bram36)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram36 + other.bram36)

    def __mul__(self, factor: float) -> Amount:
        return Amount(self.lut * factor, self.ff * factor, self.dsp * factor, self.bram36 * factor)

    def fits(self, budget: Amount) -> bool:
        return not self.excess(budget)

    def excess(self, budget: Amount) -> dict[str, tuple[float, float]]:
        """(needed, available) of each resource that does not suffice."""
        pairs = {f.name: (getattr(self, f.name), getattr(budget, f.name)) for f in fields(self)}
        return {name: pair for name, pair in pairs.items() if pair[0] > pair[1]}
