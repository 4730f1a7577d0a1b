"""The report for a reader."""

from __future__ import annotations

from flow.report.layers import LayerFigures, layer_figures
from flow.report.schema import Cells, Report
from flow.report.summary import DASH, amount, figure, resource_rows, summary_rows, verdict
from flow.report.tables import table
from flow.report.vendor_text import vendor_section


def markdown(report: Report, plots: dict[str, str]) -> str:
    """The report as Markdown.

    Args:
        report: what to show.
        plots: captions of the plots that were drawn, by file name.
    """
    parts = [
        f"# {report.model} on {report.dataset.name}, {report.resources.device}",
        verdict(report),
        table(("", ""), summary_rows(report)),
        "## Resources",
        _resources_text(report),
        table(("resource", "used", "on the chip", "share"), resource_rows(report), right=(1, 2, 3)),
        *vendor_section(report),
        *_runtime_section(report),
        "## Layers",
        _LAYERS_TEXT,
        _layers(report),
        *(f"![{caption}]({name})" for name, caption in plots.items()),
        "## Exactness",
        "Differing integers between the golden model and each engine, over all outputs of all images.",
        _exactness(report),
        "## Not measured",
        "\n".join(f"* {key}: {reason}" for key, reason in report.not_measured.items()) or "Everything was measured.",
        "## Time and versions",
        table(("stage", "seconds"), [(name, f"{value:,.1f}") for name, value in report.seconds.items()], right=(1,)),
        table(("tool", "version"), list(report.versions.items())),
    ]
    return "\n\n".join(parts) + "\n"


_LAYERS_TEXT = (
    "PE outputs and SIMD inputs are computed at once; cycles are those that the layer is busy with a frame. LUTs of "
    "logic and memory: the estimate chose the folding, the measurement is synthesis of the layer's module alone, so "
    "that their sum is not that of the whole. Fmax is routed on an ECP5: the length of the module's paths, not a clock "
    "of the board."
)


def _runtime_section(report: Report) -> list[str]:
    """The configurations that were timed, where frames can choose."""
    runtime = report.runtime
    if runtime is None:
        return []
    heads = ("widths in bits", "average", "word", "cycles planned", "cycles between frames", "of the first frame",
             f"{runtime.metric}, trained", "deployed")  # fmt: skip
    rows = [
        (
            f"all {one.bits[0]}" if one.network_wide else " ".join(map(str, one.bits)),
            f"{one.average_bits:.2f}", f"{one.word:#x}", amount(one.planned_cycles), amount(one.interval_cycles),
            amount(one.first_frame_cycles), figure(runtime.metric, one.trained), figure(runtime.metric, one.deployed),
        )
        for one in runtime.configurations
    ]  # fmt: skip
    text = (
        f"Every frame has a width for each of the layers {', '.join(runtime.layers)}: a field of "
        f"{runtime.field_bits} bits in a word, the first layer's in the low bits, with the index of the width among "
        f"{', '.join(map(str, runtime.widths))}. All engines were compared in {runtime.compared} configurations, which "
        f"the images took in turn, another one with every frame. Weights are nested by their {runtime.nesting}. Of "
        f"{amount(runtime.total_activations)} activations {amount(runtime.differing_activations)} have another code "
        f"than in the trained network, whose normalizations are computed in floating point."
    )
    if runtime.inexact:
        named = ", ".join(f"{name} {amount(count)}" for name, count in runtime.inexact.items())
        text += f" For some sums no multiplier of the allowed width is exact: {named}."
    return ["## Widths that each frame chooses", text, table(heads, rows, right=range(1, len(heads))), *_beside(report)]


def _beside(report: Report) -> list[str]:
    """This firmware among those of one width each."""
    runtime, total = report.runtime, report.resources.total
    if not runtime.beside:
        return []
    wide = [runtime.at(width) for width in runtime.widths]
    own = (
        "this one",
        *(amount(value) for value in ((total.luts_used, total.ff, total.dsp, total.bram36) if total else 4 * (None,))),
        ", ".join(amount(one.interval_cycles) for one in wide),
        ", ".join(figure(runtime.metric, one.deployed) for one in wide),
    )
    rows = [
        (one.name, amount(one.lut), amount(one.ff), amount(one.dsp), amount(one.bram36), amount(one.interval_cycles),
         figure(runtime.metric, one.deployed))
        for one in runtime.beside
    ]  # fmt: skip
    heads = ("firmware", "LUT", "FF", "DSP", "BRAM36", "cycles between frames", f"{runtime.metric}, deployed")
    widths = ", ".join(map(str, runtime.widths))
    text = f"Beside firmwares of one width each; of this one, all layers at {widths} bits:"
    return [text, table(heads, [own, *rows], right=range(1, len(heads)))]


def _resources_text(report: Report) -> str:
    resources = report.resources
    if resources.tool is None:
        return "Not measured."
    return f"{resources.tool}, `{resources.flags}`. Another tool counts differently."


def _layers(report: Report) -> str:
    heads = (
        "layer", "weight bits", "output bits", "MACs", "PE", "SIMD", "cycles", "LUT estimate", "LUT measured", "FF",
        "DSP", "BRAM36", "Fmax MHz",
    )  # fmt: skip
    return table(heads, [_layer(figures) for figures in layer_figures(report)], right=range(1, len(heads)))


def _layer(layer: LayerFigures) -> tuple[str, ...]:
    return (
        layer.name,
        *(amount(value) for value in (layer.weight_bits, layer.output_bits, layer.macs)),
        *(amount(value) for value in (layer.pe, layer.simd, layer.cycles)),
        amount(layer.estimate.luts_used if layer.estimate else None, 0),
        *((DASH,) * 4 if layer.measured is None else _cells(layer.measured)),
        amount(layer.fmax_mhz, 1),
    )


def _cells(cells: Cells) -> tuple[str, ...]:
    return amount(cells.luts_used), amount(cells.ff), amount(cells.dsp), f"{cells.bram36:g}"


def _exactness(report: Report) -> str:
    exact = report.exact
    rows = [
        ("Keras, the deployed twin", exact.keras_images, exact.golden_vs_keras),
        ("C simulation of the HLS project", exact.csim_images, exact.golden_vs_csim),
        ("RTL in Verilator", exact.rtl_images, exact.golden_vs_rtl),
    ]
    text = table(
        ("engine", "images", "differing integers"),
        [(name, amount(images), amount(differing)) for name, images, differing in rows],
        right=(1, 2),
    )
    if exact.trained_vs_deployed_labels is None:
        return text
    labels = amount(exact.trained_vs_deployed_labels)
    at = "" if report.runtime is None else f", all layers at {report.runtime.widths[-1]} bits"
    return f"{text}\n\nLabels that folding changed, of {report.dataset.images:,} test images{at}: {labels}."
