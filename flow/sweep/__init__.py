"""Builds of one network at several widths, side by side in time and in one comparison at the end."""
