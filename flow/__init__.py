"""From a trained QKeras network to streaming RTL that equals it, integer by integer."""

__version__ = "0.1.0"
