"""What a report says of widths that each frame chooses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Configuration(_Part):
    """One choice of widths, the same for all frames of a run.

    Attributes:
        bits: of each runtime layer, in the order of `Runtime.layers`.
        word: the same as the hardware's port takes it: a field for each layer, the first in the low bits.
        planned_cycles, interval_cycles: between frames, by the folding and in RTL simulation.
        first_frame_cycles: in RTL simulation.
        trained, deployed: how well the network does its task on the whole test set; of network-wide widths alone.
    """

    bits: list[int]
    word: int = Field(ge=0)
    planned_cycles: int
    interval_cycles: int
    first_frame_cycles: int
    trained: float | None = None
    deployed: float | None = None

    @property
    def average_bits(self) -> float:
        """The mean of the layers' widths, each layer counted once."""
        return sum(self.bits) / len(self.bits)

    @property
    def network_wide(self) -> bool:
        return len(set(self.bits)) == 1


class Firmware(_Part):
    """What a build of one width takes, for comparison; None where it was not measured.

    Attributes:
        name: of the build.
        lut: of logic and memory.
        interval_cycles: between frames, in RTL simulation.
        deployed: how well its network does the task.
    """

    name: str
    lut: float | None
    ff: float | None
    dsp: float | None
    bram36: float | None
    interval_cycles: int | None
    deployed: float | None


class Runtime(_Part):
    """Widths between which each frame chooses.

    Attributes:
        widths: bits, ascending.
        layers: that can change, in the order of a configuration's fields.
        field_bits: of one field, an index into `widths`.
        compared: configurations whose frames, in turn, went through all engines: network-wide and random ones.
        nesting: how the weights of lower widths follow from the stored ones, see `flow.quantizers.nested`.
        differing_activations, total_activations: quantized activations with another code in the deployed network than
            in the trained one, of how many, at the widest on all test samples and in `compared` configurations on some.
        inexact: sums for which no multiplier of the allowed width gives the trained network's code, by activation; they
            are part of what differs.
        metric: what `trained`, `deployed` and the two below are, see `flow.tasks.METRICS`.
        mixed_deployed, mixed_rtl: with the widths of those configurations in turn: on the whole test set, and on the
            RTL's samples. None where nobody can tell.
        configurations: that were timed, network-wide ones first.
        beside: builds of one width each that this one is compared with, as far as they were named.
    """

    widths: list[int]
    layers: list[str]
    field_bits: int = Field(ge=1)
    compared: int = Field(ge=1)
    nesting: str
    differing_activations: int
    total_activations: int
    inexact: dict[str, int]
    metric: str
    mixed_deployed: float | None
    mixed_rtl: float | None
    configurations: list[Configuration] = Field(min_length=1)
    beside: list[Firmware] = []

    def at(self, width: int) -> Configuration:
        """All layers at one width."""
        return next(one for one in self.configurations if set(one.bits) == {width})
