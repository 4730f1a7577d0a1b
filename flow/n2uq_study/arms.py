"""Which networks the study of N2UQ against uniform quantization trains, in which order, and how long."""

from __future__ import annotations

from dataclasses import dataclass

from keras_models.spec import ModelSpec


@dataclass(frozen=True)
class Arm:
    """One training.

    Attributes:
        spec: the model.
        bits: of weights and activations.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
        seed: of order and augmentation.
        hardware: whether it is built as well.
    """

    spec: ModelSpec
    bits: int
    quantizer: str
    seed: int = 0
    hardware: bool = False

    @property
    def name(self) -> str:
        return f"{self.quantizer}-w{self.bits}a{self.bits}-seed-{self.seed}"


@dataclass(frozen=True)
class Recipe:
    """Epochs.

    Attributes:
        epochs: of every arm.
        float_epochs: of the float network from which all start, 0 where it is there.
    """

    epochs: int
    float_epochs: int = 0

    def parts(self, arm: Arm) -> dict[str, int]:
        """See `flow.study.left.Recipe`."""
        return {"float": self.float_epochs, arm.name: self.epochs}


PARTS = ("n2uq-thresholds", "n2uq-weights")
BOTH = ("n2uq", "uniform")


def plan(spec: ModelSpec) -> list[Arm]:
    """Two seeds and the ablation at 2 bits, one seed at 3 and 4 (the paper's ablation and its comparison)."""
    return [
        *(Arm(spec, 2, quantizer, hardware=True) for quantizer in BOTH),
        *(Arm(spec, 2, quantizer) for quantizer in PARTS),
        *(Arm(spec, bits, quantizer, hardware=True) for bits in (3, 4) for quantizer in BOTH),
        *(Arm(spec, 2, quantizer, seed=1) for quantizer in (*BOTH, *PARTS)),
    ]
