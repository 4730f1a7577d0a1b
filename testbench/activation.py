"""Constants and stimuli of the activation units; the memory file is written before the simulator starts."""

from __future__ import annotations

import json

import numpy as np

from flow.rtl import memory


def constants(component: str, parameters: dict) -> dict[str, np.ndarray]:
    """Thresholds and flips, or multipliers and biases, of all channels; a function of the parameters alone."""
    p = {key: value for key, value in parameters.items() if key != "INIT_FILE"}
    generator = np.random.default_rng([*json.dumps(p, sort_keys=True).encode()])
    bits, signed = p["IN_WIDTH"], bool(p["IN_SIGNED"])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if component == "threshold":
        # some thresholds are reached always or never, some twice
        thresholds = generator.integers(low - 3, high + 4, (p["CHANNELS"], p["NUM_THRESHOLDS"]), endpoint=True)
        thresholds[:, -1] = thresholds[:, 0]
        return {"thresholds": thresholds, "flip": generator.random(p["CHANNELS"]) < 0.4}
    limit = 1 << p["MULT_WIDTH"] - 1
    # a product spans about twice the range of the output
    wanted = (4 << p["OUT_WIDTH"] + p["SHIFT"]) / max(high, 1)
    multiplier = np.clip(generator.normal(0, wanted / 3, p["CHANNELS"]), -limit, limit - 1).astype(np.int64)
    multiplier[0], multiplier[-1] = limit - 1, -limit
    room = 1 << min(p["BIAS_WIDTH"] - 1, p["OUT_WIDTH"] + p["SHIFT"])
    bias = generator.integers(-room, room, p["CHANNELS"])
    if p.get("TIES_TO_EVEN"):
        multiplier[1::2] = 1 << max(0, p["SHIFT"] - 1)
        bias[1::2] = (1 << p["SHIFT"]) >> 1
    return {"multiplier": multiplier, "bias": bias}


def table_constants(parameters: dict) -> dict[str, np.ndarray]:
    """Multipliers, biases and maxima of all tables of a `requantize_table`, each table as `constants` has it."""
    signed = parameters["OUT_SIGNED"]
    rows, maxima = [], []
    for t in range(parameters["COUNT"] ** parameters["SELECT"]):
        bits = parameters["OUT_WIDTH"] - t % min(3, parameters["OUT_WIDTH"] - signed)
        rows.append(constants("requantize", {**parameters, "OUT_WIDTH": bits, "TABLE": t}))
        maxima.append((1 << bits - signed) - 1)
    together = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return together | {"maximum": np.array(maxima)}


def accumulators(generator: np.random.Generator, p: dict, values: dict[str, np.ndarray], count: int) -> np.ndarray:
    """(count, CHANNELS) inputs: random ones, extremes, and ones on either side of a threshold."""
    bits, signed = p["IN_WIDTH"], bool(p["IN_SIGNED"])
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    x = generator.integers(low, high, (count, p["CHANNELS"]), endpoint=True)
    x[0], x[1] = low, high
    if "thresholds" in values:
        thresholds = values["thresholds"]
        picked = thresholds[
            np.arange(p["CHANNELS"]), generator.integers(0, thresholds.shape[1], (count - 2, p["CHANNELS"]))
        ]
        x[2:] = np.clip(picked + generator.integers(-1, 1, picked.shape, endpoint=True), low, high)
    else:
        x[2 : 2 + count // 3] = generator.integers(-4 if signed else 0, 8, (count // 3, p["CHANNELS"]))
    return x


def memory_file(component: str, p: dict) -> str:
    """The text of INIT_FILE."""
    if component == "requantize_table":
        tables = table_constants(p)
        constants_of = (tables["multiplier"], tables["bias"], tables["maximum"])
        return memory.pack_requantize_table(*constants_of, p["LANES"], p["MULT_WIDTH"], p["BIAS_WIDTH"], p["OUT_WIDTH"])
    values = constants(component, p)
    if component == "threshold":
        return memory.pack_threshold(
            values["thresholds"], values["flip"], p["LANES"], p["IN_WIDTH"], bool(p["IN_SIGNED"])
        )
    return memory.pack_requantize(values["multiplier"], values["bias"], p["LANES"], p["MULT_WIDTH"], p["BIAS_WIDTH"])
