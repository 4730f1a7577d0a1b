"""The networks that the project knows, by name.

Importing this package is cheap; TensorFlow is imported when a network is built.

    spec = MODELS["resnet8"]
    model = spec.build_quantized(BitsSpec.uniform(spec, 4))
    logits = model(images.astype("float32") / 256)
"""

from __future__ import annotations

from keras_models.spec import ActivationLayer, ModelSpec, Stack, WeightLayer

__all__ = ["MODELS", "ActivationLayer", "ModelSpec", "Stack", "WeightLayer", "find_model"]

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="resnet8",
            description="MLPerf Tiny's ResNet-8: 32x32x3, three residual stacks of 16, 32, 64",
            image_size=32,
            channels=3,
            stem_filters=16,
            stacks=(Stack("s1", 16), Stack("s2", 32, stride=2), Stack("s3", 64, stride=2)),
        ),
        ModelSpec(
            name="tiny",
            description="one residual stack on 8x8x3 images: for tests and first steps",
            image_size=8,
            channels=3,
            stem_filters=4,
            stacks=(Stack("s1", 8, stride=2),),
        ),
    )
}


def find_model(name: str) -> ModelSpec:
    """The model of a name.

    Raises:
        FlowError: no model has that name; the nearest one is named.
    """
    from flow.errors import unknown

    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name]
