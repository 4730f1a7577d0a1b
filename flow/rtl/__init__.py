"""From the IR and a folding to SystemVerilog."""

from flow.rtl.write import Design, load_design, write

__all__ = ["Design", "load_design", "write"]
