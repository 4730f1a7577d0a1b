"""The figures of a build outlast it, and are those of the weights that were built."""

from __future__ import annotations

import pytest
from reports import PLAIN

from flow.benchmark import builds
from flow.boards import Board
from flow.errors import FlowError
from flow.files import write_json
from flow.report import check, load
from flow.report.measured import keep_report, kept_report
from flow.report.readme import results_table


def test_a_report_of_other_weights_rate_or_chip_is_not_taken(tmp_path):
    told = []
    stage = tmp_path / "run" / "8_report"
    stage.mkdir(parents=True)
    write_json(stage / "report.json", check(PLAIN).model_dump())
    resources, clock = PLAIN["resources"], PLAIN["latency"]["clock_mhz"]
    amounts = {key: resources["budget"][key] for key in ("lut", "ff", "dsp", "bram36", "lutram")}
    board = Board(name="mine", part=resources["device"], clock_mhz=clock, **amounts)

    def kept(name: str = "kept.json", sha256: str = "a" * 64, cycles: int = 600, **other):
        return kept_report(tmp_path / name, sha256, cycles, board.model_copy(update=other), told.append)

    keep_report(stage / "report.json", "a" * 64, 600, tmp_path / "kept.json")
    assert kept() == load(stage / "report.json") and not told
    assert kept(sha256="b" * 64) is None and kept(cycles=700) is None and kept(part="xc7z045") is None
    assert kept(lut=board.lut - 1) is None and kept(clock_mhz=clock + 1) is None
    assert "not taken, is of other weights: aaaaaaaaaaaa, not bbbbbbbbbbbb" in told[0]
    assert (
        "of other cycles between frames: 600, not 700" in told[1]
        and f"another chip: {board.part}, not xc7z045" in told[2]
    )
    (stage / "report.json").unlink()
    assert not builds(tmp_path) and "No build" in results_table(tmp_path), "it is no build of its own"
    assert kept("none.json") is None
    write_json(tmp_path / "kept.json", {"report": {}})
    with pytest.raises(FlowError, match="not a report that was kept"):
        kept()
    with pytest.raises(FlowError, match=r"report\.json"):
        keep_report(stage / "report.json", "a" * 64, 600, tmp_path / "kept.json")
