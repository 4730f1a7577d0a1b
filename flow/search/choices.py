"""Which widths a search may choose, and how it weighs the budget; without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from flow.bits import MIN_BITS, BitsSpec
from keras_models.spec import ModelSpec

#: what the recipe of a search has apart from the dataset's own: widths move to the end, and faster than weights
LEARNING = {"frozen_epochs": 0, "quantizer_rate": 5.0}


@dataclass(frozen=True)
class SearchConfig:
    """How a search is done, beside the recipe of its training.

    Attributes:
        activations: whether the widths of activations are searched too; those of the operands of adds never are.
        strength: weight of the budget in the loss. Widths meet the budget and then move along it; a weight far above
            the loss's own gradients would hold them where they met it.
    """

    activations: bool = False
    strength: float = 1.0


def searched_layers(spec: ModelSpec, config: SearchConfig) -> tuple[list[str], list[str]]:
    """Names of the weight layers and of the activations whose widths are learned."""
    open_ = [a.name for a in spec.activation_layers() if a.default_bits is None and not a.signed]
    return [w.name for w in spec.weight_layers()], open_ if config.activations else []


def lowest(spec: ModelSpec, config: SearchConfig, fixed: BitsSpec) -> BitsSpec:
    """Every searched layer at 1 bit.

    Args:
        fixed: the widths of what is not searched.
    """
    weights, activations = searched_layers(spec, config)
    return BitsSpec(
        weights={**fixed.weights, **dict.fromkeys(weights, MIN_BITS)},
        activations={**fixed.activations, **dict.fromkeys(activations, MIN_BITS)},
    )
