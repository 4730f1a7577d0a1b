"""The layers whose width a frame chooses: units with a queue of the configurations of the frames under way.

`frame_configuration` at the network's way in hands every unit its copy when a frame begins. The unit takes it out of
its queue and goes on to the next when its own frame ends, so that frames of different widths follow each other without
a gap. No unit needs the next frame to finish this one, so a full queue delays the next frame's beginning, and nothing
ever waits for itself.
"""

from __future__ import annotations

from flow.folding.cost import table_memory, weight_memory
from flow.folding.fold import Memory
from flow.ir import RequantizeTable, RuntimeWidths, SerialMatvec
from flow.rtl import memory
from flow.rtl.emit import Port, connect, stream_of, stream_wires
from flow.rtl.layers import CLOCK, STYLE_CODE, Context, Layer, elementwise, start, vector_stream

CONFIGURATION = "s_configuration"
#: frames that may be between the way in and any unit; with more the input waits, which costs time and nothing else
QUEUE_DEPTH = 16


def widths_parameters(runtime: RuntimeWidths) -> dict[str, object]:
    """The widths as the components take them: four bits each, the narrowest lowest."""
    return {"COUNT": len(runtime.widths), "WIDTHS": sum(w << 4 * i for i, w in enumerate(runtime.widths))}


def configuration_ports(runtime: RuntimeWidths) -> list[Port]:
    """The stream of configurations into a layer."""
    return [
        Port("input", f"{CONFIGURATION}_tdata", runtime.word_bits),
        Port("input", f"{CONFIGURATION}_tvalid"),
        Port("output", f"{CONFIGURATION}_tready"),
    ]


def _queue(context: Context, layer: Layer) -> dict[str, str]:
    """The queue of what `layer` selects, the first selected layer in the low bits; returns its output."""
    module, runtime = layer.module, context.graph.runtime
    bits = runtime.field_bits
    module.ports[2:2] = configuration_ports(runtime)
    places = [runtime.layers.index(name) * bits for name in layer.node.selection]
    chosen = module.wire("chosen", len(places) * bits)
    fields = ", ".join(f"{CONFIGURATION}_tdata[{place}+:{bits}]" for place in reversed(places))
    module.assign(chosen, f"{{{fields}}}")
    queued = stream_wires(module, "queued", len(places) * bits)
    source = stream_of(CONFIGURATION) | {"tdata": chosen}
    parameters = {"WIDTH": len(places) * bits, "DEPTH": QUEUE_DEPTH, "STYLE": STYLE_CODE[Memory.LUT]}
    module.instance(
        "stream_fifo", "u_queue", parameters, {**CLOCK, **connect("s_axis", source), **connect("m_axis", queued)}
    )
    return queued


def serial_matvec(context: Context, node: SerialMatvec) -> Layer:
    """A serial_matvec with its window and the planes of its weights."""
    graph, fold = context.graph, context.folding.folds[node.name]
    widths = ", ".join(map(str, node.widths))
    purpose = f"{node.name}: {node.mh} x {node.mw} weights of {widths} bits, PE {fold.pe}, SIMD {fold.simd}."
    layer = start(context, node, purpose)
    module, element = layer.module, graph.sources(node)[0]
    queued = _queue(context, layer)
    vector = vector_stream(context, layer, node)
    bits, depth = fold.pe * fold.simd, node.mw * node.mh // (fold.pe * fold.simd) * node.weight_bits
    module.wire("memory_enable")
    module.wire("weight_addr", memory.address_bits(depth))
    module.wire("weight_data", bits)
    file = f"{node.name}_weights.hex"
    layer.memories[file] = memory.pack_planes(node.weights, fold.pe, fold.simd, node.weight_bits)
    parameters = {"WIDTH": bits, "DEPTH": depth, "STYLE": STYLE_CODE[weight_memory(node, fold)], "INIT_FILE": file}
    ports = {"clk": "clk", "enable": "memory_enable", "addr": "weight_addr", "data": "weight_data"}
    module.instance("rom", "u_weights", parameters, ports)
    parameters = {
        "MW": node.mw, "MH": node.mh, "PE": fold.pe, "SIMD": fold.simd,
        "IN_WIDTH": element.width_bits, "IN_SIGNED": element.signed, "WEIGHT_WIDTH": node.weight_bits,
        **widths_parameters(graph.runtime), "WEIGHT_ODD": node.odd, "VECTORS": node.output.positions,
        "ACC_WIDTH": node.output.width_bits,
    }  # fmt: skip
    memory_ports = {p: p for p in ("memory_enable", "weight_addr", "weight_data")}
    ports = {**CLOCK, **connect("s_axis", vector), **connect(CONFIGURATION, queued), **memory_ports}
    module.instance("serial_matvec", "u_serial_matvec", parameters, ports | connect("m_axis", stream_of("m_axis")))
    return layer


def requantize_table(context: Context, node: RequantizeTable) -> Layer:
    """A requantize_table with the memory of its tables."""
    purpose = f"{node.name}: (x * M + B) >> {node.shift}, saturated; {node.tables} tables."
    layer, fold, parameters, ports = elementwise(context, node, purpose)
    queued = _queue(context, layer)
    file = f"{node.name}_scale.hex"
    widths = node.multiplier_bits, node.bias_bits, node.output.width_bits
    layer.memories[file] = memory.pack_requantize_table(node.multiplier, node.bias, node.maximum, fold.lanes, *widths)
    parameters |= {
        "PIXELS": node.output.positions, "MULT_WIDTH": widths[0], "BIAS_WIDTH": widths[1], "SHIFT": node.shift,
        "OUT_WIDTH": widths[2], "OUT_SIGNED": node.output.signed,
        "COUNT": len(node.widths), "SELECT": len(node.select), "STYLE": STYLE_CODE[table_memory(node, fold)[2]],
        "INIT_FILE": file,
    }  # fmt: skip
    layer.module.instance("requantize_table", "u_requantize_table", parameters, ports | connect(CONFIGURATION, queued))
    return layer
