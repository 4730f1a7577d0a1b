"""What a fold costs: an estimate in LUTs, flip-flops, DSP blocks and block RAMs of a 7-series device.

The coefficients are fitted to Yosys' results for the component library; `flow build` prints the estimate of each
layer beside its measurement, so that a drift shows. An estimate decides only which folding is tried.
"""

from __future__ import annotations

from math import ceil, log2

from flow import adders
from flow.adders import pipeline
from flow.folding.budget import Amount
from flow.folding.fold import Arithmetic, Fold, Folding, Memory, Style, driver, vector_cycles
from flow.ir import (
    Add,
    Argmax,
    Concat,
    Depthwise,
    Fork,
    Graph,
    MaxPool,
    Node,
    Requantize,
    RequantizeTable,
    SerialMatvec,
    SumPool,
    TensorType,
    Threshold,
    WeightCode,
    Weighted,
    Window,
)

#: what joins the layers, beside their names
BETWEEN = "between layers"

#: weights at most this deep are kept in logic: few words are few functions of the address, which many bits share;
#: deeper ones take a LUT a bit, and block RAMs are less scarce
LUT_DEPTH = 16
#: a FIFO at most this deep is kept in LUT RAM
LUT_FIFO_DEPTH = 128
#: what a runtime unit needs for the configurations of the frames under way
QUEUE = Amount(lut=24, ff=24)
#: bits of a LUT6 as a memory, and of a RAM32M's four LUTs as a two-port one
LUT_BITS, RAM32M_BITS, RAM32M_LUTS = 64, 32 * 6, 4
#: the widest word of a 36-kbit block, and its words at that width
BLOCK_WIDTH, BLOCK_DEPTH = 72, 512


def weight_memory(node: Weighted, fold: Fold) -> Memory:
    """Where the weights go when nobody says."""
    if fold.memory is not Memory.AUTO:
        return fold.memory
    return Memory.LUT if vector_cycles(node, fold) <= LUT_DEPTH else Memory.BLOCK


def rom(width: int, depth: int, memory: Memory) -> Amount:
    """A read-only memory with a registered output."""
    if memory is Memory.BLOCK:
        return Amount(bram36=ceil(2 * width / BLOCK_WIDTH * ceil(depth / BLOCK_DEPTH)) / 2)
    # a few words are few functions of the address, which the outputs share
    functions = min(width, 2.0 ** min(depth, 16))
    return Amount(lut=functions * ceil(depth / LUT_BITS), ff=functions)


def dot_product(simd: int, in_bits: int, planes: int, merged: int) -> tuple[float, float]:
    """LUTs and flip-flops of one row of a matvec, after its structure in `verilog/dot_product.sv`.

    Args:
        simd: inputs at once.
        in_bits: of an input.
        planes: bits of a weight.
        merged: additions that put the planes' sums together.
    """
    pairs, chain = ceil(simd / 2), 3
    groups, sum_bits = ceil(pairs / chain), in_bits + _log2(simd)
    group_bits = in_bits + _log2(2 * chain)
    choices = sum(in_bits + _log2(2 * (pair % chain) + 2) for pair in range(pairs))
    tree_bits = max(sum_bits, group_bits) if groups > 1 else 0
    lut = planes * (1.03 * choices + 0.6 * (groups - 1) * tree_bits) + 1.26 * merged * (sum_bits + 1)
    return lut, planes * (simd + groups * group_bits + tree_bits) + sum_bits + planes


def matvec(node: Weighted, fold: Fold, in_bits: int) -> Amount:
    """Rows of dot products, their accumulators, the choice among the vector's parts, the weights.

    The factors fit what Yosys gives for 18 folds of 1- to 8-bit weights within 2 %. The rows of a `Depthwise` share
    a vector only with those of the same channel.
    """
    vectors = fold.pe // node.multiplier if isinstance(node, Depthwise) else 1
    odd, steps = node.weight_code is WeightCode.ODD, node.mw // fold.simd
    row_lut, row_ff = dot_product(fold.simd, in_bits, node.weight_bits, node.weight_bits - 1 + odd)
    accumulators = fold.pe * node.output.width_bits
    shared = ceil(fold.simd / 2) * (in_bits + 1)
    sums = dot_product(fold.simd, in_bits, 1, 0)[0] if odd else 0  # of the activations alone
    select = fold.simd * in_bits * steps if steps > 1 else 0
    logic = Amount(
        lut=fold.pe * row_lut + 1.62 * accumulators + vectors * (0.46 * select + 0.36 * (shared + sums)) + 46,
        ff=fold.pe * row_ff + 2 * accumulators + vectors * (2 * fold.simd * in_bits + shared) + 30,
    )
    if vector_cycles(node, fold) == 1:  # the weights are constants, and synthesis sees them
        return Amount(lut=0.53 * logic.lut, ff=0.65 * logic.ff)
    words = rom(fold.pe * fold.simd * node.weight_bits, vector_cycles(node, fold), weight_memory(node, fold))
    return logic + words


def serial_matvec(node: SerialMatvec, fold: Fold, in_bits: int) -> Amount:
    """One bit plane of each row, accumulators that double, the choice among the vector's parts, the planes' memory.

    Odd codes take one more addition in each row, and the sum of half of the elements at a time.
    """
    row_lut, row_ff = dot_product(fold.simd, in_bits, 1, 0)
    accumulators, steps = fold.pe * node.output.width_bits, node.mw // fold.simd
    shared, select = ceil(fold.simd / 2) * (in_bits + 1), fold.simd * in_bits * steps if steps > 1 else 0
    total_lut, total_ff = dot_product(ceil(fold.simd / 2), in_bits + 1, 1, 0) if node.odd else (0, 0)
    logic = Amount(
        lut=fold.pe * (row_lut + 1) + (1 + node.odd) * accumulators + total_lut + 0.46 * select + 0.36 * shared + 80,
        ff=fold.pe * row_ff + 2 * accumulators + total_ff + 2 * fold.simd * in_bits + shared + 60,
    )
    return logic + rom(fold.pe * fold.simd, vector_cycles(node, fold), weight_memory(node, fold))


def adder_graph(node: Weighted, source: TensorType) -> Amount:
    """Adders, the registers between them, and those of the results."""
    graph, width = adders.solve(node.weights), node.output.width_bits
    finished = sum(width for r, b in zip(graph.results, node.bias) if b or r.negative)
    return Amount(
        lut=pipeline.luts(graph, source) + finished + 10, ff=pipeline.registers(graph, source) + node.mh * width + 10
    )


def _log2(number: int) -> int:
    """Bits that count to `number`."""
    return (number - 1).bit_length()


def window(node: Window, source_channels: int, in_bits: int, image_width: int, beats: int = 1) -> Amount:
    """Line memories in LUT RAM, the window's registers and the register that it leaves through.

    A pixel that comes in several beats makes the memories deeper and the registers narrower, and needs one more
    memory: of the columns before, for each beat.
    """
    pixel = source_channels * in_bits // beats
    taps = node.kernel[0] * node.kernel[1]
    ram = _lut_ram((node.kernel[0] - 1) * pixel, image_width * beats)
    if beats > 1:
        ram += _lut_ram(node.kernel[0] * (node.kernel[1] - 1) * pixel, beats)
    return Amount(lut=ram + 40, ff=2 * taps * pixel + 40)


def _lut_ram(bits: int, depth: int) -> float:
    """LUTs of a memory of `depth` words; where it is deeper than a RAM32M, with the choice among several."""
    parts = ceil(depth / 32)
    return ceil(bits / 6) * RAM32M_LUTS * parts + (0.4 * bits * parts if parts > 1 else 0)


def threshold(node: Threshold, fold: Fold, in_bits: int) -> Amount:
    """Comparators, one for each threshold or one for each output bit, and the thresholds' memory."""
    count, groups = node.thresholds.shape[1], node.output.channels // fold.lanes
    if (node.thresholds == node.thresholds[:1]).all() and (node.flip == node.flip[0]).all():
        # nothing to look up: constants, of an even grid for the most part
        return Amount(lut=fold.lanes * 2 * in_bits + 20, ff=fold.lanes * (3 * in_bits + 8) + 20)
    if fold.style is Style.PARALLEL:
        lut = count * in_bits * 1.1 + 1.2 * count
        return Amount(
            lut=fold.lanes * lut + rom(fold.lanes * count * in_bits, groups, Memory.LUT).lut,
            ff=fold.lanes * 2 * in_bits,
        )
    stages = max(1, ceil(log2(count + 1)))
    words = sum(in_bits * max(1, groups * 2**k / LUT_BITS) for k in range(stages))
    return Amount(
        lut=fold.lanes * (stages * in_bits * 1.1 + words) + 20, ff=fold.lanes * stages * (2 * in_bits + 2) + 20
    )


def requantize(node: Requantize, fold: Fold, in_bits: int) -> Amount:
    """A multiplier, an adder, the saturation, and the memory of both constants."""
    groups = node.output.channels // fold.lanes
    memory = rom(node.multiplier_bits + node.bias_bits, groups, Memory.LUT)
    return memory * fold.lanes + _affine(node, fold, in_bits)


def _affine(node: Requantize | RequantizeTable, fold: Fold, in_bits: int) -> Amount:
    wide, narrow = max(in_bits, node.multiplier_bits), min(in_bits, node.multiplier_bits)
    dsp = ceil(wide / 25) * ceil(narrow / 18)
    return Amount(fold.lanes * (node.bias_bits + 2 * node.output.width_bits), 120 * fold.lanes, dsp * fold.lanes)


def table_memory(node: RequantizeTable, fold: Fold) -> tuple[int, int, Memory]:
    """Bits of a word, words, and where the constants of all tables are kept."""
    width = fold.lanes * (node.multiplier_bits + node.bias_bits) + node.output.width_bits
    depth = node.tables * node.output.channels // fold.lanes
    return width, depth, Memory.LUT if depth <= LUT_DEPTH else Memory.BLOCK


def requantize_table(node: RequantizeTable, fold: Fold, in_bits: int) -> Amount:
    """As of a `requantize`; the memory holds all tables, with a register behind it."""
    memory = table_memory(node, fold)
    return rom(*memory) + _affine(node, fold, in_bits) + Amount(lut=30, ff=40)


def fifo_memory(depth: int) -> Memory:
    """Where the beats of a FIFO are kept."""
    return Memory.LUT if depth <= LUT_FIFO_DEPTH else Memory.BLOCK


def stream(bits: int, depth: int | None = None) -> Amount:
    """A skid register, or a FIFO of `depth` beats."""
    if depth is None:
        return Amount(lut=bits + 4, ff=2 * bits + 3)
    control = Amount(lut=30, ff=bits + 20)
    if fifo_memory(depth) is Memory.LUT:
        return control + Amount(lut=ceil(bits / 6) * RAM32M_LUTS * ceil(depth / 32))
    return control + rom(bits, depth, Memory.BLOCK)


def weighted(graph: Graph, node: Weighted, fold: Fold) -> Amount:
    """A node with weights, and its window."""
    source = graph.by_name[node.inputs[0]]
    if fold.arithmetic is Arithmetic.ADDERS:
        core = adder_graph(node, source.output)
    elif isinstance(node, SerialMatvec):
        core = serial_matvec(node, fold, source.output.width_bits)
    else:
        core = matvec(node, fold, source.output.width_bits)
    if not isinstance(source, Window):
        return core
    beats = node.mh // fold.pe if isinstance(node, Depthwise) else 1
    outer = graph.sources(source)[0]
    return core + window(source, outer.channels, outer.width_bits, outer.shape[1], beats)


def layer(graph: Graph, folding: Folding, node: Node, depths: dict[tuple[str, str], int]) -> Amount:
    """One generated layer module: adapters, window, memories and component."""
    match node:
        case Weighted():
            source = graph.by_name[node.inputs[0]]
            total = weighted(graph, node, folding.folds[node.name])
            if isinstance(node, SerialMatvec):
                total += QUEUE
            if isinstance(source, Window):
                return total + adapter(graph, folding, graph.by_name[source.inputs[0]], source, depths)
            if folding.buffers(graph, node):
                total += Amount(lut=5, ff=node.mw * source.output.width_bits)
            return total + adapter(graph, folding, source, node, depths)
        case Threshold():
            core = threshold(node, folding.folds[node.name], graph.sources(node)[0].width_bits)
        case Requantize():
            core = requantize(node, folding.folds[node.name], graph.sources(node)[0].width_bits)
        case RequantizeTable():
            core = requantize_table(node, folding.folds[node.name], graph.sources(node)[0].width_bits) + QUEUE
        case Add() | Concat():
            lanes = folding.folds[node.name].lanes
            core = Amount(lut=lanes * node.output.width_bits, ff=lanes * node.output.width_bits)
        case Argmax():
            lanes, bits = folding.folds[node.name].lanes, graph.sources(node)[0].width_bits
            core = Amount(lut=2 * lanes * bits + 30, ff=2 * bits + 30)
        case SumPool() | MaxPool():
            lanes = folding.folds[node.name].lanes
            core = Amount(lut=3 * lanes * node.output.width_bits + 30, ff=2 * lanes * node.output.width_bits + 30)
        case Fork():
            return Amount(lut=4, ff=2)
        case _:
            return Amount()
    for name in node.inputs:
        core += adapter(graph, folding, graph.by_name[name], node, depths)
    return core


def adapter(
    graph: Graph, folding: Folding, producer: Node, consumer: Node, depths: dict[tuple[str, str], int]
) -> Amount:
    """The width converter and the register or FIFO on an edge."""
    given, taken = folding.output_lanes(graph, producer), folding.input_lanes(graph, consumer)
    width, depth = producer.output.width_bits, depths.get((driver(graph, producer.name).name, consumer.name))
    total = stream((taken if depth else min(given, taken)) * width, depth)
    if given > taken:
        return total + Amount(lut=taken * width * given / taken / 3 + 5, ff=5)
    if given < taken:
        return total + Amount(lut=5, ff=taken * width + 5)
    return total


def network(graph: Graph, folding: Folding, depths: dict[tuple[str, str], int]) -> dict[str, Amount]:
    """The estimate of every layer, by node name, and of what is between them, two registers at each end."""
    layers = {n.name: amount for n in graph.nodes if (amount := layer(graph, folding, n, depths)) != Amount()}
    ends = (
        (graph.input, folding.output_lanes(graph, graph.input)),
        (graph.output, folding.input_lanes(graph, graph.output)),
    )
    registers = [stream(lanes * node.output.width_bits) for node, lanes in ends for _ in ("of the stream", "of AXI")]
    return layers | {BETWEEN: sum(registers, Amount())}


def total(amounts: dict[str, Amount]) -> Amount:
    """The sum over layers."""
    return sum(amounts.values(), Amount())
