"""Bit widths: what a user may write, and what the error says."""

from __future__ import annotations

import pytest
import yaml

from flow.bits import BitsSpec
from flow.errors import FlowError
from keras_models import MODELS

TINY = MODELS["tiny"]


def write(tmp_path, change) -> str:
    given = yaml.safe_load(BitsSpec.uniform(TINY, 4).to_yaml())
    change(given)
    path = tmp_path / "bits.yaml"
    path.write_text(yaml.safe_dump(given))
    return str(path)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("model", MODELS)
def test_uniform(model, bits):
    spec = MODELS[model]
    found = BitsSpec.uniform(spec, bits)
    first, *inner, last = found.weights.values()
    assert (first, last) == (8, 8) and set(inner) == {bits}
    wide = [a.name for a in spec.activation_layers() if a.signed or a.default_bits]
    assert {name: found.activations[name] for name in wide} == dict.fromkeys(wide, 8)
    assert list(found.activations.values()).count(bits) >= len(inner) - 1 or bits == 8
    assert found == BitsSpec.parse(spec, str(bits))
    assert found.label(spec) == f"w{bits}a{bits}"


@pytest.mark.parametrize("bits", ["0", "9", "-4"])
def test_uniform_outside(bits):
    with pytest.raises(FlowError, match="1 to 8"):
        BitsSpec.parse(TINY, bits)


def test_file_round_trip(tmp_path):
    def change(given):
        given["weights"]["s1_conv2"] = 3
        given["activations"]["s1_out"] = 5

    found = BitsSpec.parse(TINY, write(tmp_path, change))
    assert found.weights["s1_conv2"] == 3 and found.activations["s1_out"] == 5
    assert found.label(TINY).startswith("mixed-")
    assert found.label(TINY) != BitsSpec.uniform(TINY, 4).label(TINY)
    turned = BitsSpec(weights=dict(reversed(found.weights.items())), activations=found.activations)
    assert turned == found and turned.label(TINY) == found.label(TINY), "the order of the lines decides nothing"
    (tmp_path / "again.yaml").write_text(found.to_yaml())
    assert BitsSpec.load(TINY, tmp_path / "again.yaml") == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g["weights"].update(s1_conv3=4), "did you mean 's1_conv"),
        (lambda g: g["weights"].pop("s1_skip"), "layer s1_skip of tiny is missing"),
        (lambda g: g["activations"].pop("s1_in"), "layer s1_in of tiny is missing"),
        (lambda g: g["weights"].update(s1_conv1=9), "s1_conv1: 9 bits"),
        (lambda g: g["activations"].update(s1_in=0), "s1_in: 0 bits"),
        (lambda g: g["activations"].update(s1_in=True), "s1_in: True is not a whole number"),
        (lambda g: g["weights"].update(dense="8"), "dense: '8' is not a whole number"),
        (lambda g: g["activations"].update(s1_res=1), "s1_res is signed"),
        (lambda g: g.update(weight={}), "did you mean 'weights'"),
        (lambda g: g.pop("activations"), "'activations' is missing"),
        (lambda g: g.update(weights=4), "'weights' is missing"),
    ],
)
def test_a_wrong_file_names_what_is_wrong(tmp_path, change, message):
    path = write(tmp_path, change)
    with pytest.raises(FlowError, match=message) as caught:
        BitsSpec.parse(TINY, path)
    assert path in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 4", "4", "{weights: [}"])
def test_a_file_that_is_no_map(tmp_path, text):
    path = tmp_path / "bits.yaml"
    path.write_text(text)
    with pytest.raises(FlowError, match=r"two maps|not valid YAML at line 1"):
        BitsSpec.load(TINY, path)


def test_no_such_file(tmp_path):
    with pytest.raises(FlowError, match="neither a number from 1 to 8 nor a file"):
        BitsSpec.parse(TINY, str(tmp_path / "none.yaml"))
    with pytest.raises(FlowError, match="cannot be read"):
        BitsSpec.parse(TINY, str(tmp_path))
