"""The C++ harness of whole networks: a surplus result is seen, however right all others are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import Builder
from networks import CACHE

from flow import golden
from flow.errors import CheckFailed
from flow.folding.solve import for_cycles
from flow.ir import TensorType
from flow.rtl import write
from flow.simulate.bench import run_bench
from flow.simulate.fast import Simulator

#: keeps a result that was taken at the output for another moment, once there has been one
_REPEATED = ("assign m_axis_tlast = count", "assign m_axis_tlast = !held_valid || count")
_VALID = """  logic held_valid, more;
  assign m_axis_tvalid = held_valid || more;
  always_ff @(posedge clk) begin
    if (rst) more <= 1'b0;
    else more <= !more && held_valid && m_axis_tready && m_axis_tlast;
  end

  stream_register #("""


def test_a_result_too_many_is_seen(tmp_path: Path):
    b = Builder("little", TensorType((4,), 4, False), 1)
    graph = b.finish(b.matvec("dense", "image", 3, 4))
    folding = for_cycles(graph, 20)
    design = write(graph, folding, tmp_path / "rtl")
    images = np.arange(4).reshape(1, 4)
    expected = golden.run(graph, images)
    (file,) = (path for path in design.sources if Path(path).name == "axis_output.sv")
    place = tmp_path / "rtl" / Path(file).name
    text = Path(file).read_text()
    text = text.replace("  stream_register #(", _VALID, 1).replace(*_REPEATED)
    text = text.replace(".m_axis_tvalid(m_axis_tvalid)", ".m_axis_tvalid(held_valid)")
    place.write_text(text)
    with pytest.raises(CheckFailed, match="a beat came out behind the last frame's last one"):
        Simulator(graph, folding, design, CACHE, 1).run(images)
    with pytest.raises(CheckFailed, match="back_to_back_with_stalls"):
        run_bench(graph, folding, design, images, expected, CACHE, tmp_path / "bench")
