# Out-of-context synthesis and implementation of the IP block, with reports.
#
#   vivado -mode batch -source tcl/implement.tcl

set root [file normalize [file join [file dirname [info script]] ..]]
source [file join $root tcl settings.tcl]
file mkdir [file join $root build] [file join $root reports]
# memory files are named relative to the folder that the tool works in
cd [file join $root rtl]

read_verilog -sv [lsort [glob *.sv]]
read_verilog ${ip}.v
read_xdc -mode out_of_context [file join $root constraints clock.xdc]

synth_design -top $ip -part $part -mode out_of_context
write_checkpoint -force [file join $root build synthesized.dcp]
report_utilization -file [file join $root reports utilization_synthesized.rpt]
report_utilization -hierarchical -file [file join $root reports hierarchy.rpt]

opt_design
place_design
phys_opt_design
route_design
write_checkpoint -force [file join $root build routed.dcp]
report_utilization -file [file join $root reports utilization_routed.rpt]
report_timing_summary -file [file join $root reports timing_summary_routed.rpt]
report_route_status -file [file join $root reports route_status.rpt]
report_power -file [file join $root reports power.rpt]
