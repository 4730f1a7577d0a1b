"""Drivers of the programs that the flow calls, each run in a process of its own."""
