"""The models that are served meanwhile, and what they answer: asked here, from their own files."""

# ruff: noqa: TID253 - a program of its own, which needs scikit-learn at once
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

ROWS = 32  # that are asked for, one after another


class Model(NamedTuple):
    """A model's file, and its label for each of the rows."""

    path: Path
    labels: list[int]


class Models(NamedTuple):
    """All of them."""

    rows: list[list[float]]
    forest: Model
    """Compiled, and answered on the loop."""
    neighbours: Model
    """Answered by scikit-learn, in processes of its own."""
    guest: Model
    """Loaded and unloaded again."""
    changing: tuple[Model, Model]
    """Take turns under one name, and have no label in common."""


def write_all(folder: Path) -> Models:
    """Train the models, and write them into *folder*."""
    data = load_iris()
    rows, labels = np.asarray(data.data, np.float64), np.asarray(data.target)
    chosen = np.random.default_rng(1).permutation(len(rows))[:ROWS]

    def write(name: str, model: Any, target: Any) -> Model:
        path = folder / f"{name}.pkl"
        path.write_bytes(pickle.dumps(model.fit(rows, target)))
        return Model(path, [int(label) for label in model.predict(rows[chosen])])

    def forest() -> Any:
        return RandomForestClassifier(20, random_state=0)

    return Models(
        rows[chosen].tolist(),
        write("forest", forest(), labels),
        write("neighbours", KNeighborsClassifier(), labels),
        write("guest", forest(), labels),
        (write("first", forest(), labels), write("second", forest(), labels + 10)),
    )
