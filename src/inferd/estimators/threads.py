"""Sets a fitted model, and all models inside it, to one thread: a server has parallelism of its
own, and a pool of threads for every row costs more than the row."""

from collections.abc import Iterator
from typing import Any

import numpy as np

DEEPEST = 12  # a pipeline in a search in a stack in ...; a cycle ends here at the latest
MANY = 64  # a list longer than this is trees, which have no threads


def one(model: Any) -> None:
    """Let *model* predict on one thread."""
    for each in _inside(model, DEEPEST, set()):
        if isinstance(getattr(each, "n_jobs", 1), int | None) and hasattr(each, "n_jobs"):
            each.n_jobs = 1
        # XGBoost keeps a number of its own beside the wrapper's.
        if hasattr(each, "get_booster") and getattr(each, "_Booster", None) is not None:
            each.get_booster().set_param({"nthread": 1})


def _inside(value: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """*value* and every estimator that it holds."""
    if id(value) in seen or depth == 0:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        held = value[:MANY]
    elif isinstance(value, dict):
        held = list(value.values())[:MANY]
    elif isinstance(value, np.ndarray) and value.dtype == object:
        held = value.ravel()[:MANY].tolist()
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield value
        held = list(getattr(value, "__dict__", {}).values())
    elif type(value).__name__ == "_CalibratedClassifier":
        held = list(vars(value).values())
    else:
        return
    for each in held:
        yield from _inside(each, depth - 1, seen)
