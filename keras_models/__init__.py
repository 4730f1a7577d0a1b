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
from keras_models.mobilenet import MOBILENET
from keras_models.residual import RESNET8, TINY
from keras_models.spec import ActivationLayer, ModelSpec, WeightLayer
from keras_models.widen import SEPARATOR, widened

__all__ = ["MODELS", "ActivationLayer", "ModelSpec", "WeightLayer", "find_model"]

MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in (RESNET8, TINY, JETS, AUTOENCODER, DSCNN, LENET, MOBILENET)}


def find_model(name: str) -> ModelSpec:
    """The model of a name; ``resnet8-x0.75`` is one of `MODELS` with three quarters of the channels.

    Raises:
        FlowError: no model has that name; the nearest one is named.
    """
    from flow.errors import unknown

    if name in MODELS:
        return MODELS[name]
    base, separator, factor = name.rpartition(SEPARATOR)
    if not separator or base not in MODELS or not _is_number(factor):
        raise unknown("model", name, MODELS)
    return widened(MODELS[base], float(factor))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
