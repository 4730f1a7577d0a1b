"""One module for each layer: what adapts its input streams, its memories, its component.

A window has no module of its own: it is inside the layer that reads it, so that the wide window never crosses a
module's ports. Every other node of the IR is one module, named `<network>_<node>`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flow.folding.cost import fifo_memory, weight_memory
from flow.folding.fold import Arithmetic, Fold, Folding, Memory, Style, driver
from flow.ir import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Fork,
    Graph,
    MaxPool,
    Node,
    Requantize,
    SumPool,
    Threshold,
    WeightCode,
    Weighted,
    Window,
)
from flow.rtl import memory
from flow.rtl.adders import add_pipeline
from flow.rtl.emit import Module, Port, connect, stream_of, stream_ports, stream_wires

CLOCK = {"clk": "clk", "rst": "rst"}

STYLE_CODE = {Memory.AUTO: 0, Memory.LUT: 1, Memory.BLOCK: 2, Style.PARALLEL: 0, Style.BINARY: 1}


@dataclass
class Layer:
    """A generated module with the memory files that it reads, by file name."""

    node: Node
    module: Module
    memories: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What every layer builder may look at."""

    graph: Graph
    folding: Folding
    depths: dict[tuple[str, str], int]

    def stream_bits(self, node: Node) -> int:
        """Bits of one beat of the node's output."""
        return self.folding.output_lanes(self.graph, node) * node.output.width_bits

    def driver(self, name: str) -> Node:
        """The node whose module drives the stream `name`: a window is inside its reader, a flatten is wires."""
        return driver(self.graph, name)


def adapt(context: Context, layer: Layer, producer: Node, consumer: Node, lanes: int, prefix: str) -> dict[str, str]:
    """From the stream that `producer` sends on ports `prefix` to `lanes` elements per beat behind a register or FIFO.

    A register stands on the narrow side of the width conversion. A FIFO stands behind it, so that what has waited
    comes as fast as the consumer takes it.
    """
    module, graph = layer.module, context.graph
    width = producer.output.width_bits
    given = context.folding.output_lanes(graph, producer)
    stream, narrow = stream_of(prefix), min(given, lanes)
    tag = prefix.removeprefix("s_").removesuffix("axis")

    def convert(source: dict[str, str], name: str) -> dict[str, str]:
        sink = stream_wires(module, name, lanes * width)
        parameters = {"WIDTH": width, "IN_LANES": given, "OUT_LANES": lanes}
        ports = {**CLOCK, **connect("s_axis", source), **connect("m_axis", sink)}
        module.instance("width_converter", f"u_{tag}convert", parameters, ports)
        return sink

    depth = context.depths.get((producer.name, consumer.name))
    if depth or given > lanes:
        stream = convert(stream, f"{tag}converted") if given != lanes else stream
    bits = (lanes if depth else narrow) * width
    stored = stream_wires(module, f"{tag}stored", bits)
    ports = {**CLOCK, **connect("s_axis", stream), **connect("m_axis", stored)}
    if depth:
        parameters = {"WIDTH": bits, "DEPTH": depth, "STYLE": STYLE_CODE[fifo_memory(depth)]}
        module.instance("stream_fifo", f"u_{tag}fifo", parameters, ports)
        return stored
    module.instance("stream_register", f"u_{tag}register", {"WIDTH": bits}, ports)
    return convert(stored, f"{tag}converted") if given < lanes else stored


def start(context: Context, node: Node, purpose: str, copies: int = 1) -> Layer:
    """A module with clock, reset, one input stream for each of the node's inputs and its output stream."""
    ports = [Port("input", "clk"), Port("input", "rst")]
    for name, prefix in zip(node.inputs, input_prefixes(node), strict=True):
        ports += stream_ports("input", prefix, context.stream_bits(context.driver(name)))
    ports += stream_ports("output", "m_axis", context.stream_bits(node), copies)
    return Layer(node, Module(f"{context.graph.name}_{node.name}", purpose, ports))


def input_prefixes(node: Node) -> list[str]:
    """The port prefixes of a layer's input streams."""
    return ["s_axis"] if len(node.inputs) == 1 else [f"s_{letter}_axis" for letter in "ab"]


def vector_stream(context: Context, layer: Layer, node: Weighted) -> dict[str, str]:
    """From the layer's input to the vectors that its unit with weights takes: adapter, and window or a register."""
    module, graph = layer.module, context.graph
    source, outer = graph.by_name[node.inputs[0]], context.driver(node.inputs[0])
    if isinstance(source, Window):
        lanes = context.folding.input_lanes(graph, source)
        pixels = adapt(context, layer, outer, source, lanes, "s_axis")
        vector = stream_wires(module, "window", context.stream_bits(source))
        height, width, channels = outer.output.shape
        parameters = {
            "IN_WIDTH": source.output.width_bits, "CHANNELS": channels, "LANES": lanes,
            "HEIGHT": height, "WIDTH": width,
            "KERNEL_H": source.kernel[0], "KERNEL_W": source.kernel[1],
            "STRIDE_H": source.stride[0], "STRIDE_W": source.stride[1],
            "PAD_TOP": source.padding[0], "PAD_LEFT": source.padding[1],
            "PAD_BOTTOM": source.padding[2], "PAD_RIGHT": source.padding[3],
        }  # fmt: skip
        ports = {**CLOCK, **connect("s_axis", pixels), **connect("m_axis", vector)}
        module.instance("window", "u_window", parameters, ports)
        return vector
    vector = adapt(context, layer, outer, node, node.mw, "s_axis")
    if not context.folding.buffers(graph, node):
        return vector
    bits = node.mw * source.output.width_bits
    held = stream_wires(module, "held", bits)
    ports = {**CLOCK, **connect("s_axis", vector), **connect("m_axis", held)}
    module.instance("stream_register", "u_held", {"WIDTH": bits, "SPARE": 0}, ports)
    return held


def weighted(context: Context, node: Weighted) -> Layer:
    """A matvec or a depthwise with its window, its weights and its biases."""
    fold, element = context.folding.folds[node.name], context.graph.sources(node)[0]
    layer = start(
        context,
        node,
        f"{node.name}: {node.mh} x {node.mw} weights of {node.weight_bits} bits, PE {fold.pe}, SIMD {fold.simd}.",
    )
    module, vector = layer.module, vector_stream(context, layer, node)

    if fold.arithmetic is Arithmetic.ADDERS:
        add_pipeline(module, node, element, vector)
        return layer
    groups, depth = node.mh // fold.pe, (node.mw // fold.simd) * (node.mh // fold.pe)
    weights_bits, bias_bits = fold.pe * fold.simd * node.weight_bits, fold.pe * node.output.width_bits
    module.wire("memory_enable")
    module.wire("weight_addr", memory.address_bits(depth))
    module.wire("weight_data", weights_bits)
    module.wire("bias_addr", memory.address_bits(groups))
    module.wire("bias_data", bias_bits)
    layer.memories[f"{node.name}_weights.hex"] = memory.pack_weights(
        node.weights, fold.pe, fold.simd, node.weight_bits, odd=node.weight_code is WeightCode.ODD
    )
    parameters = {"WIDTH": weights_bits, "DEPTH": depth, "STYLE": STYLE_CODE[weight_memory(node, fold)]}
    parameters["INIT_FILE"] = f"{node.name}_weights.hex"
    module.instance(
        "rom",
        "u_weights",
        parameters,
        {"clk": "clk", "enable": "memory_enable", "addr": "weight_addr", "data": "weight_data"},
    )
    if node.bias.any():
        layer.memories[f"{node.name}_bias.hex"] = memory.pack_bias(node.bias, fold.pe, node.output.width_bits)
        parameters = {
            "WIDTH": bias_bits,
            "DEPTH": groups,
            "STYLE": STYLE_CODE[Memory.LUT],
            "INIT_FILE": f"{node.name}_bias.hex",
        }
        module.instance(
            "rom",
            "u_bias",
            parameters,
            {"clk": "clk", "enable": "memory_enable", "addr": "bias_addr", "data": "bias_data"},
        )
    else:
        module.assign("bias_data", "'0")
    if isinstance(node, Depthwise):
        shape = {"CHANNELS": node.channels, "MULTIPLIER": node.multiplier, "TAPS": node.mw}
    else:
        shape = {"MW": node.mw, "MH": node.mh}
    parameters = {
        **shape, "PE": fold.pe, "SIMD": fold.simd,
        "IN_WIDTH": element.width_bits, "IN_SIGNED": element.signed,
        "WEIGHT_WIDTH": node.weight_bits, "WEIGHT_ODD": node.weight_code is WeightCode.ODD,
        "ACC_WIDTH": node.output.width_bits,
    }  # fmt: skip
    memory_ports = {p: p for p in ("memory_enable", "weight_addr", "weight_data", "bias_addr", "bias_data")}
    ports = {**CLOCK, **connect("s_axis", vector), **memory_ports, **connect("m_axis", stream_of("m_axis"))}
    module.instance(node.kind, f"u_{node.kind}", parameters, ports)
    return layer


def elementwise(context: Context, node: Node, purpose: str) -> tuple[Layer, Fold, dict[str, object], dict[str, str]]:
    """The start that units with one input stream and `lanes` elements per beat share."""
    source = context.driver(node.inputs[0])
    fold = context.folding.folds[node.name]
    layer = start(context, node, purpose)
    stream = adapt(context, layer, source, node, fold.lanes, "s_axis")
    parameters = {
        "CHANNELS": node.output.channels, "LANES": fold.lanes,
        "IN_WIDTH": source.output.width_bits, "IN_SIGNED": source.output.signed,
    }  # fmt: skip
    return layer, fold, parameters, {**CLOCK, **connect("s_axis", stream), **connect("m_axis", stream_of("m_axis"))}


def threshold(context: Context, node: Threshold) -> Layer:
    layer, fold, parameters, ports = elementwise(
        context, node, f"{node.name}: {node.thresholds.shape[1]} thresholds a channel."
    )
    file = f"{node.name}_thresholds.hex"
    source = context.graph.sources(node)[0]
    layer.memories[file] = memory.pack_threshold(
        node.thresholds, node.flip, fold.lanes, source.width_bits, source.signed
    )
    parameters |= {
        "NUM_THRESHOLDS": node.thresholds.shape[1], "OUT_WIDTH": node.output.width_bits, "OFFSET": node.offset,
        "STYLE": STYLE_CODE[fold.style], "INIT_FILE": file,
    }  # fmt: skip
    layer.module.instance("threshold", "u_threshold", parameters, ports)
    return layer


def requantize(context: Context, node: Requantize) -> Layer:
    layer, fold, parameters, ports = elementwise(context, node, f"{node.name}: (x * M + B) >> {node.shift}, saturated.")
    file = f"{node.name}_scale.hex"
    layer.memories[file] = memory.pack_requantize(
        node.multiplier, node.bias, fold.lanes, node.multiplier_bits, node.bias_bits
    )
    parameters |= {
        "MULT_WIDTH": node.multiplier_bits, "BIAS_WIDTH": node.bias_bits, "SHIFT": node.shift,
        "TIES_TO_EVEN": node.ties_to_even, "OUT_WIDTH": node.output.width_bits, "OUT_SIGNED": node.output.signed,
        "INIT_FILE": file,
    }  # fmt: skip
    layer.module.instance("requantize", "u_requantize", parameters, ports)
    return layer


def pool(context: Context, node: MaxPool | SumPool) -> Layer:
    layer, _, parameters, ports = elementwise(
        context, node, f"{node.name}: {node.kernel[0]} x {node.kernel[1]} windows."
    )
    height, width, _ = context.graph.sources(node)[0].shape
    parameters |= {
        "HEIGHT": height, "WIDTH": width, "KERNEL_H": node.kernel[0], "KERNEL_W": node.kernel[1],
        "OUT_WIDTH": node.output.width_bits,
    }  # fmt: skip
    layer.module.instance(node.kind, f"u_{node.kind}", parameters, ports)
    return layer


def argmax(context: Context, node: Argmax) -> Layer:
    layer, _, parameters, ports = elementwise(context, node, f"{node.name}: the first position of the largest.")
    parameters |= {"CHANNELS": context.graph.sources(node)[0].channels, "OUT_WIDTH": node.output.width_bits}
    layer.module.instance("argmax", "u_argmax", parameters, ports)
    return layer


def join(context: Context, node: Add | Concat) -> Layer:
    fold = context.folding.folds[node.name]
    what = "the sum of two streams" if isinstance(node, Add) else "two streams side by side"
    layer = start(context, node, f"{node.name}: {what}; the FIFO holds what waits for the longer branch.")
    parameters: dict[str, object] = {"LANES": fold.lanes}
    if isinstance(node, Concat):
        a, b = context.graph.sources(node)
        parameters |= {"A_CHANNELS": a.channels, "B_CHANNELS": b.channels}
    ports = dict(CLOCK)
    for name, prefix in zip(node.inputs, input_prefixes(node), strict=True):
        source = context.driver(name)
        letter = prefix[2].upper()
        parameters |= {f"{letter}_WIDTH": source.output.width_bits, f"{letter}_SIGNED": source.output.signed}
        ports |= connect(prefix, adapt(context, layer, source, node, fold.lanes, prefix))
    parameters["OUT_WIDTH"] = node.output.width_bits
    layer.module.instance(node.kind, f"u_{node.kind}", parameters, ports | connect("m_axis", stream_of("m_axis")))
    return layer


def fork(context: Context, node: Fork) -> Layer:
    copies = len(context.graph.readers(node.name))
    layer = start(context, node, f"{node.name}: one stream to {copies} readers.", copies)
    bits = context.stream_bits(node)
    ports = {**CLOCK, **connect("s_axis", stream_of("s_axis")), **connect("m_axis", stream_of("m_axis"))}
    layer.module.instance("stream_fork", "u_fork", {"WIDTH": bits, "OUTPUTS": copies}, ports)
    return layer
