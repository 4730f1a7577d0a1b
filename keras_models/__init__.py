"""The networks that the project knows, by name; one file for each topology.

Importing this package is cheap; TensorFlow is imported when a network is built.

    spec = MODELS["resnet8"]
    model = spec.build_quantized(BitsSpec.uniform(spec, 4))
    logits = model(images.astype("float32") / 256)
"""

from __future__ import annotations

from keras_models.autoencoder import AUTOENCODER
from keras_models.dscnn import DSCNN
from keras_models.jets import JETS
from keras_models.lenet import LENET
from keras_models.residual import RESNET8, TINY
from keras_models.spec import ActivationLayer, ModelSpec, WeightLayer

__all__ = ["MODELS", "ActivationLayer", "ModelSpec", "WeightLayer", "find_model"]

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in (RESNET8, TINY, JETS, AUTOENCODER, DSCNN, LENET)}


def find_model(name: str) -> ModelSpec:
    """The model of a name.

    Raises:
        FlowError: no model has that name; the nearest one is named.
    """
    from flow.errors import unknown

    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]
