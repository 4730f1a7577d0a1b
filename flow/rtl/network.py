"""The network: layer modules wired into one, and the AXI4-Stream top around it."""

from __future__ import annotations

from collections.abc import Iterator

from flow.ir import Fork, RequantizeTable, SerialMatvec
from flow.rtl.emit import Module, Port, connect, stream_of, stream_ports, stream_wires
from flow.rtl.layers import CLOCK, Context, Layer, input_prefixes
from flow.rtl.runtime import CONFIGURATION, configuration_ports

#: nodes whose units take a configuration with each frame
RUNTIME = (SerialMatvec, RequantizeTable)
#: bits of a byte lane of the AXI4-Stream ports
BYTE = 8


def padded_bits(width_bits: int) -> int:
    """Bits of an element on the AXI4-Stream side: whole bytes."""
    return (width_bits + BYTE - 1) // BYTE * BYTE


class _Streams:
    """The wires between layers, by producer; each reader of a fork has its own slice."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._taken: dict[str, int] = {}

    def read(self, name: str) -> dict[str, str]:
        """The signals that the next reader of `name` connects to."""
        node = self._context.driver(name)
        stream, bits = stream_of(node.name), self._context.stream_bits(node)
        if not isinstance(node, Fork):
            return stream
        index = self._taken[node.name] = self._taken.get(node.name, -1) + 1
        slices = {role: f"{wire}[{index}]" for role, wire in stream.items()}
        return slices | {"tdata": f"{stream['tdata']}[{index * bits}+:{bits}]"}


def build_network(context: Context, layers: list[Layer]) -> Module:
    """`<name>_network`: one instance for each layer, streams named after the node that produces them."""
    graph = context.graph
    ports = [Port("input", "clk"), Port("input", "rst")]
    ports += stream_ports("input", "s_axis", context.stream_bits(graph.input))
    ports += stream_ports("output", "m_axis", context.stream_bits(graph.output))
    if graph.runtime:
        ports[2:2] = configuration_ports(graph.runtime)
    module = Module(f"{graph.name}_network", f"{graph.name}: all layers, one stream for each edge.", ports)
    streams, configurations = _Streams(context), _configurations(context, module)

    bits = context.stream_bits(graph.input)
    stream_wires(module, graph.input.name, bits)
    _pass(module, stream_of("s_axis"), stream_of(graph.input.name))
    for layer in layers:
        node = layer.node
        bits = context.stream_bits(node)
        copies = len(graph.readers(node.name)) if isinstance(node, Fork) else 1
        module.wire(f"{node.name}_tdata", bits * copies)
        module.wire(f"{node.name}_tvalid", 0 if copies == 1 else copies)
        module.wire(f"{node.name}_tready", 0 if copies == 1 else copies)
        wires = dict(CLOCK)
        for name, prefix in zip(node.inputs, input_prefixes(node), strict=True):
            wires |= connect(prefix, streams.read(name))
        wires |= connect("m_axis", stream_of(node.name))
        if isinstance(node, RUNTIME):
            wires |= connect(CONFIGURATION, next(configurations))
        module.instance(layer.module.name, f"u_{node.name}", {}, wires)
    _pass(module, streams.read(graph.output.inputs[0]), stream_of("m_axis"))
    return module


def _configurations(context: Context, module: Module) -> Iterator[dict[str, str]]:
    """A copy of the stream of configurations for each unit that has a choice, in graph order."""
    graph, name = context.graph, "configurations"
    units = sum(isinstance(node, RUNTIME) for node in graph.nodes)
    if not units:
        return iter(())
    bits = graph.runtime.word_bits
    module.wire(f"{name}_tdata", units * bits)
    module.wire(f"{name}_tvalid", units)
    module.wire(f"{name}_tready", units)
    ports = {**CLOCK, **connect("s_axis", stream_of(CONFIGURATION)), **connect("m_axis", stream_of(name))}
    module.instance("stream_fork", "u_configurations", {"WIDTH": bits, "OUTPUTS": units}, ports)
    return iter(
        [
            {
                "tdata": f"{name}_tdata[{i * bits}+:{bits}]",
                "tvalid": f"{name}_tvalid[{i}]",
                "tready": f"{name}_tready[{i}]",
            }
            for i in range(units)
        ]
    )


def _pass(module: Module, source: dict[str, str], sink: dict[str, str]) -> None:
    module.assign(sink["tdata"], source["tdata"])
    module.assign(sink["tvalid"], source["tvalid"])
    module.assign(source["tready"], sink["tready"])


def build_top(context: Context) -> Module:
    """`<name>_top`: byte-padded AXI4-Stream in and out, active-low reset, as vendor tools expect them."""
    graph, folding = context.graph, context.folding
    source, sink = graph.input.output, graph.output.output
    in_lanes, out_lanes = folding.output_lanes(graph, graph.input), folding.input_lanes(graph, graph.output)
    in_bits, out_bits = in_lanes * source.width_bits, out_lanes * sink.width_bits
    ports = [Port("input", "ap_clk"), Port("input", "ap_rst_n")]
    if graph.runtime:
        ports.append(Port("input", "configuration", graph.runtime.word_bits))
    ports += [
        *stream_ports("input", "s_axis", in_lanes * padded_bits(source.width_bits)),
        Port("input", "s_axis_tlast"),
    ]
    ports += [
        *stream_ports("output", "m_axis", out_lanes * padded_bits(sink.width_bits)),
        Port("output", "m_axis_tlast"),
    ]
    ports += [Port("output", "frame_error")]
    purpose = (
        f"{graph.name} as an AXI4-Stream block.\n"
        f"In:  {source.elements} elements of {source.width_bits} bits a frame, {in_lanes} a beat.\n"
        f"Out: {sink.elements} elements of {sink.width_bits} bits a frame, {out_lanes} a beat, TLAST on the last;\n"
        f"     value = integer * 2^-{sink.fraction_bits}."
    )
    if graph.runtime:
        widths, bits = ", ".join(map(str, graph.runtime.widths)), graph.runtime.field_bits
        purpose += (
            f"\nconfiguration: the index of each runtime layer's width among {widths} bits, {bits} bits each, the first"
            "\nlayer in the low bits. It is looked at when a frame's first beat is taken, and holds for that frame:\n"
            f"{', '.join(graph.runtime.layers)}."
        )
    module = Module(f"{graph.name}_top", purpose, ports)
    module.wire("rst")
    module.assign("rst", "!ap_rst_n")
    pixels, network_in = stream_wires(module, "pixels", in_bits), stream_wires(module, "buffered", in_bits)
    results, network_out = stream_wires(module, "results", out_bits), stream_wires(module, "codes", out_bits)
    clock = {"clk": "ap_clk", "rst": "rst"}
    in_parameters = {"LANES": in_lanes, "WIDTH": source.width_bits, "BEATS_PER_FRAME": source.elements // in_lanes}
    admitted, configured = stream_of("s_axis"), {}
    if graph.runtime:
        admitted, configured = _admit(context, module, in_parameters["BEATS_PER_FRAME"])
    module.instance("axis_input", "u_input", in_parameters, {
        **clock, **connect("s_axis", admitted), "s_axis_tlast": "s_axis_tlast",
        **connect("m_axis", pixels), "frame_error": "frame_error",
    })  # fmt: skip
    register = {"WIDTH": in_bits}
    module.instance(
        "stream_register",
        "u_input_register",
        register,
        {**clock, **connect("s_axis", pixels), **connect("m_axis", network_in)},
    )
    module.instance(
        f"{graph.name}_network",
        "u_network",
        {},
        {**clock, **configured, **connect("s_axis", network_in), **connect("m_axis", network_out)},
    )
    register = {"WIDTH": out_bits}
    module.instance(
        "stream_register",
        "u_output_register",
        register,
        {**clock, **connect("s_axis", network_out), **connect("m_axis", results)},
    )
    out_parameters = {
        "LANES": out_lanes,
        "WIDTH": sink.width_bits,
        "SIGNED": sink.signed,
        "BEATS_PER_FRAME": sink.elements // out_lanes,
    }
    module.instance("axis_output", "u_output", out_parameters, {
        **clock, **connect("s_axis", results), **connect("m_axis", stream_of("m_axis")), "m_axis_tlast": "m_axis_tlast",
    })  # fmt: skip
    return module


def _admit(context: Context, module: Module, beats: int) -> tuple[dict[str, str], dict[str, str]]:
    """What lets frames in, each with its configuration: the stream behind it, and the network's ports for these."""
    runtime = context.graph.runtime
    admitted = stream_of("s_axis") | {role: module.wire(f"admitted_{role}") for role in ("tvalid", "tready")}
    taken = stream_wires(module, "taken", runtime.word_bits)
    parameters = {"FIELDS": len(runtime.layers), "COUNT": len(runtime.widths), "BEATS_PER_FRAME": beats}
    module.instance("frame_configuration", "u_configuration", parameters, {
        "clk": "ap_clk", "rst": "rst", "configuration": "configuration",
        "s_axis_tvalid": "s_axis_tvalid", "s_axis_tready": "s_axis_tready",
        "m_axis_tvalid": admitted["tvalid"], "m_axis_tready": admitted["tready"],
        **connect("m_configuration", taken),
    })  # fmt: skip
    return admitted, connect(CONFIGURATION, taken)
