"""How long a module's paths are: routed on a Lattice ECP5-85 of the fastest grade, 8, a chip that open tools route.

The Fmax is a figure of the module, to compare modules and to find long paths; it is not the clock of any board.

Ports do not become pins, of which a chip has too few and whose paths would not be timed. A generated harness feeds
all inputs from one shift register and catches each output bit in a flip-flop, so that every path from and to a port
lies between two flip-flops like the others. Of a module whose lanes are copies of one another, a job may catch some
lanes only: what only the others need is then not built, which takes a fraction of the time; the copies' load on the
signals that all share is then not seen. A path that runs through several modules, a `tready` that passes one without
a register, is seen only in the part inside the module.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flow.cache import ResultCache
from flow.errors import CheckFailed
from flow.files import read_json
from flow.synth.job import Job, in_parallel
from flow.tools import nextpnr, yosys

FLAGS = "synth_ecp5"
DEVICE = ("--85k", "--package", "CABGA756", "--speed", "8")
SEED = 1
_FIGURES = ("fmax_mhz", "lut4", "ff")
_PORT = re.compile(r"^(input|output) \[(\d+):0\] (\w+),?$", re.MULTILINE)


@dataclass(frozen=True)
class Timing:
    """What routing found.

    Attributes:
        fmax_mhz: of the slowest path between two flip-flops, after routing; None where the time did not suffice.
        lut4, ff: ECP5's four-input LUTs and flip-flops, the harness' own included; None likewise.
        harness_ff: flip-flops that the harness added.
        lanes: how many lanes of the output were caught, and how many of them the module has; [1, 1] is all.
        seconds: of the run that made the figures, synthesis included; a cache hit repeats it.
        seed: of the placer.
        tool: names, versions, device.
        flags: of synthesis and routing.
    """

    fmax_mhz: float | None
    lut4: int | None
    ff: int | None
    harness_ff: int
    lanes: tuple[int, int]
    seconds: float
    seed: int
    tool: str
    flags: str


def route(
    sources: Sequence[Path],
    top: str,
    parameters: Mapping[str, int | str] | None = None,
    memory_files: Sequence[Path] = (),
    *,
    cache: Path,
    target_mhz: float = 100.0,
    timeout_s: float | None = None,
) -> Timing:
    """Synthesizes, places and routes one module, or repeats what was found for the same content before.

    Args:
        sources: SystemVerilog files, file = module; those that `top` does not reach are ignored.
        top: the module; its clock is `clk`.
        parameters: values for parameters of `top`.
        memory_files: `$readmemh` files, which the sources name by their base names.
        cache: folder of results.
        target_mhz: what the placer works for; a slower result is a result, not an error.
        timeout_s: limit on the wall-clock time of each tool.

    Raises:
        FlowError: a file or a tool is missing, or the time ran out.
        CheckFailed: Yosys refuses the sources, or the module does not fit the chip.
    """
    return run_job(Job(top, sources, top, parameters or {}, memory_files), cache, target_mhz, timeout_s)


def run_job(
    job: Job,
    cache: Path,
    target_mhz: float = 100.0,
    timeout_s: float | None = None,
    cpu_s: int | None = None,
) -> Timing:
    """`route` for a `Job`, with a limit on the processor time of placing and routing: past it, no figure is known."""
    routing = [*DEVICE, "--freq", f"{target_mhz:g}", "--seed", str(SEED), "--timing-allow-fail"]
    tool = f"{yosys.version()}, {nextpnr.version()}, LFE5U-85F speed 8"
    flags = " ".join([FLAGS, *routing])
    results = ResultCache(cache / "ecp5")
    key = job.key(tool, flags)
    too_long = job.key(tool, flags, f"within {cpu_s} s")
    known = results.get(key) or (results.get(too_long) if cpu_s else None)
    if known is not None:
        return Timing(**{**known, "lanes": tuple(known["lanes"])})
    log = results.path(key)
    with tempfile.TemporaryDirectory(prefix="flow-ecp5-") as temporary:
        folder = Path(temporary)
        script = [*job.stage(folder), "rename -top dut", "tee -q -o ports.txt portlist -m", "write_rtlil dut.il"]
        seconds = yosys.run_script("\n".join(script), folder, log.with_suffix(".read.log"), job.name, timeout_s).seconds
        text, harness_ff = harness((folder / "ports.txt").read_text(), job.name, job.lanes)
        (folder / "harness.sv").write_text(text)
        # what no output needs goes, though it has a name or is to be kept; what stays is kept as before
        flat = ["hierarchy -top harness", "proc", "flatten", "select -set kept w:* a:keep %i"]
        flat += ["setattr -unset keep @kept", "opt_clean -purge", "setattr -set keep 1 @kept"]
        script = ["read_rtlil dut.il", "read_verilog -sv harness.sv", *flat, f"{FLAGS} -top harness -json netlist.json"]
        seconds += yosys.run_script(
            "\n".join(script), folder, log.with_suffix(".yosys.log"), job.name, timeout_s
        ).seconds
        options = ["--json", "netlist.json", "--report", "report.json", "--lpf-allow-unconstrained", *routing]
        routed = nextpnr.place_and_route(options, folder, log.with_suffix(".nextpnr.log"), job.name, timeout_s, cpu_s)
        figures = _figures(read_json(folder / "report.json"), job.name) if routed else dict.fromkeys(_FIGURES)
    seconds += routed.seconds if routed else cpu_s
    known = {"seconds": round(seconds, 2), "seed": SEED, "tool": tool, "flags": flags}
    found = Timing(**figures, harness_ff=harness_ff, lanes=job.lanes, **known)
    results.put(key if routed else too_long, asdict(found))
    return found


def route_many(
    jobs: Sequence[Job],
    cache: Path,
    workers: int = 2,
    progress: Callable[[str, Timing, int, int], None] | None = None,
    target_mhz: float = 100.0,
    cpu_s: int | None = None,
) -> dict[str, Timing]:
    """Routes several modules, `workers` at a time; arguments and errors as of `xc7.synthesize_many` and `run_job`."""
    nextpnr.prepare()
    return in_parallel(jobs, lambda job: run_job(job, cache, target_mhz, cpu_s=cpu_s), workers, progress)


def harness(ports: str, name: str, lanes: tuple[int, int] = (1, 1)) -> tuple[str, int]:
    """The module that puts every port of `dut` between flip-flops.

    Args:
        ports: what Yosys' `portlist -m` says of `dut`.
        name: of the module, for the message.
        lanes: how many lanes of `m_axis_tdata` are caught, and how many there are.

    Returns:
        SystemVerilog text of module `harness`, and the number of its flip-flops.

    Raises:
        CheckFailed: the module has no port `clk`, no other input, or no output.
    """
    found = [(direction, int(high) + 1, port) for direction, high, port in _PORT.findall(ports)]
    inputs = [(width, port) for direction, width, port in found if direction == "input" and port != "clk"]
    caught, all_lanes = lanes
    outputs = [
        (width * caught // all_lanes if port == "m_axis_tdata" else width, port)
        for direction, width, port in found
        if direction == "output"
    ]
    if not inputs or not outputs or ("input", 1, "clk") not in found:
        raise CheckFailed(f"{name}: routing needs a clock 'clk', another input and an output; ports: {ports.strip()}")
    feed, catch = sum(width for width, _ in inputs), sum(width for width, _ in outputs)
    lines = [
        f"    .{port}({part})"
        for vector, group in (("feed", inputs), ("seen", outputs))
        for port, part in _slices(vector, group)
    ]
    connections = ",\n".join(["    .clk(clk)", *lines])
    text = f"""module harness (input logic clk, input logic serial_in, output logic serial_out);
  logic [{feed - 1}:0] feed;
  logic [{catch - 1}:0] seen, caught;
  logic [{catch}:0] chain;
  dut dut (
{connections}
  );
  always_ff @(posedge clk) begin
    feed   <= {{feed, serial_in}};
    caught <= seen;
    chain  <= {{chain[{catch - 1}:0] ^ caught, feed[{feed - 1}]}};
  end
  assign serial_out = chain[{catch}];
endmodule
"""
    return text, feed + 2 * catch + 1


def _slices(vector: str, ports: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    """The part of `vector` that belongs to each port, low bits first."""
    found, low = [], 0
    for width, port in ports:
        found.append((port, f"{vector}[{low}+:{width}]"))
        low += width
    return found


def _figures(report: Mapping, name: str) -> dict[str, float | int]:
    """Fmax and cell counts from nextpnr's JSON report."""
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    if not clocks:
        raise CheckFailed(f"{name}: nextpnr found no path between two flip-flops: {json.dumps(report['fmax'])}")
    used = {cell: entry["used"] for cell, entry in report["utilization"].items()}
    return dict(zip(_FIGURES, (round(min(clocks), 1), used["TRELLIS_COMB"], used["TRELLIS_FF"]), strict=True))
