"""A finished build of the tiny network made in seconds: random weights, no training, nothing simulated or synthesized.

What a hand-off takes is real: graph, golden's outputs, Vitis project, RTL. The rest are empty stages and a report whose
figures are made up.
"""

from __future__ import annotations

import json
from pathlib import Path

import networks
from test_report import PLAIN

from flow import golden, hls, ir
from flow.boards import find_board
from flow.files import write_json, write_whole
from flow.fold import fold_network
from flow.folding import Amount, file, solve
from flow.pipeline.arrays import array_bytes
from flow.pipeline.build import CONFIG
from flow.pipeline.config import BuildConfig, save_config
from flow.pipeline.stage import recorded
from flow.pipeline.stages import STAGES
from flow.pipeline.stages.convert import GOLDEN, GRAPH, VITIS, project_files
from flow.pipeline.stages.rtl import FOLDER, FOLDING
from flow.pipeline.subject import input_codes, subject_of
from flow.rtl import write

FRAMES = 12


def make(folder: Path) -> Path:
    """Writes the run."""
    config = BuildConfig(model="tiny", dataset="digits", images=FRAMES)
    save_config(config, folder / CONFIG)
    twin = fold_network(networks.tiny(networks.mixed_bits()))
    graph = hls.convert(twin, "tiny")
    images = input_codes(config, subject_of(config).samples(), twin.input)[:FRAMES]
    expected = golden.run(graph, images)
    places = {stage.name: folder / f"{number}_{stage.name}" for number, stage in enumerate(STAGES, start=1)}

    ir.save(graph, places["convert"] / GRAPH)
    write_whole(places["convert"] / GOLDEN, array_bytes(expected))
    project = hls.vitis_project(twin, places["convert"] / VITIS, find_board(config.board), images, expected)
    board = find_board(config.board)
    folding = solve(graph, Amount.of(board), 2000)
    file.save(graph, folding, places["rtl"] / FOLDING)
    write(graph, folding, places["rtl"] / FOLDER)
    write_json(places["report"] / "report.json", PLAIN)
    write_whole(places["report"] / "report.md", "# made up\n")
    files = {"convert": (GRAPH, GOLDEN, *project_files(project)), "rtl": (FOLDING, f"{FOLDER}/design.json")}
    files["report"] = ("report.json", "report.md")
    for stage in STAGES:
        values = {"input": twin.input.to_json()} if stage.name == "fold" else {}
        finish(folder, stage.name, files.get(stage.name, ()), values=values)
    return folder


def finish(
    folder: Path, name: str, files: tuple[str, ...] = (), digest: str | None = None, values: dict | None = None
) -> None:
    """Records a stage as finished, made from the stages before it as they are recorded now."""
    from flow.pipeline.stage import _sha256

    numbers = {stage.name: number for number, stage in enumerate(STAGES, start=1)}
    by_name = {stage.name: stage for stage in STAGES}
    place = folder / f"{numbers[name]}_{name}"
    needs = {need: recorded(by_name[need], numbers[need], folder)[0].digest for need in by_name[name].needs}
    sums = {file: _sha256(place / file) for file in files}
    done = {"digest": digest or name, "needs": needs, "seconds": 1.0, "files": sums, "values": values or {}}
    write_whole(place / "done.json", json.dumps(done))
