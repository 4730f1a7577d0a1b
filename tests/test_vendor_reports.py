"""Readers of the vendor's reports, on reports after the documented formats; report.md shows both sides."""

from __future__ import annotations

import pytest
import vendor_reports as texts
from test_report import PLAIN

from flow.handoff import reports
from flow.report import check
from flow.report.markdown import markdown


def test_csynth():
    found = reports.csynth(texts.CSYNTH)
    assert (found.tool, found.part, found.top) == ("Vitis HLS 2024.1", "xc7z020-clg400-1", "network")
    assert (found.target_clock_ns, found.estimated_clock_ns) == (10.0, 7.25)
    assert (found.latency_cycles.low, found.latency_cycles.high) == (1201, 1309)
    assert (found.interval_cycles.low, found.interval_cycles.high) == (1001, 1025)
    assert found.cells.model_dump() == {
        "lut": 22110, "ff": 15230, "dsp": 12, "bram36": 15.5, "lutram": None, "uram": 0,
    }  # fmt: skip


def test_csynth_of_older_tools_and_unknown_latency():
    text = texts.CSYNTH.replace("DSP>", "DSP48E>").replace(">1309<", ">undef<").replace("<URAM>0</URAM>", "")
    found = reports.csynth(text)
    assert found.cells.dsp == 12 and found.cells.uram == 0
    assert found.latency_cycles.high is None


def test_cosim():
    found = reports.cosim(texts.COSIM)
    assert found.language == "Verilog" and found.passed
    assert (found.latency_cycles.low, found.latency_cycles.high) == (1290, 1295)
    assert (found.interval_cycles.low, found.interval_cycles.high) == (1020, 1022)
    assert not reports.cosim(texts.COSIM.replace("Pass", "Fail")).passed
    interval = "1020|           1021|           1022"
    one = reports.cosim(texts.COSIM.replace(interval, "NA|             NA|             NA"))
    assert one.interval_cycles.high is None


def test_utilization_of_7_series():
    found = reports.utilization(texts.UTILIZATION)
    assert (found.tool, found.device, found.state) == ("Vivado 2024.1", "xc7z020clg400-1", "Routed")
    assert found.cells.model_dump() == {
        "lut": 12931, "ff": 14002, "dsp": 4, "bram36": 2.5, "lutram": 230, "uram": None,
    }  # fmt: skip


def test_utilization_of_ultrascale_and_older_tools():
    found = reports.utilization(texts.UTILIZATION_CLB)
    assert found.state == "Synthesized"
    assert found.cells.model_dump() == {"lut": 11002, "ff": 13001, "dsp": 4, "bram36": 2, "lutram": 0, "uram": 0}


def test_timing_that_is_met():
    found = reports.timing(texts.TIMING)
    assert (found.wns_ns, found.tns_ns, found.whs_ns, found.ths_ns) == (0.812, 0.0, 0.021, 0.0)
    assert found.met and found.failing_endpoints == 0 and found.period_ns == 10.0
    assert found.fmax_mhz == round(1000 / 9.188, 2)


def test_timing_that_is_not_met():
    found = reports.timing(texts.TIMING_FAILED)
    assert not found.met and found.failing_endpoints == 612
    assert found.fmax_mhz == round(1000 / 11.25, 2)


def test_two_clocks_have_no_common_fmax():
    row = "ap_clk  {0.000 5.000}        10.000          100.000"
    found = reports.timing(texts.TIMING.replace(row, f"{row}\n  other {{0.000 2.000}}  4.000  250.000"))
    assert found.period_ns == 4.0 and found.fmax_mhz is None


@pytest.mark.parametrize(
    "parse, text, message",
    [
        (reports.csynth, texts.COSIM, "not XML"),
        (reports.csynth, "<a/>", "the root is <a>, expected <profile>"),
        (reports.csynth, texts.CSYNTH.replace("EstimatedClockPeriod", "x"), "no PerformanceEstimates/SummaryOf"),
        (reports.csynth, texts.CSYNTH.replace(">22110<", ">many<"), "'many' is not a number"),
        (reports.cosim, texts.UTILIZATION, "not a co-simulation report"),
        (reports.cosim, texts.COSIM.replace("Pass", "  NA"), "nothing was simulated"),
        (reports.utilization, texts.TIMING, "no row 'Slice LUTs'"),
        (reports.utilization, texts.UTILIZATION.replace("| Tool", "| Toll"), "no Tool Version"),
        (reports.timing, texts.UTILIZATION, "no table 'Design Timing Summary'"),
        (reports.timing, texts.TIMING_NO_CLOCK, "is a clock constrained?"),
        (reports.timing, "", "no table"),
    ],
)
def test_what_is_no_report_says_why(parse, text, message):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_the_report_shows_both_sides():
    vendor = {
        "csynth": reports.csynth(texts.CSYNTH).model_dump(),
        "cosim": reports.cosim(texts.COSIM).model_dump(),
        "utilization": reports.utilization(texts.UTILIZATION).model_dump(),
        "timing": reports.timing(texts.TIMING_FAILED).model_dump(),
    }
    text = markdown(check(PLAIN | {"vendor": vendor}), {})
    assert "|  | open tools (Yosys 0.70) | Vivado 2024.1, routed, xc7z020clg400-1 | Vitis HLS 2024.1, " in text
    assert "| LUT | 944 | 12,931 | 22,110 |" in text
    assert "| BRAM36 | 1.5 | 2.5 | 15.5 |" in text
    assert "| Fmax, MHz | 121.5 | 88.9 | 137.9 (estimate) |" in text
    assert "NOT met at 10 ns: slack -1.25 ns, 612 endpoints" in text
    assert "| cycles between frames | 576 | - | 1,020 to 1,022 (co-simulation) |" in text
    assert "| results equal in simulation | yes | - | yes |" in text


def test_without_vendor_there_is_no_such_section():
    assert "Vendor" not in markdown(check(PLAIN), {})
