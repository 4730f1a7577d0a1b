"""Reports as the vendor's tools write them, after the formats of UG1399, UG835 and UG906; the figures are made up."""

from __future__ import annotations

CSYNTH = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<section name = "Vitis HLS Report for 'network'" level="0"><item name = "Date">Fri Nov 21 10:00:00 2025</item></section>
<ReportVersion><Version>2024.1</Version></ReportVersion>
<UserAssignments>
  <unit>ns</unit><ProductFamily>zynq</ProductFamily><Part>xc7z020-clg400-1</Part>
  <TopModelName>network</TopModelName><TargetClockPeriod>10.00</TargetClockPeriod>
  <ClockUncertainty>2.70</ClockUncertainty><FlowTarget>vivado</FlowTarget>
</UserAssignments>
<PerformanceEstimates>
  <PipelineType>dataflow</PipelineType>
  <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>7.250</EstimatedClockPeriod></SummaryOfTimingAnalysis>
  <SummaryOfOverallLatency>
    <unit>clock cycles</unit><Best-caseLatency>1201</Best-caseLatency><Average-caseLatency>1250</Average-caseLatency>
    <Worst-caseLatency>1309</Worst-caseLatency><Interval-min>1001</Interval-min><Interval-max>1025</Interval-max>
  </SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
  <Resources><BRAM_18K>31</BRAM_18K><DSP>12</DSP><FF>15230</FF><LUT>22110</LUT><URAM>0</URAM></Resources>
  <AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF><LUT>53200</LUT></AvailableResources>
</AreaEstimates>
</profile>
"""

COSIM = """
Report time       : Fri Nov 21 11:00:00 CET 2025.
Solution          : solution1.
Simulation tool   : xsim.

+----------+----------+-----------------------------------------------+-----------------------------------------------+
|          |          |             Latency(Clock Cycles)             |              Interval(Clock Cycles)           |
+   RTL    +  Status  +-----------------------------------------------+-----------------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------------+-----------------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      Pass|           1290|           1291|           1295|           1020|           1021|           1022|
+----------+----------+-----------------------------------------------+-----------------------------------------------+
"""

BOX = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2024.1 (lin64) Build 5076996 Wed May 22 18:36:09 MDT 2024
| Date         : Fri Nov 21 12:00:00 2025
| Host         : host running 64-bit Debian GNU/Linux 12
| Command      : {command}
| Design       : tiny_ip
| Device       : {device}
| Speed File   : -1  PRODUCTION 1.12 2019-11-22
| Design State : {state}
---------------------------------------------------------------------------------------------------------------

"""

UTILIZATION = (
    BOX.format(command="report_utilization", device="xc7z020clg400-1", state="Routed")
    + """
Utilization Design Information

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 | 12931 |     0 |          0 |     53200 | 24.31 |
|   LUT as Logic             | 12701 |     0 |          0 |     53200 | 23.87 |
|   LUT as Memory            |   230 |     0 |          0 |     17400 |  1.32 |
|     LUT as Distributed RAM |   100 |     0 |            |           |       |
| Slice Registers            | 14002 |     0 |          0 |    106400 | 13.16 |
|   Register as Flip Flop    | 14002 |     0 |          0 |    106400 | 13.16 |
+----------------------------+-------+-------+------------+-----------+-------+

2. Slice Logic Distribution
---------------------------

+-----------------+-------+-------+------------+-----------+-------+
|    Site Type    |  Used | Fixed | Prohibited | Available | Util% |
+-----------------+-------+-------+------------+-----------+-------+
| Slice           |  4012 |     0 |          0 |     13300 | 30.17 |
| Slice Registers | 99999 |     0 |          0 |    106400 | 93.98 |
+-----------------+-------+-------+------------+-----------+-------+

3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    |  2.5 |     0 |          0 |       140 |  1.79 |
|   RAMB36/FIFO*    |    2 |     0 |          0 |       140 |  1.43 |
|   RAMB18          |    1 |     0 |          0 |       280 |  0.36 |
+-------------------+------+-------+------------+-----------+-------+

4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |    4 |     0 |          0 |       220 |  1.82 |
|   DSP48E1 only |    4 |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+
"""
)

#: an UltraScale+ chip straight from synthesis, by an older Vivado, which has no column Prohibited
UTILIZATION_CLB = (
    BOX.format(command="report_utilization", device="xck26-sfvc784-2LV-c", state="Synthesized")
    + """
1. CLB Logic
------------

+-------------------------+-------+-------+-----------+-------+
|        Site Type        |  Used | Fixed | Available | Util% |
+-------------------------+-------+-------+-----------+-------+
| CLB LUTs*               | 11002 |     0 |    117120 |  9.39 |
|   LUT as Memory         |     0 |     0 |     57600 | <0.01 |
| CLB Registers           | 13001 |     0 |    234240 |  5.55 |
+-------------------------+-------+-------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.

3. BLOCKRAM
-----------

+-------------------+------+-------+-----------+-------+
|     Site Type     | Used | Fixed | Available | Util% |
+-------------------+------+-------+-----------+-------+
| Block RAM Tile    |    2 |     0 |       144 |  1.39 |
| URAM              |    0 |     0 |        64 |  0.00 |
+-------------------+------+-------+-----------+-------+

4. ARITHMETIC
-------------

+-----------+------+-------+-----------+-------+
| Site Type | Used | Fixed | Available | Util% |
+-----------+------+-------+-----------+-------+
| DSPs      |    4 |     0 |      1248 |  0.32 |
+-----------+------+-------+-----------+-------+
"""
)

_SUMMARY = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  \
THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  \
-------------------     --------     --------  ----------------------  --------------------
{values}


{verdict}


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock   Waveform(ns)         Period(ns)      Frequency(MHz)
-----   ------------         ----------      --------------
ap_clk  {{0.000 5.000}}        10.000          100.000


------------------------------------------------------------------------------------------------
| Intra Clock Table
| -----------------
------------------------------------------------------------------------------------------------
"""
_TIMING_BOX = BOX.format(command="report_timing_summary", device="7z020-clg400", state="Routed")
TIMING = _TIMING_BOX + _SUMMARY.format(
    values="      0.812        0.000                      0                41022        0.021        0.000  "
    "                    0                41022        4.020        0.000                       0                17331",
    verdict="All user specified timing constraints are met.",
)
TIMING_FAILED = _TIMING_BOX + _SUMMARY.format(
    values="     -1.250     -310.000                    612                41022        0.021        0.000  "
    "                    0                41022        4.020        0.000                       0                17331",
    verdict="Timing constraints are not met.",
)
TIMING_NO_CLOCK = _TIMING_BOX + _SUMMARY.format(
    values="         NA           NA                     NA                   NA           NA           NA  "
    "                   NA                   NA           NA           NA                      NA                   NA",
    verdict="There are no user specified timing constraints.",
)
