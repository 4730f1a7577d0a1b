"""The vendor's figures beside those of the open tools, in Markdown."""

from __future__ import annotations

from flow.report.schema import Report
from flow.report.summary import DASH, amount
from flow.report.tables import table
from flow.report.vendor import Range, Vendor, VendorCells

_TEXT = (
    "Yosys and Vivado count the same RTL, Vivado with the registers of the IP block; Vitis HLS estimates its own RTL, "
    "from the C++ of the same network. LUTs include those used as memory. Fmax of the open tools is that of the "
    "slowest module on an ECP5, Vivado's is that of the whole."
)


def vendor_section(report: Report) -> list[str]:
    """Head, text and table; nothing where no report of the vendor was collected."""
    vendor = report.vendor
    if vendor is None:
        return []
    hls, cells, timing = vendor.csynth, vendor.utilization, vendor.timing
    heads = (
        "",
        f"open tools ({report.resources.tool or 'not synthesized'})",
        f"{cells.tool}, {cells.state.lower()}, {cells.device}" if cells else "Vivado",
        f"{hls.tool}, {hls.part}" if hls else "Vitis HLS",
    )
    rows = [
        *_cell_rows(report, vendor),
        ("Fmax, MHz", amount(report.timing.fmax_mhz, 1), amount(timing and timing.fmax_mhz, 1), _hls_mhz(vendor)),
        ("clock constraints", DASH, _met(vendor), DASH),
        (
            "cycles between frames",
            amount(report.latency.interval_cycles),
            DASH,
            _measured(vendor.cosim and vendor.cosim.interval_cycles, hls and hls.interval_cycles),
        ),
        (
            "cycles of a frame",
            amount(report.latency.first_frame_cycles),
            DASH,
            _measured(vendor.cosim and vendor.cosim.latency_cycles, hls and hls.latency_cycles),
        ),
        ("results equal in simulation", "yes" if report.is_exact else "no", DASH, _passed(vendor)),
    ]
    return ["## Vendor's tools", _TEXT, table(heads, rows, right=(1, 2, 3))]


def _cell_rows(report: Report, vendor: Vendor) -> list[tuple[str, str, str, str]]:
    total = report.resources.total
    ours = total and VendorCells(
        lut=total.luts_used, ff=total.ff, dsp=total.dsp, bram36=total.bram36, lutram=total.lutram
    )
    columns = (ours, vendor.utilization and vendor.utilization.cells, vendor.csynth and vendor.csynth.cells)
    names = {"lut": "LUT", "lutram": "of them as memory", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}
    return [(name, *(amount(cells and getattr(cells, key)) for cells in columns)) for key, name in names.items()]


def _hls_mhz(vendor: Vendor) -> str:
    return DASH if vendor.csynth is None else f"{1000 / vendor.csynth.estimated_clock_ns:,.1f} (estimate)"


def _met(vendor: Vendor) -> str:
    timing = vendor.timing
    if timing is None:
        return DASH
    if timing.met:
        return f"met at {timing.period_ns:g} ns, slack {timing.wns_ns:g} ns"
    return f"NOT met at {timing.period_ns:g} ns: slack {timing.wns_ns:g} ns, {timing.failing_endpoints:,} endpoints"


def _measured(cosim: Range | None, estimate: Range | None) -> str:
    """Co-simulation where it told, else the estimate of synthesis."""
    for found, what in ((cosim, "co-simulation"), (estimate, "estimate")):
        if found is not None and found.high is not None:
            low = amount(found.low)
            return f"{low if found.low == found.high else f'{low} to {amount(found.high)}'} ({what})"
    return DASH


def _passed(vendor: Vendor) -> str:
    return DASH if vendor.cosim is None else "yes" if vendor.cosim.passed else "NO"
