"""rtl: a folding for the board, and the network in SystemVerilog."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version

from flow import ir
from flow.adders import available
from flow.boards import find_board
from flow.folding import Amount, Folding, cost, file, solve
from flow.folding.schedule import fifo_depths
from flow.folding.solve import for_cycles
from flow.paths import verilog
from flow.pipeline.code import Code
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Result, Stage, Work
from flow.pipeline.stages.common import file_digest
from flow.pipeline.stages.convert import GRAPH
from flow.rtl import write

FOLDING, FOLDER = "folding.yaml", "verilog"


def max_cycles(config: BuildConfig) -> int | None:
    """The target in cycles between frames, None for the best that fits."""
    if config.target_fps is None:
        return config.max_cycles
    return int(find_board(config.board).clock_mhz * 1e6 / config.target_fps)


def _folding(work: Work, graph: ir.Graph) -> Folding:
    config = work.config
    if config.folding is not None:
        return file.load(graph, config.folding)
    adders, target = _adders(config) is not None, max_cycles(config)
    utilization = _utilization(config)
    if utilization is None:
        return for_cycles(graph, target, adders)
    board = find_board(config.board)
    return solve(graph, Amount.of(board) * utilization, target, adders)


def _utilization(config: BuildConfig) -> float | None:
    """The share of the board that the solver may fill, None where it has no say."""
    decides = config.folding is None and (config.estimate_refuses or max_cycles(config) is None)
    return config.utilization if decides else None


def _adders(config: BuildConfig) -> str | None:
    """The version of da4ml, None where it is not installed or not wanted."""
    wanted = config.adders or config.folding is not None
    return version("da4ml") if wanted and available() else None


def run(work: Work) -> Result:
    """Writes folding.yaml and the design."""
    graph = ir.load(work.path("convert", GRAPH))
    folding = _folding(work, graph)
    depths = fifo_depths(graph, folding)
    estimates = cost.network(graph, folding, depths)
    file.save(graph, folding, work.folder / FOLDING)
    design = write(graph, folding, work.folder / FOLDER)
    interval = folding.interval(graph)
    work.reporter.line(
        f"  {interval:,} cycles between frames; estimated {cost.total(estimates).lut:,.0f} LUT; "
        f"{len(design.generated)} generated modules, {len(design.components)} components"
    )
    files = [FOLDING, *(f"{FOLDER}/{p.name}" for p in (*design.sources, *design.memory_files)), f"{FOLDER}/design.json"]
    values = {
        "interval_cycles": interval,
        "estimates": {name: asdict(amount) for name, amount in estimates.items()},
        "cycles": {node.name: folding.cycles(graph, node) for node in graph.nodes if node.name in folding.folds},
        "fifo_depths": {f"{source} to {sink}": depth for (source, sink), depth in depths.items()},
    }
    return Result(values, tuple(files))


STAGE = Stage(
    "rtl",
    ("convert",),
    Code(__name__, data=(verilog(),)),
    lambda config: {
        "board": find_board(config.board).model_dump(),
        "max_cycles": max_cycles(config),
        "folding": file_digest(config.folding),
        "utilization": _utilization(config),
        "adders": _adders(config),
    },
    run,
)
