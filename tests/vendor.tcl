# Stand-ins for the vendor's Tcl commands: every call is recorded, one Tcl list a line, in the file that $CALLS names.
# An option that the documented command does not have is an error, as is a command that is not listed.
#
#   tclsh vendor.tcl <script>
#
# UG1399 (Vitis HLS), UG835 and UG1118 (Vivado). "-name" is a flag, "-name=" takes a value.

set documented {
    open_project {-reset -upgrade}
    set_top {}
    add_files {-tb -cflags= -csimflags= -fileset= -norecurse -scan_for_includes -blackbox=}
    open_solution {-reset -flow_target=}
    set_part {}
    create_clock {-period= -name= -waveform= -add}
    set_clock_uncertainty {}
    config_compile {-name_max_length= -pipeline_loops= -unsafe_math_optimizations}
    csim_design {-O -argv= -clean -ldflags= -mflags= -profile -setup}
    csynth_design {-dump_cfg -dump_post_cfg -synthesis_check}
    cosim_design {-O -argv= -rtl= -tool= -trace_level= -random_stall -enable_fifo_sizing -enable_dataflow_profiling
        -setup -wave_debug -disable_deadlock_detection}
    export_design {-description= -display_name= -flow= -format= -ipname= -library= -output= -rtl= -taxonomy= -vendor=
        -version=}
    close_project {-delete}
    read_verilog {-library= -sv}
    read_xdc {-cells= -ref= -mode= -unmanaged}
    synth_design {-top= -part= -mode= -flatten_hierarchy= -directive= -generic=}
    opt_design {-directive=}
    place_design {-directive=}
    phys_opt_design {-directive=}
    route_design {-directive=}
    write_checkpoint {-force -cell=}
    report_utilization {-file= -hierarchical -hierarchical_depth= -cells=}
    report_timing_summary {-file= -max_paths= -delay_type= -warn_on_violation}
    report_route_status {-file=}
    report_power {-file=}
    create_project {-force -part= -in_memory}
    set_property {-dict= -quiet}
    update_compile_order {-fileset=}
    get_files {-of_objects= -filter= -quiet}
    current_fileset {}
    get_ports {-filter= -quiet}
    ipx::package_project {-root_dir= -vendor= -library= -taxonomy= -import_files -force -force_update_compile_order
        -name= -version=}
    ipx::current_core {}
    ipx::associate_bus_interfaces {-busif= -clock= -reset= -remove}
    ipx::create_xgui_files {}
    ipx::update_checksums {}
    ipx::check_integrity {-quiet -verbose}
    ipx::save_core {}
}

namespace eval ipx {}

proc record {command options words} {
    set calls [open $::env(CALLS) a]
    puts $calls [list $command {*}$words]
    close $calls
    set plain {}
    for {set i 0} {$i < [llength $words]} {incr i} {
        set word [lindex $words $i]
        if {![regexp {^-[A-Za-z_]+$} $word]} {
            lappend plain {*}$word
            continue
        }
        if {"$word=" in $options} {
            incr i
            if {$i >= [llength $words]} {
                error "$command: $word has no value"
            }
            if {$word eq "-file"} {
                close [open [lindex $words $i] w]
            }
        } elseif {$word ni $options} {
            error "$command has no option $word"
        }
    }
    # what the scripts name must be there
    if {$command in {add_files read_verilog read_xdc}} {
        foreach word $plain {
            if {![file exists $word]} {
                error "$command: no such file: $word"
            }
        }
    }
    return "<$command>"
}

foreach {command options} $documented {
    proc $command {args} "record [list $command] [list $options] \$args"
}

set script [lindex $argv 0]
source $script
