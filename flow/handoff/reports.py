"""Readers of the vendor's reports.

Formats: csynth.xml and the co-simulation report of UG1399, `report_utilization` and `report_timing_summary` of UG835
and UG906. Each reader takes a file's text and raises ValueError, with what it missed, where the text is not of its
kind.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from flow.report.vendor import Cosim, Csynth, Range, Utilization, VendorCells, VendorTiming

#: what a tool writes where it has no number
UNKNOWN = {"", "?", "-", "undef", "na", "x"}


def csynth(text: str) -> Csynth:
    """Vitis HLS' csynth.xml of the top function."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    if root.tag != "profile":
        raise ValueError(f"not a synthesis report of Vitis HLS: the root is <{root.tag}>, expected <profile>")

    def word(path: str, default: str | None = None) -> str:
        found = root.findtext(path)
        if found is None and default is None:
            raise ValueError(f"not a complete synthesis report: no {path}")
        return (found if found is not None else default or "").strip()

    latency, area = "PerformanceEstimates/SummaryOfOverallLatency", "AreaEstimates/Resources"

    def cells(*names: str) -> float:
        return _number(word(f"{area}/{names[0]}", word(f"{area}/{names[-1]}", "0")))

    return Csynth(
        tool=f"Vitis HLS {word('ReportVersion/Version', 'of unknown version')}",
        part=word("UserAssignments/Part"),
        top=word("UserAssignments/TopModelName"),
        target_clock_ns=_number(word("UserAssignments/TargetClockPeriod")),
        estimated_clock_ns=_number(word("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")),
        latency_cycles=_range(word(f"{latency}/Best-caseLatency"), word(f"{latency}/Worst-caseLatency")),
        interval_cycles=_range(word(f"{latency}/Interval-min"), word(f"{latency}/Interval-max")),
        cells=VendorCells(
            lut=_number(word(f"{area}/LUT")),
            ff=_number(word(f"{area}/FF")),
            dsp=cells("DSP", "DSP48E"),
            bram36=_number(word(f"{area}/BRAM_18K")) / 2,
            uram=cells("URAM"),
        ),
    )


def cosim(text: str) -> Cosim:
    """The row of the language that was simulated: status, then latency and interval, each min, avg, max."""
    for line in text.splitlines():
        cells = _cells(line)
        if len(cells) < 8 or cells[0] not in ("Verilog", "VHDL") or cells[1] == "NA":
            continue
        return Cosim(
            language=cells[0],
            passed=cells[1].lower() == "pass",
            latency_cycles=_range(cells[2], cells[4]),
            interval_cycles=_range(cells[5], cells[7]),
        )
    raise ValueError("not a co-simulation report, or nothing was simulated: no row of Verilog or VHDL with a status")


def utilization(text: str) -> Utilization:
    """The rows that count; 7 series says Slice and UltraScale+ says CLB."""
    rows: dict[str, dict[str, str]] = {}
    head: list[str] = []
    for line in text.splitlines():
        cells = _cells(line)
        if "Site Type" in cells and "Used" in cells:
            head = cells
        elif head and len(cells) == len(head):
            row = dict(zip(head, cells))
            rows.setdefault(row["Site Type"].rstrip("*").strip(), row)
        elif not line.startswith(("|", "+")):
            head = []

    def used(*names: str) -> float | None:
        return next((_number(rows[name]["Used"]) for name in names if name in rows), None)

    def needed(*names: str) -> float:
        found = used(*names)
        if found is None:
            raise ValueError(f"not a utilization report, or a hierarchical one: no row '{names[0]}'")
        return found

    return Utilization(
        **_header(text),
        cells=VendorCells(
            lut=needed("Slice LUTs", "CLB LUTs"),
            ff=needed("Slice Registers", "CLB Registers"),
            dsp=needed("DSPs", "DSP Slices"),
            bram36=needed("Block RAM Tile"),
            lutram=used("LUT as Memory"),
            uram=used("URAM"),
        ),
    )


def timing(text: str) -> VendorTiming:
    """The tables Design Timing Summary and Clock Summary."""
    heads, values = _table(text, "Design Timing Summary", "WNS(ns)")
    row = dict(zip(heads, values[0].split())) if values else {}
    if _unknown(row.get("WNS(ns)")):
        raise ValueError("no slack in the Design Timing Summary: is a clock constrained?")
    _, clocks = _table(text, "Clock Summary", "Period(ns)")
    periods = [float(found[1]) for line in clocks if (found := re.search(r"\{[^}]*\}\s+([\d.]+)", line))]
    if not periods:
        raise ValueError("not a timing summary: no clock in the Clock Summary")
    wns = _number(row["WNS(ns)"])
    counts = [row.get(f"{kind} Failing Endpoints") for kind in ("TNS", "THS", "TPWS")]
    failing = [int(_number(count)) for count in counts if not _unknown(count)]
    return VendorTiming(
        **_header(text),
        wns_ns=wns,
        tns_ns=_number(row["TNS(ns)"]),
        whs_ns=None if _unknown(row.get("WHS(ns)")) else _number(row["WHS(ns)"]),
        ths_ns=None if _unknown(row.get("THS(ns)")) else _number(row["THS(ns)"]),
        failing_endpoints=sum(failing),
        period_ns=min(periods),
        fmax_mhz=round(1000 / (periods[0] - wns), 2) if len(periods) == 1 else None,
        met=not any(failing),
    )


def _header(text: str) -> dict[str, str]:
    """Tool, device and state from the box at the top of a Vivado report."""
    lines = dict(re.findall(r"^\|\s*([A-Z][A-Za-z ]*?)\s*:\s*(.*?)\s*\|?$", text, re.MULTILINE))
    if "Tool Version" not in lines or "Device" not in lines:
        raise ValueError("not a report of Vivado: no Tool Version and Device at its top")
    tool = re.sub(r"^Vivado v\.", "Vivado ", lines["Tool Version"]).split(" (")[0]
    return {"tool": tool, "device": lines["Device"], "state": lines.get("Design State", "unknown")}


def _table(text: str, title: str, first: str) -> tuple[list[str], list[str]]:
    """Heads and rows of a table that is aligned by blanks, below the box with its title.

    Heads are one blank apart inside and two or more between.
    """
    _, found, rest = text.partition(f"| {title}")
    lines = rest.splitlines()
    start = next((index for index, line in enumerate(lines) if first in line), None)
    if not found or start is None:
        raise ValueError(f"not a timing summary: no table '{title}'")
    rows = []
    for line in lines[start + 2 :]:
        if not line.strip():
            break
        rows.append(line.strip())
    return re.split(r"\s{2,}", lines[start].strip()), rows


def _cells(line: str) -> list[str]:
    """The cells of a row between bars."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []


def _unknown(word: str | None) -> bool:
    return word is None or word.strip().lower() in UNKNOWN


def _number(word: str) -> float:
    try:
        return float(word.replace(",", ""))
    except ValueError as error:
        raise ValueError(f"'{word}' is not a number") from error


def _range(low: str, high: str) -> Range:
    low, high = (None if _unknown(word) else int(_number(word)) for word in (low, high))
    return Range(low=low, high=high)
