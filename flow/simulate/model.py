"""The network under the C++ harness of testbench/network.cpp: the fast simulator."""

from __future__ import annotations

from pathlib import Path

from flow import paths
from flow.cache import content, digest
from flow.files import write_whole
from flow.rtl import Design
from flow.simulate.verilate import COMMON, NO_INLINE, verilate
from flow.tools import verilator

#: full speed: no unknown values, no assertions; the cocotb bench has them
FLAGS = ("--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing")
CFLAGS = "-O3 -march=native"


def build(design: Design, cache: Path, traced: tuple[tuple[str, int], ...] = (), runtime: bool = False) -> Path:
    """The program that simulates `<name>_top`, built or found in `cache`.

    Args:
        traced: (stream, bits) of each stream that the program can record; none makes it fastest.
        runtime: whether the top takes a configuration with each frame.

    Raises:
        CheckFailed: Verilator or the compiler refuses the design.
    """
    harness = paths.testbench() / "network.cpp"
    streams = "".join(f'STREAM("{n}", {design.name}_top__DOT__u_network__DOT__{n}, {bits})\n' for n, bits in traced)
    visible = "".join(
        f'public_flat_rd -module "{design.name}_network" -var "{name}_{role}"\n'
        for name, _ in traced
        for role in ("tdata", "tvalid", "tready")
    )
    flags = f"{CFLAGS} -DCONFIGURATION" if runtime else CFLAGS
    key = digest(
        [*content([*design.sources, harness]), streams, NO_INLINE, *COMMON, *FLAGS, flags, verilator.version()]
    )
    folder = cache / "verilated" / key[:24]
    arguments = [
        "--top-module",
        f"{design.name}_top",
        *FLAGS,
        "-CFLAGS",
        f"{flags} -I{folder}",
        *design.sources,
        harness,
    ]
    return verilate(folder, visible, lambda: write_whole(folder / "streams.inc", streams), arguments, design.folder)
