# C simulation, synthesis, co-simulation and export with Vitis HLS; both simulations compare every integer with
# golden's and fail if one differs.
#
#   vitis-run --mode hls --tcl run.tcl         (Vitis 2024.1 or later; before that, vitis_hls -f run.tcl)
#
# The environment variable FLOW_STEPS selects steps, as in "csim csynth"; all four without it.

set root [file normalize [file dirname [info script]]]
cd $root
source [file join $root settings.tcl]

set known {csim csynth cosim export}
set steps $known
if {[info exists ::env(FLOW_STEPS)] && [string trim $::env(FLOW_STEPS)] ne ""} {
    set steps [split [string trim $::env(FLOW_STEPS)]]
}
foreach step $steps {
    if {$step ni $known} {
        error "unknown step '$step': known: [join $known {, }]"
    }
}

# The main program of csim_main.cpp: images, outputs, what the outputs must be.
proc arguments {name} {
    return "tb_data/${name}_images.bin tb_data/${name}_outputs.bin tb_data/${name}_expected.bin"
}

open_project ${top}_prj
set_top $top
set flags "-std=c++14 -I$root -I$root/firmware"
add_files firmware/${top}.cpp -cflags $flags
add_files -tb csim_main.cpp -cflags $flags
add_files -tb firmware/weights
add_files -tb tb_data
if {"csynth" in $steps} {
    open_solution -reset -flow_target vivado solution1
} else {
    open_solution -flow_target vivado solution1
}
set_part $part
create_clock -period $clock_ns -name default
set_clock_uncertainty $clock_uncertainty default
config_compile -name_max_length 80

if {"csim" in $steps} {
    csim_design -argv [arguments csim]
}
if {"csynth" in $steps} {
    csynth_design
}
if {"cosim" in $steps} {
    set options [list -rtl verilog -trace_level $cosim_trace -argv [arguments cosim]]
    if {$cosim_random_stall} {
        lappend options -random_stall
    }
    if {$cosim_fifo_sizing} {
        lappend options -enable_fifo_sizing
    }
    cosim_design {*}$options
}
if {"export" in $steps} {
    export_design -format $export_format -version $version
}
close_project
exit 0
