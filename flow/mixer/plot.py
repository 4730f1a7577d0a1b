"""Accuracy against average bits."""

from __future__ import annotations

from flow.mixer.curve import Curve
from flow.report.figure import blank, svg
from flow.tasks import ACCURACY


def curve_plot(curve: Curve) -> str:
    """SVG: every sample, mean, best and worst of each bin, network-wide widths, individually trained networks."""
    figure = blank(6.4, 4.2)
    axes = figure.add_subplot()
    factor = 100 if curve.metric == ACCURACY else 1
    random = [sample for sample in curve.samples if not sample.network_wide]
    if random:
        axes.plot(
            [s.average_bits for s in random], [factor * s.score for s in random], ".", color="#9db8d2", markersize=4,
            label=f"{len(random)} layer-wise configurations",
        )  # fmt: skip
        bins = curve.summary()["bins"]
        middles = [row["average_bits"] for row in bins]
        axes.plot(middles, [factor * row["mean"] for row in bins], "-", color="#1f4e79", label="their mean")
        for what, style in (("best", "--"), ("worst", ":")):
            values = [factor * row[what] for row in bins]
            axes.plot(middles, values, style, color="#1f4e79", linewidth=1, label=what)
    wide = sorted((s.average_bits, factor * s.score) for s in curve.samples if s.network_wide)
    if wide:
        axes.plot(*zip(*wide, strict=True), "o-", color="#b03a2e", linewidth=0.8, label="one width for all layers")
    if curve.points:
        bits, scores = zip(*((point.bits, factor * point.score) for point in curve.points), strict=True)
        axes.plot(bits, scores, "s", color="#555555", markerfacecolor="none", label="trained for one width alone")
    axes.set_xticks(range(min(curve.widths), max(curve.widths) + 1))
    axes.set_xlabel("average bits of the layers that can change")
    unit = f"{curve.metric} on {curve.test_images:,} test samples"
    axes.set_ylabel(f"{unit}, %" if factor == 100 else unit)
    axes.grid(axis="y", linewidth=0.4)
    if curve.samples or curve.points:
        axes.legend(frameon=False, fontsize=8)
    return svg(figure)
