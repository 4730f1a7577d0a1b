"""Runs the RTL and compares it with golden, integer by integer."""
