"""What the project is measured by: `python -m flow.benchmark` measures, compares with what is recorded, and records.

LUTs per MAC come from synthesis of the matrix-vector unit alone, weights as input ports; the rest from the reports of
finished builds below `results/`, the cost model's error too (`flow.folding.calibration`). A figure that got worse is
said to be worse; deciding on it is a person's work.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flow import paths
from flow.files import read_json, write_json
from flow.folding.calibration import FILE
from flow.report import load

RECORD = Path("results") / "benchmarks.json"
#: 16 rows of 16 products a cycle, of a 3x3x16 -> 16 convolution
_UNIT = {"MW": 144, "MH": 16, "PE": 16, "SIMD": 16, "IN_SIGNED": 0}
#: name: input bits, weight bits, odd weights
UNITS = {
    "matvec_4x4": (4, 4, 0),
    "matvec_2x2": (2, 2, 0),
    "matvec_8x8": (8, 8, 0),
    "matvec_1x1": (1, 1, 1),
    "matvec_4x4_odd": (4, 4, 1),
    "matvec_2x2_odd": (2, 2, 1),
    "matvec_3x3": (3, 3, 0),
    "matvec_3x3_odd": (3, 3, 1),
}
#: figures of which more is better
_MORE_IS_BETTER = ("images_per_second", "fmax_mhz")
#: figures of one machine, which vary
_NOISE = {"seconds": 0.1, "images_per_second": 0.1}


def units(names: Iterable[str] = UNITS) -> dict[str, dict[str, float]]:
    """LUTs, per MAC in a cycle too, flip-flops and DSPs of units; accumulators and control included."""
    from flow.synth import xc7

    found = {}
    for name in names:
        in_bits, weight_bits, odd = UNITS[name]
        widths = {"IN_WIDTH": in_bits, "WEIGHT_WIDTH": weight_bits, "WEIGHT_ODD": odd}
        parameters = _UNIT | widths | {"ACC_WIDTH": in_bits + weight_bits + odd + 8}
        sources = sorted(paths.verilog().glob("*.sv"))
        measured = xc7.synthesize(sources, "matvec", parameters, cache=paths.cache() / "synth")
        macs = parameters["PE"] * parameters["SIMD"]
        found[name] = {
            "lut_per_mac": round(measured.luts_used / macs, 2),
            "lut": measured.luts_used,
            "ff": measured.ff,
            "dsp": measured.dsp,
        }
    return found


def builds(folder: Path) -> dict[str, dict[str, float]]:
    """Cycles between frames, LUTs, Fmax, images a second in simulation and build time of each recorded build."""
    found = {}
    for path in sorted(folder.glob("*/report.json")):
        report = load(path)
        figures = {
            "interval_cycles": report.latency.interval_cycles,
            "first_frame_cycles": report.latency.first_frame_cycles,
            "lut": report.resources.total and report.resources.total.luts_used,
            "fmax_mhz": report.timing.fmax_mhz,
            "images_per_second": report.rates.get("rtl_images_per_second"),
            "seconds": round(sum(report.seconds.values()), 1),
        }
        name = path.parent.name
        found[name] = {key: value for key, value in figures.items() if value is not None}
    return found


def calibration(folder: Path) -> dict[str, dict]:
    """Estimated and measured LUTs of each recorded build, and of each of its layers, for `flow.folding.calibration`."""
    found = {}
    for path in sorted(folder.glob("*/report.json")):
        layers = {
            name: {"estimate": layer.estimate.luts_used, "measured": layer.measured.luts_used}
            for name, layer in load(path).resources.layers.items()
            if layer.estimate and layer.measured
        }
        if layers:
            total = {key: round(sum(layer[key] for layer in layers.values()), 1) for key in ("estimate", "measured")}
            found[path.parent.name] = total | {"layers": layers}
    return found


def changes(before: dict, after: dict) -> list[str]:
    """One line for each figure that is not what it was: better, worse, new or gone."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, {}), after.get(name, {})
        for key in dict.fromkeys([*old, *new]):
            a, b = old.get(key), new.get(key)
            if a is None or b is None:
                lines.append(f"{name} {key}: {'new' if a is None else 'gone'}, {b if a is None else a:g}")
            elif abs(b - a) > _NOISE.get(key, 0) * abs(a):
                verdict = "better" if (b > a) == (key in _MORE_IS_BETTER) else "worse"
                lines.append(f"{name} {key}: {a:g} -> {b:g}, {verdict}")
    return lines


def main() -> None:
    """Measures, prints what changed, and writes the record; run in the checkout."""
    before = read_json(RECORD) if RECORD.exists() else {}
    after = units() | builds(RECORD.parent)
    for line in changes(before, after) or ["nothing changed"]:
        print(line)
    write_json(RECORD, after)
    write_json(FILE, calibration(RECORD.parent))


if __name__ == "__main__":
    main()
