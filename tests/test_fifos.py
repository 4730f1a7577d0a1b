"""FIFO depths of the Vitis project: tokens pass through bounded FIFOs, and lock up where one is too small."""

from __future__ import annotations

import networks
import published
import pytest

from flow.fold import fold_network
from flow.hls.fifos import LEAST, Stage, depths, set_depths, stages
from flow.hls.keras2 import to_hls4ml

FRAMES = 2


def graph_of(model, folder):
    return to_hls4ml(fold_network(model), "Vitis", "network", output_dir=str(folder))


def stuck(layers: list[Stage], room: dict[str, int]) -> list[str]:
    """The streams that wait for ever when tokens run through FIFOs with `room`; none if all frames come out."""
    waiting = dict.fromkeys(room, 0)
    read = [dict.fromkeys(stage.inputs, 0) for stage in layers]
    made = [0] * len(layers)
    ends = {name for stage in layers for name in stage.outputs} - set(room)

    made_by = {name: len(stage.reads[0]) for stage in layers for name in stage.outputs}

    def goals(stage: Stage, count: int) -> dict[str, int]:
        """Tokens of each input that are read before token `count` is made; those behind the last window too."""
        frames, index = divmod(count, len(stage.reads[0]))
        behind = [0] * len(stage.reads) if frames == FRAMES else [int(read[index]) for read in stage.reads]
        return {name: frames * made_by[name] + more for name, more in zip(stage.inputs, behind)}

    moved = True
    while moved:
        moved = False
        for position, stage in enumerate(layers):
            last = made[position] == FRAMES * len(stage.reads[0])
            short = [name for name, goal in goals(stage, made[position]).items() if read[position][name] < goal]
            # a join takes a token of each input at once, a chain whatever comes
            if short and all(waiting[name] for name in short):
                for name in short:
                    waiting[name] -= 1
                    read[position][name] += 1
                moved = True
            elif not short and not last and all(n in ends or waiting[n] < room[n] for n in stage.outputs):
                for name in stage.outputs:
                    waiting[name] = waiting.get(name, 0) + 1
                made[position] += 1
                moved = True
    done = all(count == FRAMES * len(stage.reads[0]) for count, stage in zip(made, layers))
    return [] if done else [name for name, count in waiting.items() if name in room and count >= room[name]]


@pytest.mark.parametrize("name", ["residual", "keywords", "lenet", "sequence", "branches"])
def test_tokens_pass(name, tmp_path):
    model = networks.tiny() if name == "residual" else published.NETWORKS[name]()
    layers = stages(graph_of(model, tmp_path))
    assert stuck(layers, depths(layers)) == []


def test_what_is_too_small_locks_up(tmp_path):
    layers = stages(graph_of(networks.tiny(), tmp_path))
    found = depths(layers)
    shallow = dict.fromkeys(found, LEAST)
    assert stuck(layers, shallow), "the shorter branch has to hold more"
    (join,) = [stage for stage in layers if stage.joins]
    shorter = next(name for name in join.inputs if not stuck(layers, shallow | {name: 200}))
    least = next(room for room in range(200) if not stuck(layers, shallow | {shorter: room}))
    assert LEAST < least <= found[shorter]


def test_the_project_has_them(tmp_path):
    model = graph_of(networks.tiny(), tmp_path)
    found = depths(stages(model))
    set_depths(model)
    model.write()
    text = (tmp_path / "firmware" / "network.cpp").read_text()
    for layer in model.get_layers():
        if layer.class_name == "Input":
            continue  # an AXI4-Stream port
        variable = layer.get_output_variable()
        if variable.name in found and isinstance(variable.pragma, tuple):
            assert f"variable={variable.name} depth={variable.pragma[1]}\n" in text
            assert variable.pragma[1] <= max(found[variable.name], LEAST)
