"""What the chip vendor's tools found, where their reports were collected."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VendorCells(_Part):
    """Counted by the vendor: `lut` are all LUTs, those used as memory among them; None where a report lacks a kind."""

    lut: float
    ff: float
    dsp: float
    bram36: float
    lutram: float | None = None
    uram: float | None = None


class Range(_Part):
    """Cycles; None where the tool could not tell."""

    low: int | None
    high: int | None


class Csynth(_Part):
    """Synthesis of the C++ by Vitis HLS: estimates, before logic synthesis. Clocks in ns."""

    tool: str
    part: str
    top: str
    target_clock_ns: float
    estimated_clock_ns: float
    latency_cycles: Range
    interval_cycles: Range
    cells: VendorCells


class Cosim(_Part):
    """Co-simulation of the C++ and its RTL: whether all results were equal, measured cycles."""

    language: str
    passed: bool
    latency_cycles: Range
    interval_cycles: Range


class Utilization(_Part):
    """Cells of the RTL by Vivado; `state` is how far the design had come, as in "Routed"."""

    tool: str
    device: str
    state: str
    cells: VendorCells


class VendorTiming(_Part):
    """Vivado's timing analysis, of all clocks together: worst and total negative slack of setup and hold, in ns.

    Attributes:
        period_ns: of the fastest clock.
        fmax_mhz: 1000 / (period_ns - wns_ns); None with more than one clock.
        met: whether all constraints are.
    """

    tool: str
    device: str
    state: str
    wns_ns: float
    tns_ns: float
    whs_ns: float | None
    ths_ns: float | None
    failing_endpoints: int
    period_ns: float
    fmax_mhz: float | None
    met: bool


class Vendor(_Part):
    """All four; None for a report that was not collected."""

    csynth: Csynth | None = None
    cosim: Cosim | None = None
    utilization: Utilization | None = None
    timing: VendorTiming | None = None
