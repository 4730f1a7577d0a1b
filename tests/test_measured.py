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


def test_a_report_of_other_weights_is_not_taken(tmp_path):
    told = []
    stage = tmp_path / "run" / "8_report"
    stage.mkdir(parents=True)
    write_json(stage / "report.json", check(PLAIN).model_dump())
    keep_report(tmp_path / "run", "a" * 64, tmp_path / "kept.json")
    assert kept_report(tmp_path / "kept.json", "a" * 64, told.append) == report_of(tmp_path / "run") and not told
    assert kept_report(tmp_path / "kept.json", "b" * 64, told.append) is None
    assert "not taken, is of other weights: aaaaaaaaaaaa, not bbbbbbbbbbbb" in told[0]
    (stage / "report.json").unlink()
    assert not builds(tmp_path) and "No build" in results_table(tmp_path), "it is no build of its own"
    assert kept_report(tmp_path / "none.json", "a" * 64, told.append) is None
    write_json(tmp_path / "kept.json", {"report": {}})
    with pytest.raises(FlowError, match="not a report that was kept"):
        kept_report(tmp_path / "kept.json", "a" * 64, told.append)
    with pytest.raises(FlowError, match="holds no finished build"):
        keep_report(tmp_path, "a" * 64, tmp_path / "kept.json")
