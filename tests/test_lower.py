"""Twin to IR through hls4ml: equality on every integer, names, types, the plugin, the plain script."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import networks
import numpy as np
import pytest

from flow import golden, hls
from flow.bits import BitsSpec
from flow.errors import FlowError
from flow.fold import fold_network
from flow.ir import Fork, Graph, Matvec, WeightCode, Window, load, signed_width
from flow.keras_env import keras
from flow.twin import twin_outputs
from keras_models.ranges import Ranges

NAMES = tuple(layer.name for layer in networks.TINY.weight_layers())


@cache
def lowered(case: str):
    """A twin and its IR."""
    if case == "every_layer":
        trained = networks.every_layer()
    else:
        trained = networks.tiny(networks.mixed_bits() if case == "mixed" else int(case))
    twin = fold_network(trained)
    return twin, hls.convert(twin, "network")


@pytest.mark.parametrize("case", [*"12345678", "mixed", "every_layer"])
def test_golden_equals_twin(case):
    twin, graph = lowered(case)
    images = networks.random_images(150, graph.input.output.shape, seed=11)
    outputs = golden.run(graph, images)
    np.testing.assert_array_equal(outputs, twin_outputs(twin, images))
    assert graph.output.output.fraction_bits == twin.output_fraction_bits
    assert len(np.unique(outputs)) > 50


def test_one_bit_with_a_step_stays_one_bit():
    """Of layers without a batch normalization, whose weights are a power of two up or down."""
    bits = BitsSpec.uniform(networks.TINY, 1).model_copy(update={"weights": dict.fromkeys(NAMES, 1)})
    ranges = Ranges.default(networks.TINY, bits)
    steps = {**ranges.weights, "s1_skip": -2, "dense": -3}
    trained = networks.TINY.build_quantized(bits, ranges.model_copy(update={"weights": steps}))
    twin = fold_network(networks.randomize(trained))
    graph = hls.convert(twin, "network")
    nodes = [graph.by_name[name] for name in NAMES]
    assert {(node.weight_bits, node.weight_code) for node in nodes} == {(1, WeightCode.ODD)}
    images = networks.random_images(60, seed=11)
    np.testing.assert_array_equal(golden.run(graph, images), twin_outputs(twin, images))


def test_every_layer_equals_twin_inside():
    twin, graph = lowered("every_layer")
    images = networks.random_images(20, graph.input.output.shape)
    inside = golden.layers(graph, images)
    for layer in twin.model.layers:
        if layer.name not in inside:
            continue
        values = keras.Model(twin.model.input, layer.output)(images / np.float32(256)).numpy().astype(np.float64)
        codes = np.ldexp(values, graph.by_name[layer.name].output.fraction_bits)
        np.testing.assert_array_equal(inside[layer.name], codes, err_msg=layer.name)


def test_names_and_order_of_the_residual_graph():
    _, graph = lowered("4")
    assert [node.name for node in graph.nodes] == [
        "image", "conv1_window", "conv1", "conv1_relu", "s1_in", "s1_in_fork", "s1_conv1_window", "s1_conv1",
        "s1_relu1", "s1_skip_window", "s1_skip", "s1_conv2_window", "s1_conv2", "s1_skip_res", "s1_res", "s1_add",
        "s1_out", "pool", "flatten", "dense", "output",
    ]  # fmt: skip
    assert isinstance(graph.by_name["s1_in_fork"], Fork)
    assert graph.input.output.fraction_bits == 8 and not graph.input.output.signed


def test_types_are_the_narrowest_that_cannot_overflow():
    _, graph = lowered("mixed")
    for node in graph.nodes:
        if isinstance(node, Matvec):
            assert node.output.width_bits == signed_width(*node.bounds(graph.sources(node)[0])), node.name
    matvecs = {n.name: (n.weight_bits, n.weight_code) for n in graph.nodes if isinstance(n, Matvec)}
    assert matvecs == {
        "conv1": (8, WeightCode.TWOS), "s1_conv1": (1, WeightCode.ODD), "s1_conv2": (3, WeightCode.TWOS),
        "s1_skip": (2, WeightCode.TWOS), "dense": (6, WeightCode.TWOS),
    }  # fmt: skip
    widths = {name: graph.by_name[name].output.width_bits for name in networks.mixed_bits().activations}
    assert widths == networks.mixed_bits().activations


def test_padding_is_absorbed():
    _, graph = lowered("every_layer")
    windows = {n.name: (n.kernel, n.stride, n.padding) for n in graph.nodes if isinstance(n, Window)}
    assert windows == {
        "first_window": ((3, 3), (1, 1), (1, 2, 1, 0)),
        "binary_window": ((2, 3), (1, 2), (0, 0, 1, 1)),
        "third_window": ((3, 3), (1, 1), (1, 1, 1, 1)),
    }


def test_stride_two_pads_below_and_right():
    _, graph = lowered("4")
    assert graph.by_name["s1_conv1_window"].padding == (0, 0, 1, 1)
    assert graph.by_name["s1_skip_window"].padding == (0, 0, 0, 0)


def test_identity_shortcut_forks_twice():
    from keras_models import MODELS
    from keras_models.residual import Stack, residual

    spec = residual("twice", "", 8, 3, 4, (Stack("s1", 4), Stack("s2", 6, stride=2)))
    assert spec.name not in MODELS
    twin = fold_network(networks.randomize(spec.build_quantized(BitsSpec.uniform(spec, 3))))
    graph = hls.convert(twin)
    assert [n.name for n in graph.nodes if isinstance(n, Fork)] == ["conv1_relu_fork", "s1_out_fork"]
    images = networks.random_images(50)
    np.testing.assert_array_equal(golden.run(graph, images), twin_outputs(twin, images))


def test_plain_hls4ml_script(tmp_path):
    """As a user of hls4ml writes it, in a process of its own: a trained network in, Verilog out."""
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import numpy as np
from flow.hls import hls4ml_keras2
import networks
trained = networks.tiny(3)
with hls4ml_keras2():
    import hls4ml
    assert "flowrtl" in hls4ml.backends.get_available_backends()
    model = hls4ml.converters.convert_from_keras_model(
        trained, backend="FlowRTL", output_dir={str(tmp_path)!r}, project_name="plain")
import keras
assert keras.__version__ >= "3", "the context manager left tf_keras behind"
model.compile()
images = networks.random_images(10)
logits = model.predict(images)
assert np.array_equal(model.predict(images / 256), logits) and np.array_equal(model.predict(images[0]), logits[0])
np.save({str(tmp_path / "logits.npy")!r}, logits)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    graph = load(tmp_path / "network.npz")
    outputs = golden.run(graph, networks.random_images(10))
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), outputs * 2.0**-graph.output.output.fraction_bits)
    assert (tmp_path / "folding.yaml").exists() and (tmp_path / "verilog" / "plain_top.sv").exists()


def test_context_restores_what_it_changed():
    import hls4ml
    from hls4ml.converters.keras_v2_to_hls import layer_handlers

    before = (sys.modules.get("keras"), hls4ml.converters.keras_v2_to_hls, dict(layer_handlers))
    with pytest.raises(ZeroDivisionError), hls.hls4ml_keras2():
        assert sys.modules["keras"] is keras
        raise ZeroDivisionError
    assert sys.modules.get("keras") is before[0] and hls4ml.converters.keras_v2_to_hls is before[1]
    assert {name: layer_handlers[name] for name in before[2]} == before[2]


def test_precisions_and_batchnorm_in_a_users_configuration_do_no_harm():
    import hls4ml

    trained = networks.tiny(4)
    with hls.hls4ml_keras2():
        config = hls4ml.utils.config_from_keras_model(trained, granularity="name")
        model = hls4ml.converters.convert_from_keras_model(trained, hls_config=config, backend="FlowRTL")
    images = networks.random_images(20)
    np.testing.assert_array_equal(golden.run(hls.lower(model), images), golden.run(lowered("4")[1], images))


def test_what_folds_but_has_no_hardware_is_refused():
    _, graph = lowered("4")
    assert isinstance(graph, Graph)
    source = keras.layers.Input((8, 8, 4), name="pixels")
    padded = keras.layers.ZeroPadding2D(1, name="pad")(source)
    model = keras.Model(source, networks.relu(4, name="out")(padded))
    with pytest.raises(FlowError, match="zero padding can only stand before a convolution"):
        hls.convert(fold_network(model))
    with hls.hls4ml_keras2(), pytest.raises(FlowError, match=r"up \(UpSampling2D\)"):
        import hls4ml

        up = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.UpSampling2D(name="up")])
        hls4ml.converters.convert_from_keras_model(up, backend="FlowRTL")


def test_float_images_off_the_grid_are_refused():
    import hls4ml

    with hls.hls4ml_keras2():
        model = hls4ml.converters.convert_from_keras_model(lowered("4")[0].model, backend="FlowRTL")
    with pytest.raises(FlowError, match="multiples of"):
        model.predict(networks.random_images(2) / 255.0)


def test_hls4ml_lists_the_backend_by_itself():
    """The plugin as hls4ml finds it, at its own import; it only prints what fails, so the list is what counts."""
    done = subprocess.run(
        [sys.executable, "-c", "import hls4ml; print(hls4ml.backends.get_available_backends())"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HLS4ML_BACKEND_PLUGINS": "flow.hls.plugin"},
    )
    assert "'flowrtl'" in done.stdout, done.stdout + done.stderr[-2000:]


def test_importing_the_packages_starts_neither_tensorflow_nor_hls4ml():
    script = f"import sys; sys.path[:0] = {sys.path!r}; import flow.fold, flow.hls, flow.twin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not {"tensorflow", "hls4ml", "tf_keras"} & set(done.stdout.split())
