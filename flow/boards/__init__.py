"""Boards: what the chip on each of them holds, and the clock that a build aims at.

The figures are those of the chip makers' product tables. A user's own board is a YAML file with the fields of
`Board`, all but `file`.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flow.errors import FlowError, unknown


class Board(BaseModel):
    """One board.

    Attributes:
        name: what the user writes.
        part: the chip, as Vivado calls it.
        lut: six-input look-up tables.
        ff: flip-flops.
        dsp: DSP slices.
        bram36: block memories of 36 Kbit.
        lutram: how many of the LUTs can serve as memory.
        clock_mhz: what a build aims at; not measured on the board.
        note: what to know about its figures.
        file: the user's file that it was read from; None for a board of the project.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    part: str = Field(min_length=1)
    lut: int = Field(gt=0)
    ff: int = Field(gt=0)
    dsp: int = Field(ge=0)
    bram36: float = Field(ge=0)
    lutram: int = Field(ge=0)
    clock_mhz: float = Field(default=100.0, gt=0)
    note: str = ""
    # which file it was read from decides nothing, what is in it does
    file: Path | None = Field(default=None, exclude=True)

    @property
    def clock_ns(self) -> float:
        """Period of the target clock."""
        return 1000.0 / self.clock_mhz

    def budget(self) -> dict[str, float]:
        """What the chip holds, by the names that `Resources` uses."""
        return {key: getattr(self, key) for key in ("lut", "ff", "dsp", "bram36", "lutram")}


_Z7020 = {"lut": 53_200, "ff": 106_400, "dsp": 220, "bram36": 140, "lutram": 17_400}

BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(name="pynq-z2", part="xc7z020clg400-1", **_Z7020),
        Board(name="zedboard", part="xc7z020clg484-1", **_Z7020),
        Board(
            name="arty-a7-100",
            part="xc7a100tcsg324-1",
            lut=63_400,
            ff=126_800,
            dsp=240,
            bram36=135,
            lutram=19_000,
        ),
        Board(
            name="zc706",
            part="xc7z045ffg900-2",
            lut=218_600,
            ff=437_200,
            dsp=900,
            bram36=545,
            lutram=70_400,
            clock_mhz=150.0,
        ),
        Board(
            name="kv260",
            part="xck26-sfvc784-2LV-c",
            lut=117_120,
            ff=234_240,
            dsp=1_248,
            bram36=144,
            lutram=57_600,
            clock_mhz=200.0,
            note="an UltraScale+ chip: the synthesis figures are those of a 7-series chip",
        ),
    )
}


def find_board(name: str) -> Board:
    """The board of a name, or of a YAML file where `name` ends in .yaml or .yml.

    Raises:
        FlowError: no such board, with the nearest name; or what is wrong in the file.
    """
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name))
    if name not in BOARDS:
        raise unknown("board", name, BOARDS)
    return BOARDS[name]


def _read(path: Path) -> Board:
    try:
        fields = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FlowError(f"--board {path}: cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise FlowError(f"--board {path}: should hold name, part, lut, ff, dsp, bram36 and lutram")
    try:
        return Board(**fields, file=path)
    except (ValidationError, TypeError) as error:
        raise FlowError(f"--board {path}: {explain(error)}") from error


def explain(error: ValidationError | TypeError) -> str:
    """The first thing that pydantic found wrong, in one line."""
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
