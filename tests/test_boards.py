"""Boards by name and from a user's file."""

from pathlib import Path

import pytest

from flow.boards import BOARDS, find_board
from flow.errors import FlowError

OWN = "name: mine\npart: xc7a35tcpg236-1\nlut: 20800\nff: 41600\ndsp: 90\nbram36: 50\nlutram: 9600\n"


def test_pynq_is_the_chip_that_the_figures_are_for():
    board = find_board("pynq-z2")
    assert board.budget() == {"lut": 53_200, "ff": 106_400, "dsp": 220, "bram36": 140, "lutram": 17_400}
    assert board.clock_ns == 10.0
    assert find_board("zedboard").budget() == board.budget()


def test_unknown_board_names_the_nearest():
    with pytest.raises(FlowError, match=r"unknown board 'pynq-z1': did you mean 'pynq-z2'\? known: arty"):
        find_board("pynq-z1")


def test_a_board_of_the_users_own(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)
    board = find_board(str(path))
    assert (board.name, board.lut, board.clock_mhz) == ("mine", 20_800, 100.0)
    assert (board.file, find_board("zc706").file) == (path, None)
    assert "mine" not in BOARDS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN + "file: here\n", "multiple values for keyword argument 'file'"),
        (OWN + "luts: 5\n", "luts: Extra inputs are not permitted"),
        (OWN.replace("lut: 20800", "lut: 0"), "lut: Input should be greater than 0"),
        (OWN.replace("ff: 41600\n", ""), "ff: Field required"),
        ("- a list\n", "should hold name, part"),
        ("a: [\n", "cannot be read"),
        ("1: 2\n", "keywords must be strings"),
    ],
)
def test_a_wrong_board_file_says_what_is_wrong(tmp_path: Path, text: str, says: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(FlowError, match=says) as caught:
        find_board(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value) or "cannot be read" in str(caught.value)


def test_a_board_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(FlowError, match=r"nowhere\.yaml: cannot be read"):
        find_board(str(tmp_path / "nowhere.yaml"))
