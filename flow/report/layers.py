"""A report's figures by layer: what its several tables hold of each, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from flow.report.schema import Cells, Report


@dataclass(frozen=True)
class LayerFigures:
    """One layer; None where the report does not say.

    Attributes:
        name: of the layer, or of what joins layers.
        weight_bits, input_bits, output_bits: widths of weights, of what it reads and of an activation that it puts out.
        macs, bit_operations: of a frame.
        pe, simd: outputs and inputs at once.
        cycles: that it is busy with a frame.
        estimate, measured: its module alone, by the cost model and by synthesis.
        fmax_mhz: of its module alone, routed.
    """

    name: str
    weight_bits: int | None
    input_bits: int | None
    output_bits: int | None
    macs: int | None
    bit_operations: int | None
    pe: int | None
    simd: int | None
    cycles: int | None
    estimate: Cells | None
    measured: Cells | None
    fmax_mhz: float | None


def layer_figures(report: Report) -> list[LayerFigures]:
    """Every layer that the report knows, in the order of the network, then what joins them."""
    names = dict.fromkeys([*report.folding, *report.resources.layers, *report.timing.modules])
    return [_figures(report, name) for name in names]


def _figures(report: Report, name: str) -> LayerFigures:
    fold, work = report.folding.get(name), report.work.get(name)
    resources = report.resources.layers.get(name)
    return LayerFigures(
        name=name,
        weight_bits=report.bits.weights.get(name),
        input_bits=work.input_bits if work else None,
        output_bits=report.bits.activations.get(name),
        macs=work.macs if work else None,
        bit_operations=work.bit_operations if work else None,
        pe=fold.pe if fold else None,
        simd=fold.simd if fold else None,
        cycles=fold.cycles if fold else None,
        estimate=resources.estimate if resources else None,
        measured=resources.measured if resources else None,
        fmax_mhz=report.timing.modules.get(name),
    )
