"""A build that may be handed off: finished, its files unchanged, its stages up to date, its checks passed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from flow import golden, ir
from flow.boards import Board, find_board
from flow.cache import content, digest
from flow.errors import FlowError
from flow.folding import Folding, file
from flow.pipeline.build import load_config, standing
from flow.pipeline.config import BuildConfig
from flow.pipeline.stage import Finished
from flow.pipeline.stages.convert import GOLDEN, GRAPH, VITIS
from flow.pipeline.stages.rtl import FOLDER, FOLDING
from flow.pipeline.widths import frame_widths
from flow.report import REPORT, Report, load, verdict
from flow.report.board import another_board
from flow.rtl import Design, load_design
from flow.twin.inputs import InputGrid


@dataclass(frozen=True)
class FinishedBuild:
    """A finished build and what a hand-off takes from it.

    Attributes:
        folder: of the run.
        config: the user's choices.
        stages: the finished stages, by name.
    """

    folder: Path
    config: BuildConfig
    stages: dict[str, Finished]

    @cached_property
    def report(self) -> Report:
        return load(self.stages["report"].folder / REPORT)

    @cached_property
    def board(self) -> Board:
        return find_board(self.config.board)

    @cached_property
    def graph(self) -> ir.Graph:
        return ir.load(self.stages["convert"].folder / GRAPH)

    @cached_property
    def folding(self) -> Folding:
        return file.load(self.graph, self.stages["rtl"].folder / FOLDING)

    @cached_property
    def design(self) -> Design:
        return load_design(self.stages["rtl"].folder / FOLDER)

    @property
    def vitis(self) -> Path:
        """The Vitis project."""
        return self.stages["convert"].folder / VITIS

    @cached_property
    def identity(self) -> int:
        """32 bits that name the RTL: the hardware's BUILD register."""
        return int(digest(content([*self.design.sources, *self.design.memory_files]))[:8], 16)

    def vectors(self, count: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Input codes (N, *input shape), fields, and golden's outputs, int64 (N, outputs); at most `count`.

        Fields are the configuration of each image, indices (N, layers), where layers change their width while the
        network runs; None where nothing can be chosen.

        Raises:
            FlowError: the images that are found now are not those of the build.
        """
        from flow.pipeline.subject import input_codes, subject_of

        grid = InputGrid.from_json(self.stages["fold"].result.values["input"])
        expected = np.load(self.stages["convert"].folder / GOLDEN)[:count]
        images = input_codes(self.config, subject_of(self.config).samples(), grid)[: len(expected)]
        widths = frame_widths(self.config, self.graph.runtime, len(images))
        found = golden.run(self.graph, images, configuration=widths)
        if len(images) < len(expected) or not np.array_equal(found, expected):
            raise FlowError(
                f"the test images of {self.report.dataset.name} are not here as they were for {self.folder}; "
                f"set FLOW_DATA to their folder"
            )
        return images, self.graph.fields(widths, len(images)), expected


def finished(folder: Path) -> FinishedBuild:
    """The build in `folder`.

    Raises:
        FlowError: it is none, it is not finished, a file was changed, or its checks failed.
    """
    build = FinishedBuild(folder, load_config(folder), standing(folder))
    if not build.report.is_exact or build.report.resources.fits is False:
        raise FlowError(f"{folder} is not handed off, its checks failed: {verdict(build.report)}")
    other = another_board(build.report, build.board)
    if other:
        raise FlowError(
            f"{folder}: its settings are those of a build that did not end; it was built for another {other}"
        )
    return build
