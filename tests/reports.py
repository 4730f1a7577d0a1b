"""Reports that no build wrote: plain dictionaries with every key, and folders that look like finished runs."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from flow.pipeline.build import CONFIG, stage_folder
from flow.pipeline.config import BuildConfig, save_config
from flow.pipeline.stage import recorded
from flow.pipeline.stages import STAGES

CELLS = {"lut": 900.0, "ff": 1500.0, "dsp": 0.0, "bram36": 1.5, "lutram": 44.0, "carry4": 120.0}
PLAIN = {
    "model": "tiny",
    "bits": {"weights": {"stem": 8, "s1_conv1": 4, "s1_conv2": 4}, "activations": {"stem_out": 4}},
    "dataset": {"name": "digits", "images": 360, "source": "digits: asked for; they come with scikit-learn"},
    "accuracy": {"trained": 0.95, "deployed": 0.9475, "rtl": 0.94},
    "exact": {
        "images": 100,
        "keras_images": 360,
        "csim_images": 100,
        "rtl_images": 100,
        "golden_vs_keras": 0,
        "golden_vs_csim": 0,
        "golden_vs_rtl": 0,
        "trained_vs_deployed_labels": 1,
    },
    "latency": {"first_frame_cycles": 1_234, "interval_cycles": 576, "clock_mhz": 100.0},
    "resources": {
        "tool": "Yosys 0.70",
        "flags": "synth_xilinx -family xc7",
        "device": "xc7z020clg400-1",
        "budget": {"lut": 53_200, "ff": 106_400, "dsp": 220, "bram36": 140, "lutram": 17_400},
        "fits": True,
        "total": CELLS,
        "layers": {
            "stem": {"measured": {**CELLS, "lut": 611}, "estimate": {"lut": 580, "ff": 900, "dsp": 0, "bram36": 1}},
            "stem_out": {"measured": {**CELLS, "lut": 201}, "estimate": None},
        },
    },
    "timing": {"tool": "nextpnr-ecp5", "fmax_mhz": 121.5, "modules": {"stem": 121.5, "stem_out": 203.0}},
    "folding": {"stem": {"pe": 4, "simd": 9, "cycles": 576}, "stem_out": {"pe": 1, "simd": 1, "cycles": 512}},
    "seconds": {"fold": 2.5, "simulate": 7.25},
    "versions": {"python": "3.11.7"},
    "not_measured": {
        "power": "needs a board",
        "resources.layers.stem_out.estimate": "the cost model has no rule for it",
    },
}


def changed(path: str, value: object) -> dict:
    """PLAIN with one key, dots between levels, set to `value`; `...` deletes it."""
    plain = copy.deepcopy(PLAIN)
    *outer, last = path.split(".")
    inner = plain
    for key in outer:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return plain


def build_of(bits: int, accuracy: float = 0.9, interval: int = 1_000, lut: int = 4_000, **changes: object) -> dict:
    """The report of a build at one width; `changes` are keys of `PLAIN`, with two underscores between levels."""
    plain = copy.deepcopy(PLAIN)
    plain["bits"] = {"weights": {"stem": 8, "s1_conv1": bits, "s1_conv2": bits}, "activations": {"stem_out": bits}}
    plain["accuracy"] = dict.fromkeys(("trained", "deployed", "rtl"), accuracy)
    plain["latency"]["interval_cycles"] = interval
    plain["resources"]["total"]["lut"] = lut
    plain["work"] = {
        "stem": {"macs": 50_000, "weight_bits": 8, "input_bits": 8},
        "s1_conv1": {"macs": 200_000, "weight_bits": bits, "input_bits": bits},
    }
    plain["folding"]["s1_conv1"] = {"pe": 16 // bits, "simd": 9, "cycles": interval - 10}
    plain["resources"]["layers"]["s1_conv1"] = {"measured": {**CELLS, "lut": 300 * bits}, "estimate": None}
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = plain
        for key in outer:
            inner = inner[key]
        inner[last] = value
    plain["not_measured"]["resources.layers.s1_conv1.estimate"] = "the cost model has no rule for it"
    return plain


def record(folder: Path, name: str, seconds: float = 1.0, digest: str = "") -> None:
    """Records a stage as finished, made from the stages before it as they are recorded now."""
    numbered = {stage.name: (stage, number) for number, stage in enumerate(STAGES, start=1)}
    needs = {need: recorded(*numbered[need], folder)[0].digest for need in numbered[name][0].needs}
    done = {"digest": digest, "needs": needs, "seconds": seconds, "files": {}, "values": {}}
    (stage_folder(folder, name) / "done.json").write_text(json.dumps(done))


def finished_run(folder: Path, plain: dict) -> Path:
    """A folder as a build leaves it, as far as comparing goes: configuration, records of the stages, report."""
    config = BuildConfig(model=plain["model"] if plain["model"] in ("tiny", "resnet8") else "tiny")
    folder.mkdir(parents=True)
    save_config(config, folder / CONFIG)
    for stage in STAGES:
        place = stage_folder(folder, stage.name)
        place.mkdir()
        seconds = plain["seconds"].get(stage.name, 1.0)
        record(folder, stage.name, seconds)
    (stage_folder(folder, "report") / "report.json").write_text(json.dumps(plain))
    return folder
