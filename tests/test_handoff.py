"""flow handoff: what it writes runs without the vendor's tools; its Tcl under stand-ins for the vendor's commands."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import finished_build
import numpy as np
import pytest

from flow import handoff
from flow.rtl.beats import to_bus
from flow.tools import verilator

VENDOR_TCL = Path(__file__).parent / "vendor.tcl"


def shell(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """./run.sh in a hand-off folder."""
    environment = {**os.environ, **verilator.environment(), **environment}
    return subprocess.run(
        ["./run.sh", *words], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def tcl(script: Path, calls: Path, **environment: str) -> subprocess.CompletedProcess:
    """Runs a script under the stand-ins of vendor.tcl: with tclsh, or with the Tcl inside Python's tkinter."""
    if shutil.which("tclsh"):
        interpreter = ["tclsh", VENDOR_TCL, script]
    elif importlib.util.find_spec("_tkinter"):
        code = "import sys, tkinter; t = tkinter.Tcl(); t.setvar('argv', sys.argv[2]); t.evalfile(sys.argv[1])"
        interpreter = [sys.executable, "-c", code, VENDOR_TCL, script]
    elif os.environ.get("CI"):
        pytest.fail("neither tclsh nor Python's tkinter is here")
    else:
        pytest.skip("neither tclsh nor Python's tkinter is here: apt install tcl")
    environment = {**os.environ, "CALLS": str(calls), **environment}
    words = [str(word) for word in interpreter]
    return subprocess.run(words, env=environment, cwd=calls.parent, check=False, capture_output=True, text=True)


def recorded_calls(calls: Path) -> list[str]:
    """Names of the commands, in order."""
    return [line.split()[0] for line in calls.read_text().splitlines()]


# what is written


def test_no_file_says_where_it_was_written(handed, made):
    for folder in handed.values():
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert str(made.parent).encode() not in data and b"/site-packages" not in data, path


def test_the_manifest_names_every_file(handed):
    for target, folder in handed.items():
        manifest = json.loads((folder / "handoff.json").read_text())
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert set(manifest["files"]) == files - {"handoff.json"}
        assert (manifest["target"], manifest["network"], manifest["part"]) == (target, "tiny", "xc7z020clg400-1")


def test_part_and_clock_are_the_board_s(handed):
    for name in ("vitis/settings.tcl", "vivado/tcl/settings.tcl", "vivado/constraints/clock.xdc"):
        target, _, file = name.partition("/")
        text = (handed[target] / file).read_text()
        assert "10.000" in text
        assert "xc7z020clg400-1" in text or file.endswith(".xdc")


@pytest.mark.parametrize("target", handoff.TARGETS)
def test_the_readme_says_what_has_not_been_run(handed, target):
    text = (handed[target] / "README.md").read_text()
    assert "**Not run: Vi" in text
    assert "{{" not in text and "{%" not in text


# Vitis


def test_the_c_simulation_runs_from_the_folder_itself(handed, tmp_path):
    folder = Path(shutil.copytree(handed["vitis"], tmp_path / "copy"))
    done = shell(folder, "g++")
    assert done.returncode == 0, done.stderr
    assert f"PASSED: every integer of {finished_build.FRAMES} images is as expected" in done.stdout
    program = ["build/csim", "tb_data/cosim_images.bin", "build/out.bin", "tb_data/cosim_expected.bin"]
    assert subprocess.run(program, cwd=folder, check=False, capture_output=True).returncode == 0
    expected = folder / "tb_data" / "cosim_expected.bin"
    values = np.fromfile(expected, "<i8")
    values[-1] += 1
    expected.write_bytes(values.tobytes())
    done = subprocess.run(program, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "FAILED: image 2, output 9: expected" in done.stderr


def test_vitis_tcl_does_all_steps(handed, tmp_path):
    calls = tmp_path / "calls"
    done = tcl(handed["vitis"] / "run.tcl", calls)
    assert done.returncode == 0, done.stderr
    names = recorded_calls(calls)
    steps = [f"{step}_design" for step in ("csim", "csynth", "cosim", "export")]
    assert [n for n in names if n.endswith("_design")] == steps
    lines = calls.read_text()
    assert "set_part xc7z020clg400-1" in lines and "create_clock -period 10.000 -name default" in lines
    assert "-argv {tb_data/cosim_images.bin tb_data/cosim_outputs.bin tb_data/cosim_expected.bin}" in lines
    assert names.index("open_solution") < names.index("set_part") < names.index("csim_design")


def test_vitis_steps_can_be_selected(handed, tmp_path):
    calls = tmp_path / "calls"
    assert tcl(handed["vitis"] / "run.tcl", calls, FLOW_STEPS="cosim").returncode == 0
    assert [n for n in recorded_calls(calls) if n.endswith("_design")] == ["cosim_design"]
    assert "-reset" not in calls.read_text(), "co-simulation needs what synthesis left"
    done = tcl(handed["vitis"] / "run.tcl", tmp_path / "other", FLOW_STEPS="csim cosyn")
    assert done.returncode != 0 and "unknown step 'cosyn': known: csim, csynth, cosim, export" in done.stderr


def test_the_settings_of_co_simulation_reach_it(handed, tmp_path):
    folder = Path(shutil.copytree(handed["vitis"], tmp_path / "copy"))
    text = (folder / "settings.tcl").read_text()
    for name in ("random_stall", "fifo_sizing"):
        text = text.replace(f"cosim_{name} 0", f"cosim_{name} 1")
    (folder / "settings.tcl").write_text(text)
    assert tcl(folder / "run.tcl", tmp_path / "calls").returncode == 0
    (line,) = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("cosim_design")]
    assert "-random_stall" in line and "-enable_fifo_sizing" in line


def test_the_stand_ins_refuse_what_is_not_documented(tmp_path):
    for text, message in (("synth_design -tpo x", "no option -tpo"), ("sinth_design", "invalid command name"),
                          ("read_xdc nowhere.xdc", "no such file"), ("csim_design -argv", "no value")):  # fmt: skip
        script = tmp_path / "wrong.tcl"
        script.write_text(text)
        done = tcl(script, tmp_path / "calls")
        assert done.returncode != 0 and message in done.stderr


# Vivado


def test_the_test_bench_passes_and_sees_a_wrong_word(handed, tmp_path):
    folder = Path(shutil.copytree(handed["vivado"], tmp_path / "copy"))
    done = shell(folder, "verilator")
    assert done.returncode == 0, done.stderr
    assert "PASSED: 4 frames twice, every word as expected" in done.stdout
    work = folder / "build" / "verilator"
    for file, message in (("expected.hex", "FAILED: frame 3, word 9"), ("stimulus.hex", "FAILED: frame 3, word")):
        good = (work / file).read_text()
        lines = good.split()
        inverted = [f"{int(word, 16) ^ 0xFFFFFF:08x}" for word in lines[-20:]]
        spoiled = inverted if file == "stimulus.hex" else ["00abcdef"]
        (work / file).write_text("\n".join([*lines[: -len(spoiled)], *spoiled]) + "\n")
        done = subprocess.run(["obj/Vtestbench"], cwd=work, check=False, capture_output=True, text=True)
        assert done.returncode != 0 and message in done.stdout + done.stderr
        (work / file).write_text(good)


def test_the_ip_block_under_cocotb(handed, made, tmp_path):
    """AXI4-Stream and AXI4-Lite together: stalls on all channels, soft resets with frames inside."""
    from flow import paths
    from flow.rtl.ip import ports
    from flow.simulate.bench import run_tests, simulator

    build = handoff.finished(made)
    source, sink = ports(build.graph, build.folding)
    images, _, expected = build.vectors(3)
    rtl = handed["vivado"] / "rtl"
    program = simulator([*sorted(rtl.glob("*.sv")), rtl / "tiny_ip.v"], "tiny_ip", rtl, paths.cache())
    frames, results = (port.words(x).reshape(3, -1) for port, x in ((source, images), (sink, expected)))
    variables = {"BUILD": build.identity, "IN_BEATS": source.beats, "OUT_BEATS": sink.beats, "PATIENCE": 40_000}
    words = {name: str(value) for name, value in variables.items()}
    assert run_tests(program, "tiny_ip", "test_ip", frames, results, rtl, tmp_path, 1, words) == 3


def test_vivado_tcl_implements_out_of_context(handed, tmp_path):
    folder = Path(shutil.copytree(handed["vivado"], tmp_path / "copy"))
    done = tcl(folder / "tcl" / "implement.tcl", tmp_path / "calls")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "calls").read_text()
    assert "synth_design -top tiny_ip -part xc7z020clg400-1 -mode out_of_context" in lines
    assert "read_xdc -mode out_of_context" in lines
    assert "axi_lite_registers.sv" in lines and "read_verilog tiny_ip.v" in lines
    names = recorded_calls(tmp_path / "calls")
    order = ["synth_design", "opt_design", "place_design", "route_design", "report_timing_summary"]
    assert sorted(order, key=names.index) == order
    assert (folder / "reports" / "timing_summary_routed.rpt").exists(), "where --collect looks for it"


def test_vivado_tcl_packages_the_ip(handed, tmp_path):
    folder = Path(shutil.copytree(handed["vivado"], tmp_path / "copy"))
    done = tcl(folder / "tcl" / "package_ip.tcl", tmp_path / "calls")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "calls").read_text()
    for bus in ("s_axi", "s_axis", "m_axis"):
        assert f"ipx::associate_bus_interfaces -busif {bus} -clock ap_clk" in lines
    assert "set_property file_type {Memory Initialization Files}" in lines
    assert recorded_calls(tmp_path / "calls")[-2:] == ["ipx::save_core", "close_project"]


@pytest.mark.parametrize("target", handoff.TARGETS)
def test_run_sh_names_what_is_missing(handed, target):
    assert subprocess.run(["bash", "-n", "run.sh"], cwd=handed[target], check=False).returncode == 0
    # a path on which no vendor's tool is, wherever this machine may have them
    done = shell(handed[target], *(["implement"] if target == "vivado" else []), PATH="/usr/bin:/bin")
    assert done.returncode == 2 and ("is not on PATH" in done.stderr or "is on PATH" in done.stderr)
    if target == "vivado":
        done = shell(handed[target], "implemnt")
        assert done.returncode == 2 and "unknown step 'implemnt'" in done.stderr


# the host's driver


@pytest.fixture
def driver(handed) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("driver", handed["vivado"] / "host" / "driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_driver_packs_as_the_simulators_do(driver, handed, made):
    from flow.rtl.ip import ports

    description = json.loads((handed["vivado"] / "host" / "network.json").read_text())
    finished = handoff.finished(made)
    source, sink = ports(finished.graph, finished.folding)
    images = np.load(handed["vivado"] / "host" / "images.npy")
    generator = np.random.default_rng(3)
    limit = 1 << sink.kind.width_bits - 1
    results = generator.integers(-limit, limit, (50, *sink.kind.shape))
    results[0], results[1] = -limit, limit - 1
    for port, name, frames in ((source, "input", images), (sink, "output", results)):
        stream = driver.Stream(description[name])
        beats = stream.pack(frames)
        assert beats.shape == (len(frames), port.beats, port.bytes)
        flat = beats.reshape(-1, port.bytes)
        np.testing.assert_array_equal(flat[:, : port.network_bytes], to_bus(frames, port.kind, port.lanes))
        assert not flat[:, port.network_bytes :].any()
        np.testing.assert_array_equal(stream.unpack(beats), frames)
    with pytest.raises(ValueError, match="values are 0 to 255"):
        driver.Stream(description["input"]).pack(images.astype(int) - 1)
    with pytest.raises(ValueError, match="frames of shape"):
        driver.Stream(description["input"]).pack(images[:, 1:])


class Board:
    """Stands in for pynq: the IP block computes golden's results for the images that come along."""

    def __init__(self, driver: types.ModuleType, folder: Path) -> None:
        self.driver = driver
        self.description = json.loads((folder / "host" / "network.json").read_text())
        d = driver
        self.values = {
            d.ID: d.MAGIC, d.VERSION: d.MAP_VERSION, d.BUILD: self.description["build"], d.INTERVAL: 79,
            d.IN_BEATS: self.description["input"]["beats"], d.OUT_BEATS: self.description["output"]["beats"],
            d.FRAMES_IN: 0, d.FRAMES_OUT: 0, d.HOLD: 0, d.CONTROL: 0, d.STATUS: 0,
        }  # fmt: skip
        source, sink = driver.Stream(self.description["input"]), driver.Stream(self.description["output"])
        images, expected = (np.load(folder / "host" / f"{name}.npy") for name in ("images", "expected"))
        packed = zip(source.pack(images), sink.pack(expected.reshape(-1, *sink.shape)))
        self.table = {given.tobytes(): out.reshape(-1) for given, out in packed}
        self.results: list[np.ndarray] = []
        self.held: dict[int, int] = {}
        self.begun: list[list[int]] = []
        self.waiting = None
        self.sendchannel = types.SimpleNamespace(transfer=self.send, wait=lambda: None)
        self.recvchannel = types.SimpleNamespace(transfer=self.receive, wait=self.arrive)

    def read(self, address: int) -> int:
        return self.held.get(address, self.values[address])

    def write(self, address: int, value: int) -> None:
        if address >= self.driver.LAYER_BITS:
            assert address in self.values and value in self.description["runtime"]["widths"], "an error on the bus"
            (self.held if self.values[self.driver.HOLD] else self.values)[address] = value
        elif address == self.driver.HOLD:
            self.values |= {address: value} | ({} if value else self.held)
            self.held = self.held if value else {}
        else:
            assert (address, value) == (self.driver.CONTROL, self.driver.SOFT_RESET)

    def send(self, buffer, start: int, nbytes: int) -> None:
        self.results.append(self.table[bytes(buffer[start : start + nbytes])])
        self.values[self.driver.FRAMES_IN] += 1
        self.begun.append([value for address, value in self.values.items() if address >= self.driver.LAYER_BITS])

    def receive(self, buffer, start: int, nbytes: int) -> None:
        assert self.waiting is None, "one transfer at a time"
        self.waiting = buffer[start : start + nbytes]

    def arrive(self) -> None:
        self.waiting[:] = self.results.pop(0)
        self.waiting = None
        self.values[self.driver.FRAMES_OUT] += 1

    def module(self) -> types.ModuleType:
        class Buffer(np.ndarray):
            def flush(self): ...

            def invalidate(self): ...

            def freebuffer(self): ...

        overlay = types.SimpleNamespace(tiny_ip_0=self, axi_dma_0=self)
        pynq = types.ModuleType("pynq")
        pynq.Overlay = lambda bitstream: overlay
        pynq.allocate = lambda shape, dtype: np.zeros(shape, dtype).view(Buffer)
        return pynq


def test_the_driver_sets_the_widths_of_layers(driver, handed, monkeypatch, tmp_path):
    plain = json.loads((handed["vivado"] / "host" / "network.json").read_text())
    assert plain["runtime"] is None
    copy = tmp_path / "host"
    shutil.copytree(handed["vivado"] / "host", copy)
    (copy / "network.json").write_text(json.dumps({**plain, "runtime": {"widths": [2, 3, 4], "layers": ["a", "b"]}}))
    monkeypatch.setattr(driver, "HERE", copy)
    board = Board(driver, tmp_path)
    board.values |= {driver.LAYER_BITS: 4, driver.LAYER_BITS + 4: 4}
    monkeypatch.setitem(sys.modules, "pynq", board.module())
    network = driver.Network("design.bit")
    assert network.bits == {"a": 4, "b": 4}
    network.bits = {"b": 2}
    assert (network.bits, board.values[driver.LAYER_BITS + 4]) == ({"a": 4, "b": 2}, 2)
    network.bits = 3
    assert network.bits == {"a": 3, "b": 3}
    network.bits = [4, 3]
    assert network.bits == {"a": 4, "b": 3}
    network.bits = 3
    images = np.load(copy / "images.npy")[:3]
    network.run(images, [[2, 3], {"b": 4}, 3])
    assert board.begun == [[2, 3], [2, 4], [3, 3]], "each frame begins with its own"
    with pytest.raises(ValueError, match="1 widths are given for 2 layers"):
        network.bits = [2]
    with pytest.raises(ValueError, match="2 frames' widths are given for 3 frames"):
        network.run(images, [2, 3])
    with pytest.raises(ValueError, match=r"widths are 2, 3, 4, not \{'a': 5\}"):
        network.bits = {"b": 2, "a": 5}
    with pytest.raises(ValueError, match=r"no layer \['c'\] chooses its width; these do: a, b"):
        network.bits = {"c": 2}
    assert network.bits == {"a": 3, "b": 3}


def test_the_driver_runs_frames_and_checks_itself(driver, handed, monkeypatch, capsys):
    board = Board(driver, handed["vivado"])
    monkeypatch.setitem(sys.modules, "pynq", board.module())
    assert driver.main(["design.bit"]) == 0
    assert f"0 of {10 * finished_build.FRAMES} integers differ" in capsys.readouterr().out
    network = driver.Network("design.bit")
    assert network.frames == (finished_build.FRAMES,) * 2 and network.interval_cycles == 79
    assert network.run(np.zeros((0, *network.input.shape), np.uint8)).shape == (0, *network.output.shape)
    next(iter(board.table.values()))[0] ^= 1
    assert driver.main(["design.bit"]) == 1
    board.values[driver.STATUS] = 1
    with pytest.raises(RuntimeError, match="wrong length"):
        driver.main(["design.bit"])
    board.values[driver.BUILD] ^= 1
    with pytest.raises(RuntimeError, match="another design: BUILD"):
        driver.Network("design.bit")
    assert driver.main([]) == 2
