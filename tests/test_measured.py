"""The figures of a build outlast it, and are those of the weights that were built."""

from __future__ import annotations

import pytest
from reports import PLAIN

from flow.benchmark import builds
from flow.errors import FlowError
from flow.files import write_json
from flow.report import check
from flow.report.measured import keep_report, kept_report, report_of
from flow.report.readme import results_table


def test_a_report_of_other_weights_rate_or_chip_is_not_taken(tmp_path):
    told = []
    stage = tmp_path / "run" / "8_report"
    stage.mkdir(parents=True)
    write_json(stage / "report.json", check(PLAIN).model_dump())
    part = PLAIN["resources"]["device"]

    def kept(name: str = "kept.json", sha256: str = "a" * 64, cycles: int = 600, chip: str = part):
        return kept_report(tmp_path / name, sha256, cycles, chip, told.append)

    keep_report(tmp_path / "run", "a" * 64, 600, tmp_path / "kept.json")
    assert kept() == report_of(tmp_path / "run") and not told
    assert kept(sha256="b" * 64) is None and kept(cycles=700) is None and kept(chip="xc7z045") is None
    assert "not taken, is of other weights: aaaaaaaaaaaa, not bbbbbbbbbbbb" in told[0]
    assert "of other cycles between frames: 600, not 700" in told[1] and f"chips: {part}, not xc7z045" in told[2]
    (stage / "report.json").unlink()
    assert not builds(tmp_path) and "No build" in results_table(tmp_path), "it is no build of its own"
    assert kept("none.json") is None
    write_json(tmp_path / "kept.json", {"report": {}})
    with pytest.raises(FlowError, match="not a report that was kept"):
        kept()
    with pytest.raises(FlowError, match="holds no finished build"):
        keep_report(tmp_path, "a" * 64, 600, tmp_path / "kept.json")
