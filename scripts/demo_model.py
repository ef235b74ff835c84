"""Trains the demo's model on the breast cancer data that scikit-learn ships, and pickles it.

``python scripts/demo_model.py PATH`` writes the file alone.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


class Trained(NamedTuple):
    """A scikit-learn model, and what it never saw."""

    model: Any
    held_out: npt.NDArray[np.float32]
    features: list[str]
    classes: list[str]


def train() -> Trained:
    """A forest of 100 trees, and the quarter of the data that it was not trained on."""
    data = load_breast_cancer()
    seen, held_out, labels, _ = train_test_split(
        data.data.astype(np.float32), data.target, test_size=0.25, random_state=0
    )
    model = RandomForestClassifier(100, random_state=0).fit(seen, labels)
    return Trained(model, held_out, list(data.feature_names), list(data.target_names))


def export(trained: Trained, path: Path) -> None:
    """Write the model as most people do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(trained.model, path)


if __name__ == "__main__":
    export(train(), Path(sys.argv[1]))
