"""The hls4ml backend `FlowRTL`: hls4ml's graph passes, then our IR, golden model and Verilog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends.vivado.vivado_backend import VivadoBackend
from hls4ml.model.flow import get_flow, register_flow
from hls4ml.writer.writers import Writer

from flow.errors import FlowError
from flow.hls.plugin import NAME

#: passes that turn the graph into C++, which this backend does not write
_CPP_FLOWS = ("vivado:specific_types", "vivado:apply_templates")


class NoWriter(Writer):
    """hls4ml wants a writer of every backend's name; `FlowRTLBackend.write` does the writing."""


class FlowRTLBackend(VivadoBackend):
    """Converts as Vivado's backend does, up to the point where types become C++.

    A converted model has `compile()` (writes the files; there is nothing to compile), `predict(x)` (the golden model)
    and `write()`.
    """

    def __init__(self) -> None:
        # VivadoBackend's own constructor would register everything under the name Vivado again
        super(VivadoBackend, self).__init__(NAME)
        self._register_layer_attributes()
        requirements = [name for name in get_flow("vivado:ip").requires if name not in _CPP_FLOWS]
        self._default_flow = register_flow("ip", None, requires=requirements, backend=self.name)
        self._writer_flow = None

    def create_initial_config(
        self, io_type: str = "io_stream", board: str = "pynq-z2", folding: str | None = None, **kwargs: Any
    ) -> dict:
        """The settings of a conversion, which `convert_from_keras_model` hands on.

        Args:
            io_type: streams, as that is what the hardware has.
            board: whose resources the folding is solved for.
            folding: a folding.yaml to use instead.
            kwargs: what hls4ml's Vivado backend takes.
        """
        config = super().create_initial_config(io_type=io_type, **kwargs)
        return {**config, "Board": board, "Folding": folding}

    def graph(self, model: Any) -> Any:
        """The IR of a converted model, lowered once."""
        from flow.hls.lowering import lower

        if getattr(model, "_flow_graph", None) is None:
            model._flow_graph = lower(model)
        return model._flow_graph

    def write(self, model: Any) -> None:
        """Writes `network.npz` (the IR), `folding.yaml` and the folder `verilog` into the output folder."""
        from flow.boards import find_board
        from flow.folding import Amount, file, solve
        from flow.folding.budget import UTILIZATION
        from flow.ir import save
        from flow.rtl import write

        folder, graph = Path(model.config.get_output_dir()), self.graph(model)
        board, given = (model.config.get_config_value(key) for key in ("Board", "Folding"))
        if given is None:
            chip = find_board(board)
            folding = solve(graph, Amount.of(chip) * UTILIZATION, None)
        else:
            folding = file.load(graph, Path(given))
        save(graph, folder / "network.npz")
        file.save(graph, folding, folder / "folding.yaml")
        write(graph, folding, folder / "verilog")

    def compile(self, model: Any) -> None:
        """Nothing to compile. hls4ml opens the library of the returned name; None is the running process."""
        return

    def predict(self, model: Any, x: np.ndarray) -> np.ndarray:
        """The golden model.

        Args:
            model: a converted model.
            x: samples (N, *input shape) or one without N: integer codes, or floats on the input's grid. Where layers
                choose their width for each sample, a pair of that and the positions of their widths (N, layers).

        Returns:
            float64 logits (N, classes), exact, on the grid of the output's accumulator.
        """
        from flow import golden

        graph = self.graph(model)
        source, result = graph.input.output, graph.output.output
        configuration = None
        if graph.runtime is not None and isinstance(x, (list, tuple)):
            x, positions = x
            configuration = np.asarray(graph.runtime.widths)[np.asarray(positions, dtype=np.int64)]
        codes = np.asarray(x)
        if codes.dtype.kind == "f":
            scaled = np.ldexp(codes.astype(np.float64), source.fraction_bits)
            codes = np.rint(scaled).astype(np.int64)
            if not np.array_equal(codes, scaled):
                raise FlowError(
                    f"predict: floats must be multiples of 2**-{source.fraction_bits}, the grid of the input"
                )
        outputs = golden.run(graph, codes.reshape(-1, *source.shape), configuration=configuration)
        logits = np.ldexp(outputs.astype(np.float64), -result.fraction_bits)
        return logits[0] if codes.ndim == len(source.shape) else logits

    def build(self, model: Any, **_: Any) -> None:
        """hls4ml's name for running the vendor tool."""
        raise FlowError("FlowRTL writes Verilog and runs no vendor tool; `flow build` simulates and synthesizes it")
