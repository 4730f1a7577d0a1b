"""A matvec that is not folded at all, as a pipeline of adders: one vector a cycle, no weights in memory."""

from __future__ import annotations

from collections.abc import Mapping

from flow import adders
from flow.adders import AdderGraph, pipeline
from flow.ir import Matvec, TensorType
from flow.rtl.emit import Module

CLOCK = {"clk": "clk", "enable": "enable"}


def add_pipeline(module: Module, node: Matvec, source: TensorType, vector: Mapping[str, str]) -> None:
    """Appends the pipeline between the stream `vector`, whole vectors, and the module's `m_axis`.

    Args:
        source: type of the vector's elements.
    """
    graph = adders.solve(node.weights)
    types = graph.types(source)
    module.wire("enable")
    control = {"clk": "clk", "rst": "rst", "s_axis_tvalid": vector["tvalid"], "s_axis_tready": vector["tready"]}
    control |= {"enable": "enable", "m_axis_tvalid": "m_axis_tvalid", "m_axis_tready": "m_axis_tready"}
    stages = {"STAGES": pipeline.stages(graph) + 1}
    module.instance("pipeline_control", "u_control", stages, control)

    delays = pipeline.delays(graph)
    for value in range(graph.inputs):
        _declare(module, value, types[value].width_bits, delays)
        module.assign(f"v{value}", f"{vector['tdata']}[{value * source.width_bits}+:{source.width_bits}]")
        _delay(module, value, types[value].width_bits, delays)
    for value, adder in enumerate(graph.adders, start=graph.inputs):
        _declare(module, value, types[value].width_bits, delays)
        stage = pipeline.stage_of(graph, value)
        a, b = (_at(graph, operand, stage) for operand in (adder.left, adder.right))
        parameters = {
            **_operand("A", types[adder.left], adder.left_shift),
            **_operand("B", types[adder.right], adder.right_shift),
            "SUBTRACT": adder.subtract, "OUT_WIDTH": types[value].width_bits,
        }  # fmt: skip
        module.instance("shift_add", f"u_v{value}", parameters, {"a": a, "b": b, "sum": f"v{value}"})
        _delay(module, value, types[value].width_bits, delays)
    _results(module, node, graph, types)


def _results(module: Module, node: Matvec, graph: AdderGraph, types: tuple[TensorType, ...]) -> None:
    """Bias plus or minus each result, into the registers of the output."""
    width = node.output.width_bits
    module.wire("results", node.mh * width)
    for index, (result, bias) in enumerate(zip(graph.results, node.bias)):
        constant = f"{width}'h{int(bias) & ((1 << width) - 1):x}"
        target = f"results[{index * width}+:{width}]"
        if result.value is None:
            module.assign(target, constant)
            continue
        parameters = {
            "A_WIDTH": width, "A_SIGNED": True, "A_SHIFT": 0, **_operand("B", types[result.value], result.shift),
            "SUBTRACT": result.negative, "OUT_WIDTH": width,
        }  # fmt: skip
        ports = {"a": constant, "b": _at(graph, result.value, pipeline.stages(graph)), "sum": target}
        module.instance("shift_add", f"u_result{index}", parameters, ports)
    ports = {**CLOCK, "in": "results", "out": "m_axis_tdata"}
    module.instance("delay", "u_results", {"WIDTH": node.mh * width, "CYCLES": 1}, ports)


def _operand(letter: str, kind: TensorType, shift: int) -> dict[str, object]:
    return {f"{letter}_WIDTH": kind.width_bits, f"{letter}_SIGNED": kind.signed, f"{letter}_SHIFT": shift}


def _declare(module: Module, value: int, width_bits: int, delays: dict[int, list[int]]) -> None:
    for cycles in (0, *delays.get(value, ())):
        module.wire(_name(value, cycles), width_bits)


def _delay(module: Module, value: int, width_bits: int, delays: dict[int, list[int]]) -> None:
    """The registers behind a value, one after the other."""
    before = 0
    for cycles in delays.get(value, ()):
        ports = {**CLOCK, "in": _name(value, before), "out": _name(value, cycles)}
        name = f"u_{_name(value, cycles)}"
        module.instance("delay", name, {"WIDTH": width_bits, "CYCLES": cycles - before}, ports)
        before = cycles


def _at(graph: AdderGraph, value: int, stage: int) -> str:
    """The wire that holds a value in a stage."""
    return _name(value, stage - pipeline.stage_of(graph, value))


def _name(value: int, cycles: int) -> str:
    return f"v{value}_{cycles}" if cycles else f"v{value}"
