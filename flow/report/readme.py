"""The table of results in the README, from the reports of finished builds: `python -m flow.report.readme`."""

from __future__ import annotations

import re
from pathlib import Path

from flow.files import write_whole
from flow.report import Report, load
from flow.report.summary import amount, routed_mhz
from flow.report.tables import table

_BEGIN = "<!-- results: written by `python -m flow.report.readme` from results/ -->"
_END = "<!-- end of results -->"
_HEADS = (
    "build", "accuracy or other figure, deployed (samples)", "differing integers of Keras, C, RTL (samples)",
    "cycles between frames", "frames a second at the target clock", "LUT", "FF", "DSP", "BRAM36", "chip",
    "Fmax, slowest module",
)  # fmt: skip


def results_table(folder: Path) -> str:
    """A row for each `report.json` in a folder of `folder`, named by it."""
    paths = sorted(folder.glob("*/report.json"))
    rows = [_row(path.parent.name, load(path)) for path in paths]
    return table(_HEADS, rows) if rows else "No build is recorded yet."


def updated(text: str, folder: Path) -> str:
    """`text` of a README with the table between its two marks made anew.

    Raises:
        ValueError: the marks are not there.
    """
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"README: the marks '{_BEGIN}' and '{_END}' are missing")
    between = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    return between.sub(lambda _: f"{_BEGIN}\n\n{results_table(folder)}\n\n{_END}", text)


def _row(name: str, report: Report) -> tuple[str, ...]:
    exact, total, budget = report.exact, report.resources.total, report.resources.budget
    compared = (
        (exact.golden_vs_keras, exact.keras_images),
        (exact.golden_vs_csim, exact.csim_images),
        (exact.golden_vs_rtl, exact.rtl_images),
    )
    cells = [
        amount(None) if total is None else f"{amount(used)} of {amount(have)}"
        for used, have in (
            (total and total.luts_used, budget.lut),
            (total and total.ff, budget.ff),
            (total and total.dsp, budget.dsp),
            (total and total.bram36, budget.bram36),
        )
    ]
    return (
        name,
        f"{report.deployed_text or amount(None)} ({report.dataset.images:,})",
        ", ".join(f"{amount(differing)} ({amount(images)})" for differing, images in compared),
        amount(report.latency.interval_cycles),
        f"{amount(report.frames_per_second, 0)} at {report.latency.clock_mhz:g} MHz",
        *cells,
        report.resources.device,
        routed_mhz(report),
    )


def main() -> None:
    """Rewrites README.md in the current folder, which is the checkout."""
    readme = Path("README.md")
    write_whole(readme, updated(readme.read_text(), Path("results")))


if __name__ == "__main__":
    main()
