"""Which networks the study of N2UQ against uniform quantization trains, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flow.bits import BitsSpec
from flow.training.checkpoints import checkpoint_path
from keras_models.spec import ModelSpec


@dataclass(frozen=True)
class Arm:
    """One training.

    Attributes:
        bits: of weights and activations.
        quantizer: a name of `flow.quantizers.SYSTEMS`.
        seed: of order and augmentation.
        hardware: whether it is built as well.
    """

    bits: int
    quantizer: str
    seed: int = 0
    hardware: bool = False

    @property
    def name(self) -> str:
        return f"{self.quantizer}-w{self.bits}a{self.bits}-seed-{self.seed}"

    def checkpoint(self, spec: ModelSpec, dataset: str, folder: Path) -> Path:
        """Where its weights are kept in a study's folder."""
        return checkpoint_path(
            spec.name, dataset, BitsSpec.uniform(spec, self.bits), folder / f"seed-{self.seed}", self.quantizer
        )


PARTS = ("n2uq-thresholds", "n2uq-weights")
BOTH = ("n2uq", "uniform")

#: two seeds and the ablation at 2 bits, one seed at 3 and 4 (the table of the paper's ablation and of its comparison)
ARMS: tuple[Arm, ...] = (
    *(Arm(2, quantizer, hardware=True) for quantizer in BOTH),
    *(Arm(2, quantizer) for quantizer in PARTS),
    *(Arm(bits, quantizer, hardware=True) for bits in (3, 4) for quantizer in BOTH),
    *(Arm(2, quantizer, seed=1) for quantizer in (*BOTH, *PARTS)),
)
