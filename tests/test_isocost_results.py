"""What is recorded of networks at equal cost: of the checkpoints beside it, within the common cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flow.isocost.arms import MIXED, NOT_WIDENED
from flow.training.checkpoints import find_checkpoint, read_meta
from flow.training.run import weights_in

#: of the common cost; asked for, whatever the file says of itself
WITHIN, IMAGES = {"bytes": 0.02, "luts": 0.05, "cycles": 0.05}, 200
RECORDED = sorted((Path(__file__).parents[1] / "results").glob("isocost-*/*/isocost.json"))


def test_there_is_one():
    assert RECORDED


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.parts[-3]}-{file.parts[-2]}")
def test_the_table_is_of_the_checkpoints_beside_it(file):
    found = json.loads(file.read_text())
    metas = {meta.sha256: meta for meta in map(read_meta, file.parents[1].rglob("*-cifar10-*.h5"))}
    teacher = find_checkpoint("resnet8", "cifar10", None)
    assert found["teacher"]["sha256"] == read_meta(teacher).sha256
    for row in found["rows"]:
        meta = metas[row["sha256"]]
        assert (meta.model, meta.accuracy, meta.test_images) == (row["network"], row["accuracy"], 10_000)
        assert meta.teacher_sha256 == weights_in(teacher)
        whole = found["recipe"]["epochs"] - (found["recipe"]["search_epochs"] if row["group"] == MIXED else 0)
        assert meta.config.epochs == whole
        if row["group"] != NOT_WIDENED:
            assert abs(row["share"] - 1) <= WITHIN[file.parent.name]
        if row["images"] is not None:  # it was built
            assert row["differing"] == 0 and row["images"] >= IMAGES and row["fits"]
            assert row["within"] or row["group"] == NOT_WIDENED
