"""The columns that the screen and the page share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flow.comparison.compare import RunRow
from flow.report.summary import amount, percent
from flow.tasks import AUC, ERROR, scores_text


@dataclass(frozen=True)
class Column:
    """One column of the table of runs.

    Attributes:
        key: of `RunRow`.
        head: with the unit.
        show: its cell.
        share: key of the share of the chip, drawn as a bar beside the number.
        on_screen: whether a terminal has room for it.
    """

    key: str
    head: str
    show: Callable[[RunRow], str]
    share: str | None = None
    on_screen: bool = True


def _number(key: str, head: str, digits: int | None = None, on_screen: bool = True) -> Column:
    return Column(key, head, lambda row: amount(getattr(row, key), digits), on_screen=on_screen)


def _resource(key: str, head: str) -> Column:
    return Column(key, head, lambda row: amount(getattr(row, key)), share=f"share_{key}")


def _task_text(row: RunRow) -> str:
    """Accuracy, or by their names the figures of a network that names no class."""
    others = {ERROR: row.mean_squared_error, AUC: row.auc}
    if row.accuracy_deployed is not None:
        return percent(row.accuracy_deployed)
    return scores_text({name: value for name, value in others.items() if value is not None})


def _millions(value: int | None) -> str:
    """With a place after the point, and three where that would leave little."""
    return amount(None if value is None else value / 1e6, 1 if value is None or value >= 1e7 else 3)


COLUMNS = (
    Column("weight_bits", "bits (W, A)", lambda row: f"{amount(row.weight_bits)}, {amount(row.activation_bits)}"),
    Column("accuracy_deployed", "accuracy", _task_text),
    Column("exact", "exact (images)", lambda row: f"{'yes' if row.exact else 'NO'} ({amount(row.exact_images)})"),
    _number("interval_cycles", "cycles a frame"),
    _number("frames_per_second", "frames/s", 0),
    _number("first_frame_cycles", "first frame, cycles", on_screen=False),
    Column("bit_operations", "bit operations, million", lambda row: _millions(row.bit_operations)),
    _resource("lut", "LUT"),
    _resource("ff", "FF"),
    _resource("dsp", "DSP"),
    _resource("bram36", "BRAM36"),
    _number("fmax_mhz", "Fmax, MHz", 1),
    Column("fits", "fits", lambda row: {True: "yes", False: "NO", None: "-"}[row.fits]),
    _number("build_seconds", "build, s", 0, on_screen=False),
)
