"""Networks with run-time widths and random values: no training, but every code and every set is used."""

from __future__ import annotations

import numpy as np

from flow.quantizers.runtime import RuntimeModel, TransitionalBatchNormalization, WidthActivation
from keras_models import MODELS
from keras_models.runtime import RuntimePlan, plan_runtime

TINY = MODELS["tiny"]
WIDTHS = (2, 3, 4)
PLAN = plan_runtime(TINY, WIDTHS)


def random_network(seed: int = 0, nesting: str = "floor", plan: RuntimePlan = PLAN) -> RuntimeModel:
    """Random weights, steps and batch-norm sets, all different; a third of the slopes negative."""
    rng = np.random.default_rng(seed)
    model = MODELS[plan.spec.name].build_runtime(plan.widths, nesting=nesting)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(rng.normal(0, 0.5, layer.kernel.shape))
        if isinstance(layer, WidthActivation):
            layer.steps.assign([rng.uniform(1.0, 1.6) / 2**bits for bits in plan.widths])
        if isinstance(layer, TransitionalBatchNormalization):
            shape = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape, p=[1 / 3, 2 / 3]))
            layer.beta.assign(rng.normal(0.4, 0.3, shape))
            layer.moving_mean.assign(rng.normal(0, 0.5, shape))
            layer.moving_variance.assign(rng.uniform(0.3, 3, shape))
    return model
