"""What a training shows on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from flow.training.console import console_progress
from flow.training.progress import EpochRecord


def test_what_is_said_between_epochs_leaves_the_last_one_s_figures():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with console_progress(console) as progress:
        bar = progress._live
        progress.on_step(1, 2, 1, 2, 0.5)
        progress.on_epoch(EpochRecord(1, 2, 0.5, 0.5, 0.75, 0.0, seconds=1.0, seconds_left=70.0))
        progress.on_message("flow build " + "--set word " * 20)
        progress.on_step(2, 2, 1, 2, 0.4)
        assert bar.tasks[-1].fields["state"] == "loss 0.4000  test 75.00%  1:10 left"
        progress.on_step(1, 9, 1, 2, 0.3)
        assert bar.tasks[-1].fields["state"].strip() == "loss 0.3000", "another training"
    assert "flow build " + "--set word " * 20 in console.file.getvalue(), "a line to copy is not broken"
