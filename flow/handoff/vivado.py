"""The RTL of a build for Vivado: sources, an IP block around them, test bench, constraints, scripts, host driver."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from flow import golden, paths
from flow.files import write_json, write_whole
from flow.handoff.finished import FinishedBuild
from flow.handoff.render import render
from flow.pipeline.arrays import array_bytes
from flow.rtl.ip import REGISTERS, address_bits, ip_block, name_of, ports
from flow.rtl.write import used_components

#: frames that the test bench sends, and those that come along for the board
BENCH_FRAMES, HOST_FRAMES = 4, 100


def write(build: FinishedBuild, folder: Path) -> None:
    """Writes all files of the hand-off."""
    design, (source, sink) = build.design, ports(build.graph, build.folding)
    for path in (*design.sources, *design.memory_files, *_added(build)):
        write_whole(folder / "rtl" / path.name, path.read_bytes())
    images, fields, expected = build.vectors(HOST_FRAMES)
    frames, runtime = min(BENCH_FRAMES, len(images)), build.graph.runtime
    write_whole(folder / "sim" / "stimulus.hex", hex_words(source.words(images[:frames])))
    results = {"expected": expected[:frames]}
    if runtime:
        write_whole(folder / "host" / "widths.npy", array_bytes(np.array(runtime.widths)[fields]))
        ends = {"expected": runtime.widths[-1], "narrowest": runtime.widths[0]}
        results = {
            name: golden.run(build.graph, images[:frames], configuration=[width] * len(runtime.layers))
            for name, width in ends.items()
        }
    for name, values in results.items():
        write_whole(folder / "sim" / f"{name}.hex", hex_words(sink.words(values)))
    write_whole(folder / "host" / "images.npy", array_bytes(images))
    write_whole(folder / "host" / "expected.npy", array_bytes(expected))
    name = name_of(design.name)
    write_whole(folder / "rtl" / f"{name}.v", ip_block(build.graph, build.folding, build.identity))
    write_json(folder / "host" / "network.json", {
        "network": design.name, "ip": name, "build": build.identity,
        "input": source.describe(), "output": sink.describe(),
        "runtime": runtime and asdict(runtime),
    })  # fmt: skip
    values = {
        "network": design.name,
        "ip": name,
        "identity": f"{build.identity:08x}",
        "source": source,
        "sink": sink,
        "runtime": runtime,
        "address_bits": address_bits(build.graph),
        "board": build.board,
        "clock_ns": f"{build.board.clock_ns:.3f}",
        "frames": frames,
        "host_frames": len(images),
        # a frame under stalls; what the simulation took without, and room
        "patience_cycles": 20 * max(build.report.latency.first_frame_cycles or 0, source.beats) + 20_000,
        "interval_cycles": build.report.latency.interval_cycles,
    }
    render("vivado", folder, values)


def _added(build: FinishedBuild) -> list[Path]:
    """Components that the IP block needs and the network does not."""
    library = paths.verilog()
    names = used_components({REGISTERS}, library)
    return [library / name for name in names if name not in build.design.components]


def hex_words(words: np.ndarray) -> str:
    """One beat a line, byte 0 in the low digits, as $readmemh reads it."""
    return "".join(row[::-1].tobytes().hex() + "\n" for row in words)
