"""What a network may cost, as users write it: ``bytes=40000``, ``bops=200M``, ``luts=30k``, ``cycles=8192``."""

from __future__ import annotations

from dataclasses import dataclass

from flow.errors import FlowError, unknown

KINDS = {
    "bytes": "of weights",
    "bops": "products of one bit by one bit a frame",
    "luts": "LUTs at the cycles between frames that --max-cycles gives",
    "cycles": "cycles between frames on the board",
}
_FACTORS = {"k": 10**3, "m": 10**6, "g": 10**9}


@dataclass(frozen=True)
class Budget:
    """A kind of cost and how much of it there is.

    Attributes:
        kind: a key of `KINDS`.
        amount: in the unit of the kind.
    """

    kind: str
    amount: float

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Reads ``kind=number``; k, M and G behind the number are thousands, millions and billions.

        Raises:
            FlowError: another kind, no number, or none above 0.
        """
        kind, equals, number = text.partition("=")
        if not equals:
            raise FlowError(f"--budget {text}: should be KIND=NUMBER, such as bytes=40k; kinds: {', '.join(KINDS)}")
        if kind not in KINDS:
            raise unknown("kind of budget", kind, KINDS)
        factor = _FACTORS.get(number[-1:].lower(), 1)
        try:
            amount = float(number[:-1] if factor > 1 else number) * factor
        except ValueError:
            raise FlowError(f"--budget {text}: '{number}' is not a number") from None
        if not 0 < amount < float("inf"):
            raise FlowError(f"--budget {text}: must be above 0")
        return cls(kind, amount)

    @property
    def certainty(self) -> str:
        """How well the cost of a network is known, for people."""
        if self.kind in ("bytes", "bops"):
            return f"{self.kind} are counted, and exact"
        from flow.folding.calibration import calibration_error

        return calibration_error().text

    def __str__(self) -> str:
        return f"{self.kind}={self.amount:,.0f}"


def rate(budget: Budget, max_cycles: int) -> list[str]:
    """The options with which `flow build` holds a budget of LUTs or cycles.

    Args:
        max_cycles: cycles between frames that a budget of LUTs is meant at.
    """
    if budget.kind not in ("luts", "cycles"):
        return []
    return ["--max-cycles", str(int(budget.amount) if budget.kind == "cycles" else max_cycles)]
