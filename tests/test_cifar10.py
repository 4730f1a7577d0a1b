"""The included network on real images: runs where CIFAR-10 is, says that it did not run elsewhere."""

from __future__ import annotations

import numpy as np

from flow import golden
from flow.bits import BitsSpec
from flow.fold import fold_network
from flow.hls import convert
from flow.training.checkpoints import find_checkpoint, load_checkpoint
from flow.twin import twin_outputs
from keras_models import MODELS

IMAGES = 400


def test_the_shipped_resnet8_is_exact_on_real_images(real_images):
    spec = MODELS["resnet8"]
    model, meta = load_checkpoint(find_checkpoint("resnet8", "cifar10", BitsSpec.uniform(spec, 4)))
    twin = fold_network(model)
    images, labels = real_images.x_test[:IMAGES], real_images.y_test[:IMAGES]
    outputs = golden.run(convert(twin, "resnet8"), images)
    assert np.array_equal(outputs, twin_outputs(twin, images))
    # on fewer images than the checkpoint's figure, so within a few standard deviations of it
    assert abs(np.mean(outputs.argmax(axis=1) == labels) - meta.accuracy) < 0.06
