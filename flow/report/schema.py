"""What a report holds. Every key is there; a figure that was not measured is null, and `not_measured` says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flow.folding import Amount
from flow.quantizers import UNIFORM
from flow.report.runtime import Runtime
from flow.report.vendor import Vendor
from flow.tasks import ACCURACY, scores_text


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bits(_Part):
    """Widths by layer name: of the weights, and of the activations that a layer puts out."""

    weights: dict[str, int]
    activations: dict[str, int]


class Dataset(_Part):
    """Which images: `images` is the size of the test set, `source` says where it was found and why it was taken."""

    name: str
    images: int = Field(ge=1)
    source: str


class Accuracy(_Part):
    """Shares of right labels, 0 to 1: `trained` and `deployed` on the whole test set, `rtl` on the RTL's images."""

    trained: float | None
    deployed: float | None
    rtl: float | None


class Quality(_Part):
    """Another figure than accuracy: `trained` and `deployed` on the whole test set, `rtl` on the RTL's samples."""

    trained: float | None
    deployed: float | None
    rtl: float | None


class Exact(_Part):
    """Numbers of differing integers between golden and each engine, of all outputs of all images.

    Attributes:
        images: that every engine has computed, the fewest of the three.
        keras_images, csim_images, rtl_images: of each engine.
        trained_vs_deployed_labels: labels that folding changed, on the whole test set.
    """

    images: int | None
    keras_images: int | None
    csim_images: int | None
    rtl_images: int | None
    golden_vs_keras: int | None
    golden_vs_csim: int | None
    golden_vs_rtl: int | None
    trained_vs_deployed_labels: int | None


class Latency(_Part):
    """Cycles of the RTL in simulation; `clock_mhz` is the clock that the build aims at, not a measurement."""

    first_frame_cycles: int | None
    interval_cycles: int | None
    clock_mhz: float


class Cells(_Part):
    """Counted by synthesis. `lut` is logic, `lutram` LUTs used as memory; the chip needs the sum of both."""

    lut: float
    ff: float
    dsp: float
    bram36: float
    lutram: float = 0
    carry4: float = 0

    @property
    def luts_used(self) -> float:
        return self.lut + self.lutram

    def excess(self, budget: Cells) -> dict[str, tuple[float, float]]:
        """(needed, available) of each resource that the budget lacks."""
        found = self.amount().excess(budget.amount_available())
        if self.lutram > budget.lutram:
            found["lutram"] = (self.lutram, budget.lutram)
        return found

    def amount(self) -> Amount:
        """As the folding counts: LUTs of both kinds together."""
        return Amount(self.luts_used, self.ff, self.dsp, self.bram36)

    def amount_available(self) -> Amount:
        """The same of a chip, whose memory LUTs are among its LUTs."""
        return Amount(self.lut, self.ff, self.dsp, self.bram36)


class LayerResources(_Part):
    """One layer: `measured` by synthesis of its module alone; `estimate` is what the folding was chosen with."""

    measured: Cells | None
    estimate: Cells | None


class Resources(_Part):
    """Synthesis: tool, flags, chip, what it holds, what the whole takes, and each layer's module alone."""

    tool: str | None
    flags: str | None
    device: str
    budget: Cells
    fits: bool | None
    total: Cells | None
    layers: dict[str, LayerResources]


class OddCodes(_Part):
    """Odd weight codes (N2UQ) against uniform codes of equal bits, by synthesis of each layer's module alone.

    Attributes:
        layers: that have odd codes of 2 bits at least, and the quantizers of their sums.
        lut, uniform_lut: of logic and of memory, the sum over these layers, at one folding.
    """

    layers: list[str] = Field(min_length=1)
    lut: float
    uniform_lut: float = Field(gt=0)

    @property
    def price(self) -> float:
        """LUTs over those of uniform codes, as a share: 0.05 is 5 % more."""
        return self.lut / self.uniform_lut - 1


class Timing(_Part):
    """Routed Fmax of each module on an ECP5, and of the slowest one: the length of paths, not a board's clock."""

    tool: str | None
    fmax_mhz: float | None
    modules: dict[str, float | None]

    @property
    def routed(self) -> int:
        """How many modules have an Fmax: routing of the others took too long."""
        return sum(mhz is not None for mhz in self.modules.values())


class Fold(_Part):
    """Outputs and inputs at once, the cycles that a layer is busy with a frame, and how its products are made."""

    pe: int
    simd: int
    cycles: int
    arithmetic: Literal["planes", "adders"] = "planes"


class LayerWork(_Part):
    """What one layer with weights computes for a frame, whatever the hardware that does it.

    Attributes:
        macs: multiply-accumulates.
        weight_bits, input_bits: of the two factors of each.
    """

    macs: int = Field(ge=1)
    weight_bits: int = Field(ge=1)
    input_bits: int = Field(ge=1)

    @property
    def bit_operations(self) -> int:
        """Products of one bit by one bit."""
        return self.macs * self.weight_bits * self.input_bits


class Report(_Part):
    """The whole.

    Attributes:
        output: what the hardware gives, logits or the index of the largest.
        quantizer: the system that the network was quantized with, a name of `flow.quantizers.SYSTEMS`.
        odd_codes: what its odd weight codes cost; None where it has none.
        runtime: the widths that frames choose from, where there is a choice. `bits`, `latency` and what `accuracy` or
            `quality` say are then those of the widest.
        quality: by the name of the figure, how well a network does a task that is not to name a class; empty where
            `accuracy` says so.
        work: by layer; empty in a report that was written before there was any.
        seconds: of each stage when it ran.
        rates: what engines get through, by name with its unit (``"rtl_images_per_second"``).
        not_measured: the reason, by key, as in ``"accuracy.rtl"``, or by a subject that has no key.
        vendor: comes in with `flow handoff --collect`.
    """

    model: str
    output: Literal["logits", "argmax"] = "logits"
    quantizer: str = UNIFORM
    bits: Bits
    dataset: Dataset
    accuracy: Accuracy
    quality: dict[str, Quality] = Field(default_factory=dict)
    exact: Exact
    latency: Latency
    resources: Resources
    odd_codes: OddCodes | None = None
    runtime: Runtime | None = None
    timing: Timing
    folding: dict[str, Fold]
    work: dict[str, LayerWork] = Field(default_factory=dict)
    seconds: dict[str, float]
    rates: dict[str, float] = {}
    versions: dict[str, str]
    not_measured: dict[str, str]
    vendor: Vendor | None = None

    @model_validator(mode="after")
    def _nulls_have_reasons(self) -> Report:
        for key in _nulls(self.model_dump(exclude={"not_measured", "vendor", "odd_codes", "runtime"})):
            if not any(key == said or key.startswith(f"{said}.") for said in self.not_measured):
                raise ValueError(f"{key} is null and not_measured does not say why")
        return self

    @model_validator(mode="after")
    def _fits_follows(self) -> Report:
        total = self.resources.total
        if total is not None and self.resources.fits != (not total.excess(self.resources.budget)):
            raise ValueError("resources.fits does not follow from total and budget")
        return self

    @property
    def deployed_text(self) -> str | None:
        """How well the deployed network does its task, for people; None where nobody can tell."""
        figures = {name: found.deployed for name, found in self.quality.items()}
        figures |= {} if self.accuracy.deployed is None else {ACCURACY: self.accuracy.deployed}
        return scores_text({name: value for name, value in figures.items() if value is not None}) if figures else None

    @property
    def is_exact(self) -> bool:
        """Every engine was compared, and no integer differed."""
        exact = self.exact
        return [exact.golden_vs_keras, exact.golden_vs_csim, exact.golden_vs_rtl] == [0, 0, 0]

    @property
    def frames_per_second(self) -> float | None:
        """At the target clock."""
        interval = self.latency.interval_cycles
        return None if interval is None else self.latency.clock_mhz * 1e6 / interval

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of a frame."""
        return sum(layer.macs for layer in self.work.values()) if self.work else None

    @property
    def bit_operations(self) -> int | None:
        """Products of one bit by one bit of a frame: MACs times weight bits times input bits, of all layers."""
        return sum(layer.bit_operations for layer in self.work.values()) if self.work else None

    @property
    def slowest_module(self) -> str | None:
        """The module with the lowest routed Fmax."""
        routed = {name: mhz for name, mhz in self.timing.modules.items() if mhz is not None}
        return min(routed, key=routed.__getitem__) if routed else None


def check(plain: Mapping[str, Any]) -> Report:
    """The report of a plain dictionary.

    Raises:
        ValueError: a key is missing or too many, a figure is null without a reason, or two do not agree; one line
            for each.
    """
    try:
        return Report.model_validate(plain)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'report'}: {item['msg']}" for item in error.errors()]
        raise ValueError("\n".join(problems)) from error


def _nulls(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all nulls, with dots between keys."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _nulls(inner, f"{path}.{key}" if path else str(key))
