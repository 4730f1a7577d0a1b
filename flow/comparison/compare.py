"""The figures of several builds in one flat structure: what JSON, CSV, the screen and the page are made from."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from flow.comparison.conditions import conditions, differences
from flow.comparison.load import Run
from flow.quantizers import UNIFORM
from flow.report import LayerFigures, Report, layer_figures
from flow.report.summary import usual_width
from flow.tasks import AUC, ERROR


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunRow(_Part):
    """One build; None where it was not measured.

    Attributes:
        run: its name; no other has it.
        label: a shorter one for plots, unique too.
        quantizer: the system, a name of `flow.quantizers.SYSTEMS`.
        weight_bits, activation_bits: the most frequent widths; those of each layer are in the rows of the layers.
        test_images: that the accuracies are measured on; `accuracy_rtl` on the `exact_images` that every engine ran.
        mean_squared_error, auc: of the deployed network, where its task is a reconstruction, see `flow.tasks`.
        exact: whether Keras, C simulation and RTL equal golden in every integer.
        interval_cycles: between frames; frames_per_second at clock_mhz, which is a target.
        macs, bit_operations: of a frame.
        lut: of logic and of memory; share_* of what the chip holds.
        fmax_mhz: routed, of the slowest module on an ECP5.
        build_seconds: of all stages, when they ran.
    """

    run: str
    label: str
    model: str
    quantizer: str
    weight_bits: int | None
    activation_bits: int | None
    dataset: str
    test_images: int
    accuracy_trained: float | None
    accuracy_deployed: float | None
    accuracy_rtl: float | None
    mean_squared_error: float | None
    auc: float | None
    exact: bool
    exact_images: int | None
    first_frame_cycles: int | None
    interval_cycles: int | None
    clock_mhz: float
    frames_per_second: float | None
    macs: int | None
    bit_operations: int | None
    device: str
    fits: bool | None
    lut: float | None
    ff: float | None
    dsp: float | None
    bram36: float | None
    share_lut: float | None
    share_ff: float | None
    share_dsp: float | None
    share_bram36: float | None
    fmax_mhz: float | None
    slowest_module: str | None
    build_seconds: float


class LayerRow(_Part):
    """One layer of one build; None where it has no such figure. Resources are of its module alone."""

    run: str
    layer: str
    weight_bits: int | None
    input_bits: int | None
    output_bits: int | None
    macs: int | None
    bit_operations: int | None
    pe: int | None
    simd: int | None
    cycles: int | None
    lut: float | None
    ff: float | None
    dsp: float | None
    bram36: float | None
    fmax_mhz: float | None


class Failure(_Part):
    """A build that is missing from the comparison, and why."""

    run: str
    reason: str


class Comparison(_Part):
    """Several builds side by side.

    Attributes:
        runs: in the order given.
        layers: of all runs, run by run, in the order of the network.
        differences: sentences: what was not measured alike. Empty if all was.
        conditions: how each was measured: a value by run, by subject.
        failures: builds that were asked for and are not there.
    """

    runs: list[RunRow]
    layers: list[LayerRow]
    differences: list[str]
    conditions: dict[str, dict[str, str]]
    failures: list[Failure] = []


def compare(runs: Sequence[Run], failures: Sequence[Failure] = ()) -> Comparison:
    """Sets builds side by side."""
    labels = _labels(runs)
    return Comparison(
        runs=[_run_row(run, label) for run, label in zip(runs, labels)],
        layers=[_layer_row(run.name, layer) for run in runs for layer in layer_figures(run.report)],
        differences=differences(runs),
        conditions=conditions(runs),
        failures=list(failures),
    )


def _labels(runs: Sequence[Run]) -> list[str]:
    """`w4a4` or `n2uq-w4a4` where that tells the runs apart, else their names."""
    short = [_short(run.report) for run in runs]
    models = {(run.report.model, run.report.dataset.name) for run in runs}
    return short if len(set(short)) == len(short) and len(models) == 1 else [run.name for run in runs]


def _short(report: Report) -> str:
    widths = f"w{usual_width(report.bits.weights)}a{usual_width(report.bits.activations)}"
    return widths if report.quantizer == UNIFORM else f"{report.quantizer}-{widths}"


def _run_row(run: Run, label: str) -> RunRow:
    report = run.report
    return RunRow(
        run=run.name,
        label=label,
        model=report.model,
        quantizer=report.quantizer,
        weight_bits=usual_width(report.bits.weights),
        activation_bits=usual_width(report.bits.activations),
        dataset=report.dataset.name,
        test_images=report.dataset.images,
        accuracy_trained=report.accuracy.trained,
        accuracy_deployed=report.accuracy.deployed,
        accuracy_rtl=report.accuracy.rtl,
        mean_squared_error=_quality(report, ERROR),
        auc=_quality(report, AUC),
        exact=report.is_exact,
        exact_images=report.exact.images,
        first_frame_cycles=report.latency.first_frame_cycles,
        interval_cycles=report.latency.interval_cycles,
        clock_mhz=report.latency.clock_mhz,
        frames_per_second=report.frames_per_second,
        macs=report.macs,
        bit_operations=report.bit_operations,
        device=report.resources.device,
        fits=report.resources.fits,
        **_resources(report),
        fmax_mhz=report.timing.fmax_mhz,
        slowest_module=report.slowest_module,
        build_seconds=round(sum(report.seconds.values()), 1),
    )


def _quality(report: Report, name: str) -> float | None:
    """A figure of the deployed network."""
    return report.quality[name].deployed if name in report.quality else None


def _resources(report: Report) -> dict[str, float | None]:
    """Used, and used of what the chip holds, by resource."""
    total, budget = report.resources.total, report.resources.budget
    used = dict.fromkeys(("lut", "ff", "dsp", "bram36"))
    if total is not None:
        used |= {"lut": total.luts_used, "ff": total.ff, "dsp": total.dsp, "bram36": total.bram36}
    have = {key: getattr(budget, key) for key in used}
    shares = {
        f"share_{key}": None if value is None or not have[key] else value / have[key] for key, value in used.items()
    }
    return used | shares


def _layer_row(run: str, layer: LayerFigures) -> LayerRow:
    cells = layer.measured
    return LayerRow(
        run=run,
        layer=layer.name,
        weight_bits=layer.weight_bits,
        input_bits=layer.input_bits,
        output_bits=layer.output_bits,
        macs=layer.macs,
        bit_operations=layer.bit_operations,
        pe=layer.pe,
        simd=layer.simd,
        cycles=layer.cycles,
        lut=cells and cells.luts_used,
        ff=cells and cells.ff,
        dsp=cells and cells.dsp,
        bram36=cells and cells.bram36,
        fmax_mhz=layer.fmax_mhz,
    )
