"""Where each stage of a network with run-time widths starts: weights, activation steps, batch-norm sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from flow.keras_env import keras, tf
from flow.mixer.stages import mixed_rows
from flow.quantizers.nested import CENTRE, nested_codes, top_codes
from flow.quantizers.runtime import RuntimeModel, TransitionalBatchNormalization, WidthActivation
from flow.quantizers.start import IMAGES, best_step
from flow.training.calibrate import best_factors, fill_factors, prepare
from flow.training.loop import as_numbers
from flow.training.statistics import STATISTICS_IMAGES
from keras_models.build_runtime import build_runtime, top_bits
from keras_models.ranges import Ranges, fraction_exponent
from keras_models.runtime import RuntimePlan
from keras_models.spec import WeightLayer

_BATCH = 250


def normalized_float(plan: RuntimePlan, start: keras.Model, images: np.ndarray) -> keras.Model:
    """The float network in the plan's topology: where a bias stood, a batch normalization that does the same.

    With the mean m and variance v of the layer's sums on the images, gamma = sqrt(v + epsilon) and beta = m + bias.

    Args:
        start: the trained float network of the original topology; it is not changed.
        images: raw training samples, of which some hundred are used.
    """
    model = plan.spec.build_float()
    old = {layer.name for layer in start.layers}
    for layer in plan.spec.weight_layers():
        kernel, *rest = start.get_layer(layer.name).get_weights()
        if layer.batchnorm is None or layer.batchnorm in old:
            model.get_layer(layer.name).set_weights([kernel, *rest])
            if layer.batchnorm is not None:
                model.get_layer(layer.batchnorm).set_weights(start.get_layer(layer.batchnorm).get_weights())
            continue
        model.get_layer(layer.name).set_weights([kernel])
        (bias,) = rest
        sums = keras.Model(start.input, start.get_layer(layer.name).output)(as_numbers(images[:IMAGES])).numpy() - bias
        axes = tuple(range(sums.ndim - 1))
        mean, variance = sums.mean(axes), sums.var(axes)
        normalization = model.get_layer(layer.batchnorm)
        normalization.set_weights([np.sqrt(variance + normalization.epsilon), mean + bias, mean, variance])
    return model


def start_model(plan: RuntimePlan, start: keras.Model, images: np.ndarray, nesting: str) -> tuple[RuntimeModel, Ranges]:
    """The network at the start of stage I, from a float network whose filters are rescaled to fill all widths.

    Returns:
        The network, every normalization set alike, and the power-of-two steps.
    """
    bits = top_bits(plan)

    def factors_of(layer: WeightLayer, rows: np.ndarray) -> np.ndarray:
        runtime = layer.name in plan.layers
        return nested_factors(rows, plan.widths, nesting) if runtime else fill_factors(rows, bits.weights[layer.name])

    network = normalized_float(plan, start, images)
    prepared, ranges = prepare(plan.spec, bits, network, images, factors_of=factors_of)
    model = build_runtime(plan, ranges, nesting)
    for layer in plan.spec.weight_layers():
        model.get_layer(layer.name).set_weights(prepared.get_layer(layer.name).get_weights())
        if layer.batchnorm is not None:
            values = prepared.get_layer(layer.batchnorm).get_weights()
            normalization = model.get_layer(layer.batchnorm)
            normalization.set_weights([np.tile(value, (normalization.sets, 1)) for value in values])
    start_widths(model, images, [len(plan.widths) - 1])
    return model, ranges


def nested_factors(rows: np.ndarray, widths: Sequence[int], nesting: str) -> np.ndarray:
    """The factor per filter with which all widths together are near the weights; filling the top width alone leaves
    the outer levels of the lowest one nearly unused.

    The error of a width is what remains after the best scale of each filter, which its batch normalization takes.

    Args:
        rows: [weights, filters].
        widths: B, rising.
        nesting: how lower widths follow from the stored weights, see `flow.quantizers.nested`.

    Returns:
        float64 [filters].
    """
    flat, top = rows.astype(np.float64), widths[-1]

    def error(factor: np.ndarray) -> np.ndarray:
        stored = top_codes(flat * factor, top, fraction_exponent(top), nesting)
        middle = 0.5 if nesting == CENTRE else 0.0
        total = np.zeros(flat.shape[1])
        for bits in widths:
            values = nested_codes(stored, top, bits, nesting) + middle
            scale = (values * flat).sum(axis=0) / np.maximum((values**2).sum(axis=0), 1e-12)
            total += ((scale * values - flat) ** 2).sum(axis=0)
        return total

    return best_factors(flat, error)


def start_widths(model: RuntimeModel, images: np.ndarray, positions: Iterable[int]) -> None:
    """Sets the steps of activations and the statistics of some widths, network-wide, in place.

    A step is the one with the least squared error; they are set front to back, so that each sees what those before it
    give.

    Args:
        images: raw training samples.
        positions: of the widths in `model.widths`.
    """
    few = as_numbers(images[:IMAGES])
    for position in positions:
        row = np.full(len(model.runtime_layers), position)
        model.select(row)
        for layer in model.of_kind(WidthActivation):
            values, _ = layer.input
            found = best_step(np.asarray(keras.Model(model.input, values)(few, training=True)), model.widths[position])
            steps = layer.steps.numpy()
            steps[position] = found
            layer.steps.assign(steps)
        measure_sets(model, images, [row] * _batches(images))


def copy_top(model: RuntimeModel) -> None:
    """What stage II starts from: every set has the gamma and beta that the top width has learned."""
    for layer in model.of_kind(TransitionalBatchNormalization):
        for variable in (layer.gamma, layer.beta):
            variable.assign(np.tile(variable.numpy()[-1:], (layer.sets, 1)))


def copy_pairs(model: RuntimeModel) -> None:
    """What stage III starts from: the set of (p, c) is that of (c, c), which stage II has trained."""
    count = len(model.widths)
    for layer in model.of_kind(TransitionalBatchNormalization):
        if len(layer.select) == 2:
            for variable in layer.weights:
                trained = variable.numpy()[:: count + 1]  # (c, c) is row c * count + c
                variable.assign(np.tile(trained, (count, 1)))


def measure_sets(model: RuntimeModel, images: np.ndarray, configurations: Iterable[np.ndarray]) -> None:
    """Sets the statistics of every set that is visited to the mean over its batches, in place.

    Args:
        images: raw training samples; the first some thousand are used, again and again.
        configurations: one for each batch, positions in the widths.
    """
    layers = model.of_kind(TransitionalBatchNormalization)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # the moving statistics of the set are then those of the batch
    forward = tf.function(lambda batch: model(as_numbers(batch), training=True))
    before = [layer.moving_mean.numpy() for layer in layers], [layer.moving_variance.numpy() for layer in layers]
    sums = [[np.zeros_like(value, np.float64) for value in values] for values in before]
    visits = [np.zeros((layer.sets, 1)) for layer in layers]
    used = images[:STATISTICS_IMAGES]
    starts = range(0, max(len(used) - _BATCH, 0) + 1, _BATCH)
    for number, row in enumerate(configurations):
        first = starts[number % len(starts)]
        model.select(row)
        forward(tf.constant(used[first : first + _BATCH]))
        for index, layer in enumerate(layers):
            chosen = layer.set_of(row)
            visits[index][chosen] += 1
            for kind, variable in enumerate((layer.moving_mean, layer.moving_variance)):
                sums[kind][index][chosen] += variable.numpy()[chosen]
    for index, layer in enumerate(layers):
        layer.momentum = momenta[index]
        for kind, variable in enumerate((layer.moving_mean, layer.moving_variance)):
            mean = sums[kind][index] / np.maximum(visits[index], 1)
            variable.assign(np.where(visits[index] > 0, mean, before[kind][index]))


def random_rows(model: RuntimeModel, images: np.ndarray, seed: int, mixing: float) -> Iterable[np.ndarray]:
    """Configurations as the end of stage III has them, so many that a set sees about as many batches as there are."""
    rng = np.random.default_rng((seed, 7919))
    count = len(model.widths)
    for _ in range((_batches(images) + 4) * count):
        yield from mixed_rows(count, len(model.runtime_layers), mixing, rng)


def _batches(images: np.ndarray) -> int:
    return -(-len(images[:STATISTICS_IMAGES]) // _BATCH)
