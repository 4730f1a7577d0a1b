"""Every kind of node by its class name, as files call them."""

from __future__ import annotations

from flow.ir import nodes, runtime
from flow.ir.nodes import Node

KINDS: dict[str, type[Node]] = {
    **nodes.KINDS,
    **{cls.__name__: cls for cls in (runtime.SerialMatvec, runtime.RequantizeTable)},
}
