"""The hls4ml backend plugin.

Entry point, in the group that hls4ml 1.3.0 reads when it is imported:

    [project.entry-points."hls4ml.backends"]
    FlowRTL = "flow.hls.plugin:register"

hls4ml only prints what goes wrong here, so a test asserts that the backend is listed. `ensure_registered` does the same
by hand where the project runs from a checkout that is not installed.
"""

from __future__ import annotations

from collections.abc import Callable

NAME = "FlowRTL"


def register(register_backend: Callable[..., None], register_writer: Callable[..., None]) -> None:
    """What hls4ml calls: adds the backend and the writer that it asks for by the same name."""
    from flow.hls.backend import FlowRTLBackend, NoWriter

    register_writer(NAME, NoWriter)
    register_backend(NAME, FlowRTLBackend)


def ensure_registered() -> None:
    """Adds the backend unless the entry point already did."""
    import hls4ml
    from hls4ml.backends.backend import register_backend
    from hls4ml.writer.writers import register_writer

    if NAME.lower() not in hls4ml.backends.get_available_backends():
        register(register_backend, register_writer)
