# Packages the IP block for Vivado's IP catalog: AXI4-Stream in and out, AXI4-Lite registers. Result: the folder ip/.
#
#   vivado -mode batch -source tcl/package_ip.tcl

set root [file normalize [file join [file dirname [info script]] ..]]
source [file join $root tcl settings.tcl]

create_project -force package [file join $root build package] -part $part
set rtl [file join $root rtl]
add_files -norecurse [lsort [glob [file join $rtl *.sv] [file join $rtl *.v] [file join $rtl *.hex]]]
set_property file_type {Memory Initialization Files} [get_files *.hex]
add_files -fileset constrs_1 -norecurse [file join $root constraints clock.xdc]
# inside a block design the clock comes from there
set_property used_in {synthesis implementation out_of_context} [get_files clock.xdc]
set_property top $ip [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir [file join $root ip] -vendor flow -library user -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name $ip $core
set_property version $version $core
set_property display_name $ip $core
set_property description "$network: frames in and results out on AXI4-Stream, registers on AXI4-Lite" $core
foreach bus {s_axi s_axis m_axis} {
    ipx::associate_bus_interfaces -busif $bus -clock ap_clk $core
}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
