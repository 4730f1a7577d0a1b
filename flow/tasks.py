"""What a network is for, and the figures that say how well it does it.

scores = score("classification", logits, samples, labels)      # {"accuracy": 0.91}
scores_text(scores)                                             # "91.00%"
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ACCURACY, ERROR, AUC = "accuracy", "mean squared error", "AUC"

#: of each task the figure that training reports on
METRICS = {"classification": ACCURACY, "reconstruction": ERROR}


def score(
    task: str, outputs: np.ndarray, samples: np.ndarray, labels: np.ndarray | None, middle: float = 0.0
) -> dict[str, float]:
    """The figures of one task; those that need labels are left out where there are none.

    Args:
        task: key of `METRICS`.
        outputs: real numbers [samples, ...]; for a classification a common factor does not matter.
        samples: real inputs, of as many elements as the outputs for a reconstruction.
        labels: class indices; for a reconstruction 0 for normal, 1 for an anomaly.
        middle: where the two classes of a single output part.

    Returns:
        ``accuracy``: share of samples whose largest output is that of their label, or whose only output is on its side
        of `middle`. ``mean squared error``: between input and output, over normal samples. ``AUC``: the share of pairs
        of a normal sample and an anomaly in which the anomaly is reconstructed worse; ties count half.
    """
    flat = outputs.reshape(len(outputs), -1)
    if task == "classification":
        return {} if labels is None else {ACCURACY: _accuracy(flat, labels[: len(flat)], middle)}
    errors = np.mean((flat - samples[: len(flat)].reshape(flat.shape)) ** 2, axis=1, dtype=np.float64)
    if labels is None:
        return {ERROR: float(errors.mean())}
    anomalous = labels[: len(flat)] == 1
    found = {} if anomalous.all() else {ERROR: float(errors[~anomalous].mean())}
    return found | _auc(errors, anomalous)


def label_score(found: np.ndarray, labels: np.ndarray | None) -> dict[str, float]:
    """The accuracy of class indices [samples, 1], empty without labels."""
    return {} if labels is None else {ACCURACY: float(np.mean(found.reshape(-1) == labels[: len(found)]))}


def _accuracy(flat: np.ndarray, labels: np.ndarray, middle: float) -> float:
    found = flat.argmax(axis=1) if flat.shape[1] > 1 else flat[:, 0] > middle
    return float(np.mean(found == labels))


def _auc(errors: np.ndarray, anomalous: np.ndarray) -> dict[str, float]:
    """The area under the ROC curve, as the Mann-Whitney statistic."""
    normal, others = np.sort(errors[~anomalous]), errors[anomalous]
    if not len(normal) or not len(others):
        return {}
    below = np.searchsorted(normal, others, "left") + np.searchsorted(normal, others, "right")
    return {AUC: float(below.sum() / 2 / len(normal) / len(others))}


def metric_text(name: str, value: float) -> str:
    """One figure, without its name; a name may end with what it is measured at, ``"accuracy at 2 bits"``."""
    return f"{value:.2%}" if name.split(" at ")[0] == ACCURACY else f"{value:.4f}"


def scores_text(scores: Mapping[str, float]) -> str:
    """All figures of a network: an accuracy stands alone, others have their names."""
    if not scores:
        return "-"
    parts = (metric_text(name, value) if name == ACCURACY else f"{name} {metric_text(name, value)}"
             for name, value in scores.items())  # fmt: skip
    return ", ".join(parts)
