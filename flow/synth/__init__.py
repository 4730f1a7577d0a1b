"""What the hardware takes and how fast its paths are: Yosys for Xilinx 7 series, nextpnr for Lattice ECP5."""
