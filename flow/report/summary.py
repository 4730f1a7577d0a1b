"""What a report comes to: the rows that the Markdown file and the screen share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flow.quantizers import UNIFORM
from flow.report.schema import Report
from flow.tasks import ACCURACY, metric_text

if TYPE_CHECKING:
    from rich.table import Table

DASH = "-"
_RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "lutram": "LUT as memory"}


def amount(value: float | None, digits: int | None = None) -> str:
    """A number with thousands separated; a dash where there is none."""
    if value is None:
        return DASH
    if digits is None:
        digits = 0 if float(value).is_integer() else 1
    return f"{value:,.{digits}f}"


def verdict(report: Report) -> str:
    """One sentence: exact or not, fits or not."""
    exact = report.exact
    if report.is_exact:
        said = f"Keras, C simulation and RTL equal the golden model in every integer of {amount(exact.images)} images"
    else:
        named = {"Keras": exact.golden_vs_keras, "C simulation": exact.golden_vs_csim, "RTL": exact.golden_vs_rtl}
        wrong = [f"{name} differs in {amount(count)} integers" for name, count in named.items() if count]
        missing = [f"{name} was not compared" for name, count in named.items() if count is None]
        said = "; ".join(wrong + missing)
    return f"{said}. {_fit(report)}"


def _fit(report: Report) -> str:
    resources = report.resources
    if resources.total is None:
        return "Whether it fits the chip was not measured."
    excess = resources.total.excess(resources.budget)
    if not excess:
        return f"By synthesis it fits {resources.device}."
    lacks = ", ".join(f"{_RESOURCES[key]} {amount(need)} of {amount(have)}" for key, (need, have) in excess.items())
    return f"It does not fit {resources.device}: {lacks}."


def summary_rows(report: Report) -> list[tuple[str, str]]:
    """Names and values, the most important first."""
    exact, latency = report.exact, report.latency
    differing = (exact.golden_vs_keras, exact.golden_vs_csim, exact.golden_vs_rtl)
    images = (exact.keras_images, exact.csim_images, exact.rtl_images)
    fps = report.frames_per_second
    first = latency.first_frame_cycles
    first_ms = None if first is None else first / latency.clock_mhz / 1e3
    slowest = report.slowest_module
    widest = "" if report.runtime is None else f", all layers at {report.runtime.widths[-1]} bits"
    return [
        ("output", "logits" if report.output == "logits" else "argmax: the index of the largest logit"),
        ("bits", f"weights {_widths(report.bits.weights)}, activations {_widths(report.bits.activations)}"),
        *_quantizer_rows(report),
        *_runtime_rows(report),
        *_adder_rows(report),
        (
            f"operations a frame{widest}",
            f"{amount(report.macs)} multiply-accumulates, {amount(report.bit_operations)} of one bit by one bit",
        ),
        ("test images", f"{report.dataset.images:,} ({report.dataset.source})"),
        *_task_rows(report),
        ("differing integers: Keras, C simulation, RTL", ", ".join(map(amount, differing))),
        ("images compared: Keras, C simulation, RTL", ", ".join(map(amount, images))),
        ("images a second in RTL simulation", amount(report.rates.get("rtl_images_per_second"), 1)),
        (f"cycles between frames{widest}", amount(latency.interval_cycles)),
        (f"cycles of the first frame{widest}", amount(first)),
        (
            f"at the target clock of {latency.clock_mhz:g} MHz{widest}",
            f"{amount(fps, 0)} frames a second, {amount(first_ms, 3)} ms for the first",
        ),
        ("slowest module, routed on ECP5", routed_mhz(report) + (f" ({slowest})" if slowest else "")),
    ]


def routed_mhz(report: Report) -> str:
    """Fmax of the slowest module with its unit, and of how many it is if not of all; a dash where none was routed."""
    timing = report.timing
    if timing.fmax_mhz is None:
        return DASH
    part = "" if timing.routed == len(timing.modules) else f", {timing.routed} of {len(timing.modules)} modules"
    return f"{amount(timing.fmax_mhz, 1)} MHz{part}"


def _quantizer_rows(report: Report) -> list[tuple[str, str]]:
    """Which system quantized the network, and what its weight codes cost; nothing where all is uniform."""
    rows = [] if report.quantizer == UNIFORM else [("quantizer", report.quantizer)]
    codes = report.odd_codes
    if codes is not None:
        told = f"{codes.price:+.1%} LUT in the {len(codes.layers)} layers with them or their sums, each alone"
        rows.append(
            (
                "price of odd weight codes over uniform, equal bits and folding",
                f"{told} ({amount(codes.lut)} against {amount(codes.uniform_lut)})",
            )
        )
    return rows


def _runtime_rows(report: Report) -> list[tuple[str, str]]:
    """What each frame can choose and what that brings; nothing where it cannot."""
    runtime = report.runtime
    if runtime is None:
        return []
    wide = [runtime.at(width) for width in runtime.widths]
    listed, layers = ", ".join(map(str, runtime.widths)), f"{len(runtime.layers)} layers"
    rows = [
        ("widths that each frame chooses", f"{listed} bits in each of {layers}: {', '.join(runtime.layers)}"),
        (f"cycles between frames, all layers at {listed} bits", ", ".join(amount(one.interval_cycles) for one in wide)),
    ]
    if runtime.mixed_deployed is not None:
        scores = ", ".join(figure(runtime.metric, one.deployed) for one in wide)
        mixed = figure(runtime.metric, runtime.mixed_deployed)
        rows.append((f"{runtime.metric}, deployed, all layers at {listed} bits", scores))
        rows.append((f"{runtime.metric}, deployed, {runtime.compared} configurations in turn", mixed))
    if runtime.mixed_rtl is not None:
        rtl = f"{figure(runtime.metric, runtime.mixed_rtl)} of {amount(report.exact.rtl_images)} images"
        rows.append((f"{runtime.metric}, RTL, {runtime.compared} configurations in turn", rtl))
    return rows


def _adder_rows(report: Report) -> list[tuple[str, str]]:
    """Which layers are graphs of adders; nothing where none is."""
    names = [name for name, fold in report.folding.items() if fold.arithmetic == "adders"]
    found_by = f"graphs of adders, found by da4ml {report.versions.get('da4ml', '')}".strip()
    return [(f"layers as {found_by}", ", ".join(names))] if names else []


def _task_rows(report: Report) -> list[tuple[str, str]]:
    """How well the network does its task: accuracy, unless the task has other figures."""
    figures = report.quality or {ACCURACY: report.accuracy}
    rows = []
    if report.runtime is not None:
        widest = f"all layers at {report.runtime.widths[-1]} bits"
        return [(f"{name}, trained, {widest}", figure(name, found.trained)) for name, found in figures.items()]
    for name, found in figures.items():
        rows.append((f"{name}, trained", figure(name, found.trained)))
        rows.append((f"{name}, deployed", figure(name, found.deployed)))
        rows.append((f"{name}, RTL", f"{figure(name, found.rtl)} of {amount(report.exact.rtl_images)} images"))
    return rows


def figure(name: str, value: float | None) -> str:
    """One figure of `flow.tasks` with its unit; a dash where there is none."""
    return DASH if value is None else metric_text(name, value)


def resource_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """Name, used, on the chip, share, of each resource."""
    total, budget = report.resources.total, report.resources.budget
    rows = []
    for key, name in _RESOURCES.items():
        have = getattr(budget, key)
        used = None if total is None else total.luts_used if key == "lut" else getattr(total, key)
        share = DASH if used is None or not have else f"{used / have:.1%}"
        rows.append((name, amount(used), amount(have), share))
    return rows


def closing_table(report: Report) -> Table:
    """The one table that a build ends with."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False, highlight=False, title=verdict(report))
    table.title_justify = "left"
    table.title_style = "bold green" if report.is_exact and report.resources.fits is not False else "bold red"
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in summary_rows(report):
        table.add_row(name, value)
    for name, used, have, share in resource_rows(report):
        table.add_row(name, f"{used} of {have} ({share})")
    return table


def percent(value: float | None) -> str:
    """A part of 1 in percent; a dash where there is none."""
    return DASH if value is None else f"{value:.2%}"


def usual_width(bits: Mapping[str, int]) -> int | None:
    """The most frequent of the widths, the smallest of several; None where there are none."""
    widths = list(bits.values())
    return max(sorted(set(widths)), key=widths.count) if widths else None


def _widths(bits: dict[str, int]) -> str:
    """All widths that occur, with the layers that differ from the most frequent one."""
    if not bits:
        return DASH
    usual = usual_width(bits)
    others = [f"{name} {width}" for name, width in bits.items() if width != usual]
    return f"{usual}" + (f" (but {', '.join(others)})" if others else "")
