"""A plot's sheet, and its file: the same figures give the same bytes."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def blank(width: float, height: float) -> Figure:
    """An empty sheet, in inches, that no window belongs to."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def svg(figure: Figure) -> str:
    """As SVG."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "flow"}):  # or else names inside are random
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def png(figure: Figure) -> bytes:
    """As PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130, metadata={"Software": None})  # else the library's version
    return out.getvalue()
