"""flow models."""

from __future__ import annotations


def models() -> None:
    """List models, boards, datasets, and the checkpoints that come with the project."""
    from rich.console import Console

    from flow.boards import BOARDS
    from flow.cli.tables import plain_table
    from flow.datasets import DATASETS, fitting
    from keras_models import MODELS

    console = Console()
    table = plain_table("model", "weights", "MACs a frame", "datasets", "what", right=(1, 2))
    for spec in MODELS.values():
        datasets = ", ".join(fitting(spec.input_shape))
        table.add_row(spec.name, f"{spec.weights:,}", f"{spec.macs:,}", datasets, spec.description)
    console.print(table)

    table = plain_table("board", "part", "LUT", "FF", "DSP", "BRAM36", "MHz", right=(2, 3, 4, 5, 6))
    for board in BOARDS.values():
        amounts = (f"{board.lut:,}", f"{board.ff:,}", f"{board.dsp:,}", f"{board.bram36:g}", f"{board.clock_mhz:g}")
        table.add_row(board.name, board.part, *amounts)
    console.print(table)
    for board in BOARDS.values():
        if board.note:
            console.print(f"{board.name}: {board.note}.", highlight=False)

    table = plain_table("dataset", "samples", "where")
    for name in DATASETS:
        table.add_row(name, *_dataset(name))
    console.print(table)

    table = plain_table("checkpoint", "dataset", "accuracy or other figure", "test samples", right=(2, 3))
    for row in _checkpoints():
        table.add_row(*row)
    console.print(table if table.row_count else "No checkpoint comes with this installation.")


def _dataset(name: str) -> tuple[str, str]:
    """What samples a dataset has, and where it is."""
    from flow.datasets import module_of

    if name == "auto":
        return "what the model takes", "the first of the model's datasets that is here or can be downloaded"
    module = module_of(name)
    return module.SAMPLES, module.where()


def _checkpoints() -> list[tuple[str, str, str, str]]:
    """Name, dataset, figures and test samples of each shipped checkpoint."""
    from flow.errors import FlowError
    from flow.files import read_json
    from flow.training.checkpoints import CheckpointMeta, checkpoint_dir

    rows = []
    for path in sorted(checkpoint_dir().glob("*.json")):
        try:
            meta = CheckpointMeta.model_validate(read_json(path))
        except (FlowError, ValueError) as error:
            rows.append((path.stem, "", "damaged", str(error).splitlines()[0]))
            continue
        rows.append((path.stem, meta.dataset, meta.score_text, f"{meta.test_images:,}"))
    return rows
