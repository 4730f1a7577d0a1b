"""Resources of a module on a Xilinx 7-series chip, by Yosys.

How cells are counted (the figures compare with other figures of this tool and these flags, not with Vivado's):

* `lut`: LUT1 to LUT6 cells. INV cells are left out: an inverter goes into the table that follows it.
* `lutram`: LUTs that serve as memory or shift register, in LUT6 of the chip: RAM32X1S, RAM64X1S 1; RAM32X1D,
  RAM64X1D, RAM128X1S 2; RAM32M, RAM64M, RAM128X1D, RAM256X1S 4; RAM32M16, RAM64M8, RAM512X1S 8; an SRL 1. They are
  not in `lut`; a chip has to hold the sum of both.
* `ff`: FDRE, FDSE, FDCE, FDPE and their kin, and latches.
* `dsp`: DSP48E1. `bram36`: RAMB36E1, and half of each RAMB18E1. `carry4`: CARRY4.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flow.cache import ResultCache
from flow.errors import CheckFailed
from flow.synth.job import Job, in_parallel
from flow.tools import yosys

FLAGS = "synth_xilinx -family xc7 -flatten -nowidelut -noiopad -noclkbuf"
#: What `synth_xilinx` begins with, less its second library: black boxes of cells that are only ever instantiated by
#: hand, which our sources never do; reading them takes longer than a small module.
_LIBRARY = "read_verilog -lib -specify +/xilinx/cells_sim.v"
#: How `synth_xilinx` maps memories, but for reading how a block RAM is wired where there is none, which takes as long
#: as the rest of a small module.
_MEMORIES = (
    "memory_libmap -logic-cost-rom 0.015625 -lib +/xilinx/lutrams_xc5v.txt -lib +/xilinx/brams_xc4v.txt"
    " -D HAS_SIZE_36 -D HAS_CASCADE -D HAS_MIXWIDTH_SDP -no-auto-huge",
    "techmap -map +/xilinx/lutrams_xc5v_map.v",
    "[t:$__XILINX_BLOCKRAM_*] techmap -map +/xilinx/brams_xc6v_map.v",
)
#: LUTs that a memory cell takes
LUTRAM_LUTS = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4, "RAM256X1S": 4,
    "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
}  # fmt: skip
_FLIPFLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1", "LDCE", "LDPE")


@dataclass(frozen=True)
class Resources:
    """What a module takes, counted as the head of this file says.

    Attributes:
        lut, ff, carry4, dsp, lutram: cells; `lutram` in LUTs and not part of `lut`.
        bram36: blocks of 36 Kbit, in halves.
        tool: name and version.
        flags: the synthesis command.
        seconds: time of the run that made the figures, which a cache hit repeats.
    """

    lut: int
    ff: int
    carry4: int
    dsp: int
    bram36: float
    lutram: int
    tool: str
    flags: str
    seconds: float

    @property
    def luts_used(self) -> int:
        """LUTs that the chip must have: logic and memory."""
        return self.lut + self.lutram


def synthesize(
    sources: Sequence[Path],
    top: str,
    parameters: Mapping[str, int | str] | None = None,
    memory_files: Sequence[Path] = (),
    *,
    cache: Path,
    flatten: bool = True,
    timeout_s: float | None = None,
) -> Resources:
    """Synthesizes one module, or repeats what was found for the same content before.

    Args:
        sources: SystemVerilog files, file = module; those that `top` does not reach are ignored.
        top: the module.
        parameters: values for parameters of `top`.
        memory_files: `$readmemh` files, which the sources name by their base names.
        cache: folder of results.
        flatten: off: the hierarchy stays, and a module that occurs twice with one set of parameters is
            synthesized once. Faster for a whole network, and a few per cent larger.
        timeout_s: limit on the wall-clock time.

    Raises:
        FlowError: a file or Yosys is missing, or the time ran out.
        CheckFailed: Yosys refuses the sources.
    """
    return run_job(Job(top, sources, top, parameters or {}, memory_files), cache, flatten, timeout_s)


def run_job(job: Job, cache: Path, flatten: bool = True, timeout_s: float | None = None) -> Resources:
    """`synthesize` for a `Job`."""
    flags = FLAGS if flatten else FLAGS.replace(" -flatten", "")
    tool = yosys.version()
    results = ResultCache(cache / "xc7")
    key = job.key(tool, flags)
    known = results.get(key)
    if known is not None:
        return Resources(**known)
    with tempfile.TemporaryDirectory(prefix="flow-xc7-") as temporary:
        folder = Path(temporary)
        script = [
            *job.stage(folder),
            *commands(job.top, flags),
            "tee -q -o stat.json stat -json",
        ]
        log = results.path(key).with_suffix(".log")
        finished = yosys.run_script("\n".join(script), folder, log, job.name, timeout_s)
        netlist = json.loads((folder / "stat.json").read_text())
    # instances are listed beside the cells that are in them
    modules = {name.removeprefix("\\") for name in netlist["modules"]} | set(job.black_boxes)
    cells = netlist["design"].get("num_cells_by_type", {})
    cells = {name: number for name, number in cells.items() if name.removeprefix("\\") not in modules}
    found = Resources(**count(cells), tool=tool, flags=flags, seconds=round(finished.seconds, 2))
    results.put(key, asdict(found))
    return found


def commands(top: str, flags: str = FLAGS) -> list[str]:
    """What Yosys does to an elaborated module.

    Args:
        flags: the synthesis command.
    """
    synthesis = f"{flags} -top {top} -run"
    return [_LIBRARY, f"{synthesis} prepare:map_memory", *_MEMORIES, f"{synthesis} map_ffram:"]


def count(cells: Mapping[str, int]) -> dict[str, int | float]:
    """Resources of a netlist from its number of cells by type.

    Raises:
        CheckFailed: cells that no rule counts, so that nothing is left out in silence.
    """
    rules = {
        "lut": {f"LUT{inputs}": 1 for inputs in range(1, 7)},
        "ff": dict.fromkeys(_FLIPFLOPS, 1),
        "carry4": {"CARRY4": 1},
        "dsp": {"DSP48E1": 1},
        "bram36": {"RAMB36E1": 1, "RAMB18E1": 0.5},
        "lutram": LUTRAM_LUTS,
    }
    # multiplexers that a slice has beside its LUTs, what the head of this file leaves out, and a name without a cell
    free = {"INV", "MUXF7", "MUXF8", "$scopeinfo"}
    counted = free.union(*rules.values())
    strange = {name for name in cells if name not in counted}
    if strange:
        raise CheckFailed(f"cells that no rule counts: {', '.join(sorted(strange))}")
    return {
        resource: sum(weight * cells.get(name, 0) for name, weight in weights.items())
        for resource, weights in rules.items()
    }


def whole(parts: Iterable[Resources]) -> Resources:
    """The sum of modules that were synthesized one by one: a network's layers, and the rest with the layers as black
    boxes.

    Nothing is optimized across the borders of the parts, which are streams. `seconds` is their sum as well.
    """
    parts = list(parts)
    names = ("lut", "ff", "carry4", "dsp", "bram36", "lutram", "seconds")
    sums = {name: sum(getattr(part, name) for part in parts) for name in names}
    return Resources(**sums, tool=parts[0].tool, flags=parts[0].flags)


def synthesize_many(
    jobs: Sequence[Job],
    cache: Path,
    workers: int = 2,
    progress: Callable[[str, Resources, int, int], None] | None = None,
    flatten: bool = True,
) -> dict[str, Resources]:
    """Synthesizes several modules, `workers` Yosys processes at a time.

    Args:
        jobs: with names of their own; the longest first keeps both cores busy to the end.
        cache: folder of results.
        workers: processes.
        progress: called after each with its name, its result, how many are done, and how many there are.
        flatten: as in `synthesize`.

    Returns:
        Results by name, in the order of the jobs.

    Raises:
        FlowError, CheckFailed: of the first job that fails; those not yet started are dropped.
    """
    return in_parallel(jobs, lambda job: run_job(job, cache, flatten), workers, progress)
