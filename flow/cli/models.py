"""flow models."""

from __future__ import annotations


def models() -> None:
    """List models, boards, datasets, and the checkpoints that come with the project."""
    from rich.console import Console

    from flow.boards import BOARDS
    from flow.cli.tables import plain_table
    from flow.datasets import DATASETS
    from keras_models import MODELS

    console = Console()
    table = plain_table("model", "weights", "MACs a frame", "what", right=(1, 2))
    for spec in MODELS.values():
        layers = spec.weight_layers()
        weights = sum(layer.weights for layer in layers)
        macs = sum(layer.macs for layer in layers)
        table.add_row(spec.name, f"{weights:,}", f"{macs:,}", spec.description)
    console.print(table)

    table = plain_table("board", "part", "LUT", "FF", "DSP", "BRAM36", "MHz", right=(2, 3, 4, 5, 6))
    for board in BOARDS.values():
        amounts = (f"{board.lut:,}", f"{board.ff:,}", f"{board.dsp:,}", f"{board.bram36:g}", f"{board.clock_mhz:g}")
        table.add_row(board.name, board.part, *amounts)
    console.print(table)
    for board in BOARDS.values():
        if board.note:
            console.print(f"{board.name}: {board.note}.", highlight=False)

    table = plain_table("dataset", "where")
    for name in DATASETS:
        table.add_row(name, _where(name))
    console.print(table)

    table = plain_table("checkpoint", "dataset", "accuracy", "test images", right=(2, 3))
    for row in _checkpoints():
        table.add_row(*row)
    console.print(table if table.row_count else "No checkpoint comes with this installation.")


def _where(name: str) -> str:
    """Where a dataset is, in a few words."""
    from flow.datasets import cifar10

    if name == "auto":
        return "cifar10 where it is on this machine, else digits"
    if name == "digits":
        return "comes with scikit-learn"
    folder = cifar10.find(cifar10.places(None))
    return str(folder) if folder else "not on this machine; a build downloads it"


def _checkpoints() -> list[tuple[str, str, str, str]]:
    """Name, dataset, accuracy and test images of each shipped checkpoint."""
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
        rows.append((path.stem, meta.dataset, f"{meta.accuracy:.2%}", f"{meta.test_images:,}"))
    return rows
