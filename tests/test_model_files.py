"""Files of networks that others trained: what is read, what is refused and how, and that nothing in them is run."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import h5py
import networks
import numpy as np
import published
import pytest

from flow.errors import FlowError
from flow.fold import fold_network
from flow.fold.network import HANDLERS
from flow.fold.survey import SUPPORTED
from flow.keras_env import keras, qkeras
from flow.network import load_model_file, load_samples, network_name, read_configuration
from flow.network.later import QDenseBatchnorm
from flow.network.samples import real_grid
from flow.twin import twin_outputs


def test_the_survey_knows_what_the_fold_knows():
    assert {"InputLayer", *HANDLERS} == set(SUPPORTED)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("name", ["jets", "sequence", "scaled"])
def test_a_file_gives_the_network_that_was_saved(tmp_path, name, suffix):
    model, path = published.NETWORKS[name](), tmp_path / f"net.{suffix}"
    model.save(path)
    again = load_model_file(path)
    batch = np.random.default_rng(1).normal(0, 1, (20, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(again(batch).numpy(), model(batch).numpy())


def dense_batchnorm() -> keras.Model:
    """A network with the layer that QKeras 0.9.0 lacks."""
    model = keras.Sequential(
        [
            keras.layers.Input((6,), name="input"),
            qkeras.QActivation("quantized_bits(6,2,alpha=1)", name="in"),
            QDenseBatchnorm(
                5, kernel_quantizer=networks.weights(4), bias_quantizer="quantized_bits(8,3,alpha=1)", name="a"
            ),
            published.relu_codes("a_out"),
            qkeras.QDense(3, kernel_quantizer=networks.weights(4), use_bias=False, name="last"),
        ]
    )
    return published.randomized(model)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_fused_dense_layer_of_a_later_qkeras(tmp_path, suffix):
    model, path = dense_batchnorm(), tmp_path / f"net.{suffix}"
    model.save(path)
    again = load_model_file(path)
    twin = fold_network(again)
    codes = twin.input.random(50, seed=2)
    want = np.ldexp(model(twin.input.reals(codes)).numpy().astype(np.float64), twin.output_fraction_bits)
    np.testing.assert_allclose(twin_outputs(twin, codes), want, atol=1e-3)


@pytest.mark.parametrize("name", ["jets_weights.h5", "jets.weights.h5", "jets.h5"])
def test_a_configuration_with_its_weights_beside_it(tmp_path, name):
    model, path = published.jets(), tmp_path / "jets.json"
    path.write_text(model.to_json())
    with pytest.raises(FlowError, match=r"its weights are looked for beside it as jets_weights\.h5"):
        load_model_file(path)
    model.save_weights(tmp_path / name)
    x = np.random.default_rng(0).normal(0, 1, (20, 16)).astype(np.float32)
    np.testing.assert_array_equal(load_model_file(path)(x), model(x))


def test_names_become_identifiers():
    assert [network_name(n) for n in ("a/My Net-2.h5", "8bit.keras", "été.h5")] == ["my_net_2", "net_8bit", "t"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def edited(path: Path, change) -> Path:
    """The file with its configuration changed."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def settings(config: dict, layer: int) -> dict:
    """The settings of a layer in a file's configuration."""
    return config["config"]["layers"][layer]["config"]


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "jets.h5"
    published.jets().save(path)
    return path


def test_code_in_a_file_is_never_run(tmp_path):
    touched = tmp_path / "touched"
    name = str(touched)
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Lambda(lambda x: (__import__("pathlib").Path(name).touch(), x)[1], name="evil"),
            keras.layers.Dense(3, name="floating"),
        ]
    )
    touched.unlink(missing_ok=True)
    for suffix in ("h5", "keras"):
        path = tmp_path / f"code.{suffix}"
        model.save(path)
        touched.unlink(missing_ok=True)
        said = r"evil \(Lambda\) is code.*floating \(Dense\): has no kernel quantizer; use QDense"
        with pytest.raises(FlowError, match=said):
            load_model_file(path)
        assert not touched.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["config"]["layers"][1].update(class_name="MyDense"), "unsupported layers: fc1 (MyDense)"),
        (lambda c: settings(c, 1).update(kernel_quantizer="os.system(1)"), "fc1: quantizer os.system"),
        (lambda c: settings(c, 2).update(activation="__import__('os')"), "relu1: quantizer __import__"),
        (lambda c: settings(c, 2).update(activation="quantized_relu(exit())"), "relu1: cannot read"),
        (lambda c: settings(c, 1).update(units="many"), "fc1 (QDense): cannot be built"),
        (lambda c: settings(c, 1).update(units=3), "the weights of layer fc1 have shapes"),
        (lambda c: settings(c, 0).update(batch_input_shape=[None, None]), "dynamic shape (None,)"),
        (lambda c: c.update(class_name="MyModel"), "it is a model of the class MyModel, which is code"),
        (lambda c: c.update(config=7), "is not that of a Keras model"),
        (lambda c: c["config"].update(layers=[{}]), "its configuration is damaged"),
    ],
)  # fmt: skip
def test_changed_configurations(saved, change, message):
    with pytest.raises(FlowError, match=re.escape(message)):
        load_model_file(edited(saved, change))


def broken_files(folder: Path) -> dict[str, Path]:
    """Files that are no models, by what is said of them."""
    model, made = published.jets(), {}
    whole = folder / "whole.h5"
    model.save(whole)

    def put(name: str, content: bytes, message: str) -> None:
        (folder / name).write_bytes(content)
        made[message] = folder / name

    put("text.h5", b"hello", "not a Keras model file")
    put("cut.h5", whole.read_bytes()[:3000], "not a Keras model file (.h5 or .keras), or cut short")
    put("pointer.h5", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS")
    put("cut.keras", b"PK\3\4", "not a .keras file")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("config.json", "{")
    put("bad.keras", archive.getvalue(), "its configuration is not JSON")
    model.save_weights(folder / "weights.h5")
    made["holds weights only"] = folder / "weights.h5"
    made["a folder; a SavedModel holds code"] = folder
    made["No such file"] = folder / "missing.h5"
    return made


def test_what_is_no_model_file_is_said_in_one_line(tmp_path):
    for message, path in broken_files(tmp_path).items():
        with pytest.raises(FlowError, match=re.escape(message)) as raised:
            load_model_file(path)
        assert "\n" not in str(raised.value) and str(path) in str(raised.value)


def test_reading_a_configuration_needs_no_tensorflow(saved):
    import subprocess
    import sys

    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; from pathlib import Path;"
        "from flow.network import read_configuration;"
        f"read_configuration(Path({str(saved)!r})); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr


# -- samples -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros(3)}, "holds z, no array x"),
        ({"x": np.zeros((5, 15))}, "x has shape (5, 15); the network takes (samples, 16)"),
        ({"x": np.zeros((0, 16))}, "with a sample at least"),
        ({"x": np.array([["a"] * 16])}, "x has dtype"),
        ({"x": np.full((5, 16), np.nan)}, "not finite"),
        ({"x": np.zeros((5, 16)), "y": np.zeros(4)}, "y has shape (4,)"),
        ({"x": np.zeros((5, 16)), "y": np.full(5, 0.5)}, "y are not class indices"),
    ],
)
def test_wrong_samples_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(FlowError, match=re.escape(message)):
        load_samples(tmp_path / "s.npz", (16,))


def test_samples_that_are_no_file(tmp_path):
    with pytest.raises(FlowError, match="there is no such file"):
        load_samples(tmp_path / "none.npz", (16,))
    (tmp_path / "text.npz").write_text("x")
    with pytest.raises(FlowError, match=r"not an .npz"):
        load_samples(tmp_path / "text.npz", (16,))


def test_samples_become_codes(tmp_path):
    x = np.array([[0.5, -1.25, 100.0, 2**-11]])
    np.savez(tmp_path / "s.npz", x=x, y=[[0, 1, 0]])
    samples = load_samples(tmp_path / "s.npz", (4,))
    assert samples.labels.tolist() == [1]
    assert real_grid((4,)).codes(x).tolist() == [[512, -1280, 32767, 0]]
    assert samples.grid((4,)).fraction_bits == 8
    pixels = np.array([[0, 255, 3, 7]], dtype=np.uint8)
    assert real_grid((4,)).codes(pixels).tolist() == [[0, 1020, 12, 28]]


def test_a_configuration_without_training_needs_no_training_objects(saved):
    def add(config):
        layer = config["config"]["layers"][1]["config"]
        layer["kernel_regularizer"] = {"class_name": "MyRegularizer", "config": {}}
        layer["kernel_constraint"] = {"class_name": "Lambda", "config": {}}

    config = read_configuration(edited(saved, add))
    assert not any(key.endswith(("_regularizer", "_constraint")) for e in config["layers"] for key in e["config"])
