"""The fast path: the network's RTL in Verilator under a C++ harness, for thousands of images on all cores."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flow import golden
from flow.errors import CheckFailed
from flow.folding import Folding
from flow.folding.schedule import latency_cycles
from flow.ir import Configuration, Flatten, Fork, Graph, Input, Output, Window
from flow.rtl import Design
from flow.rtl.beats import from_bus, from_stream, to_bus
from flow.simulate.compare import Difference, compare
from flow.simulate.model import build
from flow.tools.process import die_with_parent


@dataclass(frozen=True)
class Simulated:
    """What a run of the RTL gave.

    Attributes:
        outputs: int64 (B, *output shape).
        first_frame_cycles: from the first beat in to the last beat out of the first frame.
        interval_cycles: between the last beats of consecutive frames, the longest in the run.
        cycles: from the first beat in to the last beat out of all frames, of the process that took longest.
        seconds: wall-clock time of the simulation without the build.
    """

    outputs: np.ndarray
    first_frame_cycles: int
    interval_cycles: int
    cycles: int
    seconds: float


class Simulator:
    """A built network; `run` streams images through it.

    Args:
        workers: processes that share the images.
    """

    def __init__(self, graph: Graph, folding: Folding, design: Design, cache: Path, workers: int = 2) -> None:
        self._graph, self._folding, self._design, self._cache = graph, folding, design, cache
        self._workers = workers
        self._program = build(design, cache, runtime=graph.runtime is not None)

    def run(
        self,
        images: np.ndarray,
        progress: Callable[[int], None] = lambda done: None,
        configuration: Configuration | None = None,
        stalls: int = 0,
    ) -> Simulated:
        """Streams frames back to back.

        Args:
            images: integers (B, *input shape).
            progress: hears how many images are done.
            configuration: for a graph with runtime layers, see `RuntimeWidths.fields`.
            stalls: 0, or the seed of random stalls of sender and receiver.

        Raises:
            CheckFailed: the hardware got stuck, or broke the protocol.
        """
        start = time.monotonic()
        parts = [part for part in np.array_split(images, self._workers) if len(part)]
        widths = self._graph.widths(configuration, len(images))
        shares = [None] * len(parts) if widths is None else np.array_split(widths, self._workers)
        done = [0] * len(parts)
        lock = threading.Lock()
        results: list[tuple[np.ndarray, list[tuple[int, int]]] | Exception] = [RuntimeError()] * len(parts)

        def work(index: int) -> None:
            def count(frames: int) -> None:
                with lock:
                    done[index] = frames
                    progress(sum(done))

            try:
                results[index] = self._stream(self._program, parts[index], shares[index], None, count, stalls)
            except Exception as error:  # carried to the caller's thread
                results[index] = error

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, Exception):
                raise result
        outputs = np.concatenate([result[0] for result in results])
        frames = [result[1] for result in results]
        gaps = [b[1] - a[1] for part in frames for a, b in itertools.pairwise(part)]
        first = frames[0][0]
        cycles = max(part[-1][1] - part[0][0] + 1 for part in frames)
        return Simulated(outputs, first[1] - first[0] + 1, max(gaps, default=0), cycles, time.monotonic() - start)

    def explain(self, images: np.ndarray, configuration: Configuration | None = None) -> Difference:
        """Runs a few images with every stream recorded and compares layer by layer with golden.

        Returns:
            the difference of the first layer, in graph order, that differs at all; a count of 0 if none does.
        """
        names = [n.name for n in self._graph.nodes if not isinstance(n, (Input, Output, Window, Flatten, Fork))]
        traced = tuple((name, self._bits(name)) for name in names)
        program = build(self._design, self._cache, traced, self._graph.runtime is not None)
        expected = golden.layers(self._graph, images, configuration)
        with tempfile.TemporaryDirectory() as folder:
            # what moved until it got stuck is compared all the same
            with contextlib.suppress(CheckFailed):
                self._stream(program, images, configuration, Path(folder), lambda frames: None)
            for name in names:
                node, want = self._graph.by_name[name], expected[name]
                lanes = self._folding.output_lanes(self._graph, node)
                got = from_stream((Path(folder) / f"{name}.bin").read_bytes(), node.output, lanes)
                complete = np.concatenate([got[: want.size], np.zeros(max(want.size - got.size, 0), np.int64)])
                found = compare(name, want, complete.reshape(want.shape))
                if found.count:
                    return found
        return Difference(0, sum(v.size for v in expected.values()))

    def _bits(self, name: str) -> int:
        node = self._graph.by_name[name]
        return self._folding.output_lanes(self._graph, node) * node.output.width_bits

    def _stream(
        self,
        program: Path,
        images: np.ndarray,
        configuration: Configuration | None,
        trace: Path | None,
        progress: Callable[[int], None],
        stalls: int = 0,
    ) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """One process: outputs, and the first and last cycle of each frame."""
        graph, folding = self._graph, self._folding
        source, sink = graph.input.output, graph.output.output
        in_lanes, out_lanes = folding.output_lanes(graph, graph.input), folding.input_lanes(graph, graph.output)
        beats = to_bus(images, source, in_lanes)
        out_beats = sink.elements // out_lanes
        out_bytes = to_bus(np.zeros((1, *sink.shape), np.int64), sink, out_lanes).shape[1]
        patience = 4 * folding.interval(graph) + 4 * sum(latency_cycles(node, folding) for node in graph.nodes) + 10_000
        with tempfile.TemporaryDirectory() as folder:
            given, taken = Path(folder) / "in.bin", Path(folder) / "out.bin"
            given.write_bytes(beats.tobytes())
            sizes = (len(images), source.elements // in_lanes, beats.shape[1], out_beats, out_bytes, patience, stalls)
            command = [program, given, taken, trace or "-", *sizes]
            if graph.runtime:
                words, size = Path(folder) / "words.bin", (graph.runtime.word_bits + 7) // 8
                fields = graph.fields(configuration, len(images))
                words.write_bytes(b"".join(word.to_bytes(size, "little") for word in graph.runtime.words(fields)))
                command += [words, size]
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self._design.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip
            frames, other = [], []
            for line in process.stdout:
                if line.startswith("frame "):
                    _, number, first, last = line.split()
                    frames.append((int(first), int(last)))
                    progress(int(number) + 1)
                else:
                    other.append(line.strip())
            if process.wait():
                detail = "; ".join(other[-3:]) or f"exit status {process.returncode}"
                raise CheckFailed(f"the simulated RTL failed after {len(frames)} frames: {detail}")
            return from_bus(taken.read_bytes(), sink), frames
