"""How far the cost model's LUTs are from those of synthesis, in the builds that are recorded below `results/`.

`calibration.json` is written by `python -m flow.benchmark`, and travels with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flow.files import read_json

FILE = Path(__file__).with_name("calibration.json")
#: layers of fewer LUTs say little about the model: a handful more is a large share of them
LEAST_LUTS = 100


@dataclass(frozen=True)
class CalibrationError:
    """Estimated over measured LUTs.

    Attributes:
        builds: how many there are.
        total: least and greatest, of whole networks.
        layers: least and greatest, of layers with `LEAST_LUTS` or more.
    """

    builds: int
    total: tuple[float, float]
    layers: tuple[float, float]

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"LUTs are the cost model's: in {self.builds} recorded builds {_range(self.total)} off those of synthesis, "
            f"single layers of {LEAST_LUTS} LUTs or more {_range(self.layers)}"
        )


def _range(ends: tuple[float, float]) -> str:
    return " to ".join(f"{ratio - 1:+.0%}" for ratio in ends)


def calibration_error() -> CalibrationError:
    """What is recorded."""
    recorded = read_json(FILE)
    totals = [build["estimate"] / build["measured"] for build in recorded.values()]
    layers = [
        layer["estimate"] / layer["measured"]
        for build in recorded.values()
        for layer in build["layers"].values()
        if layer["measured"] >= LEAST_LUTS
    ]
    return CalibrationError(len(totals), (min(totals), max(totals)), (min(layers), max(layers)))
