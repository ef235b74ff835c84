"""Tie-prone rows, and scikit-learn's own answers held against those of its compiled models."""

import warnings
from typing import Any

import numpy as np
import onnxruntime

from inferd.compiling.converters.base import Context
from inferd.signature import TensorSpec
from inferd.tensors import Array, datatype_of

COLUMNS = 4
NAMES = np.array(["ant", "bee", "cat", "dog"])
METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
TOLERANCE = 1e-10
"""Relative to a score, or to 1 where that is larger."""


def table(rows: int = 120, seed: int = 0) -> Array:
    """Halves and quarters, so that many rows and many sums are alike."""
    random = np.random.default_rng(seed)
    values = np.round(random.normal(size=(rows, COLUMNS)) * 4) / 4
    values[rows // 2 :: 7] = values[: len(values[rows // 2 :: 7])]
    return values


def numbers(rows: Array, classes: int = 2) -> Array:
    """The number of a class for each row, with noise."""
    random = np.random.default_rng(5)
    score = rows @ [1.0, -0.5, 0.25, 2.0][: rows.shape[1]] + random.normal(size=len(rows)) * 0.7
    cuts = np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])
    found: Array = np.searchsorted(cuts, score)
    return found


def targets(rows: Array, outputs: int = 1) -> Array:
    """What a regressor learns."""
    made = np.column_stack(
        [np.sin(rows[:, 0] + k) + rows[:, 3] * (k + 0.3) for k in range(outputs)]
    )
    return made[:, 0] if outputs == 1 else made


def asked(fitted: Array) -> Array:
    """Rows beside, between, on, and far from those that a model was fitted on."""
    random = np.random.default_rng(9)
    pairs = fitted[random.integers(0, len(fitted), (600, 2))]
    grid = random.integers(-2, 3, (500, fitted.shape[1])).astype(float)
    small = random.normal(size=(200, fitted.shape[1])) * 1e-9
    large = random.normal(size=(200, fitted.shape[1])) * 10.0 ** random.integers(1, 7, (200, 1))
    plain = random.normal(size=(400, fitted.shape[1]))
    zeros = np.zeros((3, fitted.shape[1]))
    return np.vstack([fitted, fitted, pairs.mean(axis=1), grid, small, large, plain, zeros, -zeros])


def fit(model: Any, rows: Any, target: Any = None) -> Any:
    """*model* fitted, whatever it warns of, and in the same way each time."""
    np.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows) if target is None else model.fit(rows, target)


def session(model: Any, width: int, method: str) -> Any:
    """What answers as *model*'s *method*."""
    context = Context()
    frame = context.inputs([TensorSpec("X", "FP64", (-1, width))])
    made = context.emit(model, frame, method)
    shape = (-1, made.width) if made.width else (-1,)
    spec = TensorSpec("Y", datatype_of(np.empty(0, made.dtype)).name, shape)
    context.graph.output(spec, made.name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(context.graph.finish().SerializeToString(), options)


def answer(model: Any, rows: Array, method: str) -> Array:
    """The library's."""
    name, _, part = method.partition(":")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        made = getattr(model, name)(rows)
    return np.asarray(made[int(part)] if part else made)


def compared(got: Array, expected: Array, method: str, tolerance: float = TOLERANCE) -> float:
    """Assert that labels are equal and scores near; how far they are apart."""
    assert got.shape == expected.shape
    if expected.dtype.kind in "OUS":
        assert got.tolist() == expected.tolist()
        return 0.0
    assert got.dtype == expected.dtype
    if expected.dtype.kind != "f":
        assert int((got != expected).sum()) == 0
        return 0.0
    with np.errstate(all="ignore"):
        apart = np.abs(got - expected) / np.maximum(1.0, np.abs(expected))
    apart = np.where((got == expected) | (np.isnan(got) & np.isnan(expected)), 0.0, apart)
    worst = float(apart.max(initial=0.0))
    assert worst <= tolerance, f"{method}: {worst:.2g} apart"
    return worst


def same(model: Any, rows: Array, methods: Any = METHODS, tolerance: float = TOLERANCE) -> float:
    """Assert that both forms agree, all rows at once and one alone; the largest difference."""
    worst = 0.0
    for method in methods:
        if not hasattr(model, method.partition(":")[0]):
            continue
        runs = session(model, rows.shape[1], method)
        for some in (rows, rows[7:8]):
            got = runs.run(None, {"X": some})[0]
            worst = max(worst, compared(got, answer(model, some, method), method, tolerance))
    return worst


def classes_of(kind: str, rows: Array) -> Array:
    """Two, three, or four named classes."""
    match kind:
        case "two":
            return numbers(rows)
        case "three":
            return numbers(rows, 3) * 2 - 1
        case _:
            return NAMES[numbers(rows, 4)]


KINDS = ("two", "three", "named")
