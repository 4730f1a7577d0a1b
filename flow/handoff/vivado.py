"""The RTL of a build for Vivado: sources, an IP block around them, test bench, constraints, scripts, host driver."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from flow import paths
from flow.files import write_json, write_whole
from flow.folding import Folding
from flow.handoff.finished import FinishedBuild
from flow.handoff.render import render
from flow.ir import Graph, TensorType
from flow.pipeline.arrays import array_bytes
from flow.rtl.network import BYTE, padded_bits
from flow.rtl.write import used_components
from flow.simulate.beats import to_bus

#: frames that the test bench sends, and those that come along for the board
BENCH_FRAMES, HOST_FRAMES = 4, 100
#: the component that the IP block adds to the network's own
REGISTERS = "axi_lite_registers"


@dataclass(frozen=True)
class Port:
    """One AXI4-Stream side of the IP block.

    Attributes:
        kind: of the tensor.
        lanes: elements of a beat.
    """

    kind: TensorType
    lanes: int

    @property
    def network_bytes(self) -> int:
        """Bytes of a beat of `<network>_top`."""
        return self.lanes * padded_bits(self.kind.width_bits) // BYTE

    @property
    def bytes(self) -> int:
        """Bytes of a beat of the IP block: a power of two, as DMA engines want it; what is above is padding."""
        return 1 << (self.network_bytes - 1).bit_length()

    @property
    def beats(self) -> int:
        """Of a frame."""
        return self.kind.elements // self.lanes

    def words(self, x: np.ndarray) -> np.ndarray:
        """uint8 (frames x beats, bytes): the beats of the IP block."""
        beats = to_bus(x, self.kind, self.lanes)
        return np.pad(beats, ((0, 0), (0, self.bytes - beats.shape[1])))

    def describe(self) -> dict:
        """What the host driver reads of it."""
        kind = self.kind
        return {
            "shape": list(kind.shape), "lanes": self.lanes, "beats": self.beats, "beat_bytes": self.bytes,
            "element_bytes": padded_bits(kind.width_bits) // BYTE, "width_bits": kind.width_bits,
            "signed": kind.signed, "fraction_bits": kind.fraction_bits,
        }  # fmt: skip


def ports(graph: Graph, folding: Folding) -> tuple[Port, Port]:
    """The way in and the way out."""
    source = Port(graph.input.output, folding.output_lanes(graph, graph.input))
    return source, Port(graph.output.output, folding.input_lanes(graph, graph.output))


def ip_values(graph: Graph, folding: Folding, identity: int) -> dict:
    """What the template of the IP block, rtl/ip.v, is filled with."""
    source, sink = ports(graph, folding)
    return {
        "network": graph.name, "ip": f"{graph.name}_ip", "identity": f"{identity:08x}", "source": source, "sink": sink,
        "runtime": graph.runtime, "address_bits": 8 if graph.runtime else 6,
    }  # fmt: skip


def write(build: FinishedBuild, folder: Path) -> None:
    """Writes all files of the hand-off."""
    design, (source, sink) = build.design, ports(build.graph, build.folding)
    for path in (*design.sources, *design.memory_files, *_added(build)):
        write_whole(folder / "rtl" / path.name, path.read_bytes())
    images, expected = build.vectors_after_reset(HOST_FRAMES)
    frames = min(BENCH_FRAMES, len(images))
    write_whole(folder / "sim" / "stimulus.hex", hex_words(source.words(images[:frames])))
    write_whole(folder / "sim" / "expected.hex", hex_words(sink.words(expected[:frames])))
    write_whole(folder / "host" / "images.npy", array_bytes(images))
    write_whole(folder / "host" / "expected.npy", array_bytes(expected))
    block = ip_values(build.graph, build.folding, build.identity)
    name = block["ip"]
    write_json(folder / "host" / "network.json", {
        "network": design.name, "ip": name, "build": build.identity,
        "input": source.describe(), "output": sink.describe(),
        "runtime": build.graph.runtime and asdict(build.graph.runtime),
    })  # fmt: skip
    values = {
        **block,
        "board": build.board,
        "clock_ns": f"{build.board.clock_ns:.3f}",
        "frames": frames,
        "host_frames": len(images),
        # a frame under stalls; what the simulation took without, and room
        "patience_cycles": 20 * max(build.report.latency.first_frame_cycles or 0, source.beats) + 20_000,
        "interval_cycles": build.report.latency.interval_cycles,
    }
    render("vivado", folder, values, {"rtl/ip.v": f"rtl/{name}.v"})


def _added(build: FinishedBuild) -> list[Path]:
    """Components that the IP block needs and the network does not."""
    library = paths.verilog()
    names = used_components({REGISTERS}, library)
    return [library / name for name in names if name not in build.design.components]


def hex_words(words: np.ndarray) -> str:
    """One beat a line, byte 0 in the low digits, as $readmemh reads it."""
    return "".join(row[::-1].tobytes().hex() + "\n" for row in words)
