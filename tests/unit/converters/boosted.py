"""A boosted model's compiled form beside the model itself, over values at which trees stumble."""

import warnings
from typing import Any

import numpy as np
import onnxruntime

from inferd.compiling import tree_ensemble
from inferd.compiling.converters.base import Context
from inferd.signature import TensorSpec
from inferd.tensors import Array, datatype_of

SIZES = (1, 2, 31, 64, 1000)
CATEGORY = 3
"""The column that may hold categories."""
TINY = float(np.float32(1e-35))
EDGES = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-42, -1e-42, 1e-35, TINY, -TINY, 1e-36, 1e30, -1e30)
CODES = (-1, -0.5, -0.0, 0.5, 3.7, 31, 32, 63, 64, 79.5, 500, 2**24, 2.0**31, 1e30, -np.inf, np.nan)


def table(rows: int, seed: int, missing: float = 0.1) -> Array:
    """Four columns of numbers; the last one of whole ones, the last but one with many zeros."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 4))
    values[:, 2] = random.choice([0.0, 0.0, 1.0, -2.0, 5.0], rows)
    values[:, CATEGORY] = random.integers(0, 80, rows)
    values[random.random(values.shape) < missing] = np.nan
    return values


TRAIN = table(600, 0)
WHOLE = np.nan_to_num(TRAIN)
"""As TRAIN, with nothing missing."""
SCORE = WHOLE[:, 0] + WHOLE[:, CATEGORY] % 3 - 1 + (WHOLE[:, 2] == 0)
TWO = (SCORE > 0).astype(int)
THREE = np.digitize(SCORE + np.random.default_rng(1).normal(size=600) / 2, [-0.5, 1])


class Compiled:
    """One method of a fitted model in both forms, for rows of *dtype*."""

    def __init__(self, model: Any, method: str, dtype: Any, width: int = 4) -> None:
        self._model, self._method, self._dtype = model, method, dtype
        context = Context()
        spec = TensorSpec("X", datatype_of(np.empty(0, dtype)).name, (-1, width))
        made = context.emit(model, context.inputs([spec]), method)
        shape = (-1, made.width) if made.width else (-1,)
        kind = datatype_of(np.empty(0, made.dtype)).name
        context.graph.output(TensorSpec("Y", kind, shape), made.name)
        written = context.graph.finish()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as it is served: more would add trees in another order
        self._session = onnxruntime.InferenceSession(written.SerializeToString(), options)
        self.forests = [forest for _, forest in context.forests]
        nodes = {node.output[0]: node for node in written.graph.node}
        self.differences = sum(
            tree_ensemble.differences(forest, nodes[name]) for name, forest in context.forests
        )
        self.inexact = context.graph.inexact

    def rows(self) -> Array:
        """Rows for it: usual ones, edges, categories, each threshold and its neighbours."""
        random, rows = np.random.default_rng(5), table(1000, 6)
        rows[:200] = random.choice(EDGES, (200, 4))
        rows[200:500, CATEGORY] = random.choice(CODES, 300)
        for forest in self.forests:
            for column, points in forest.points().items():
                if column < 4:  # else it is a copy of one of them
                    near = _neighbours(points, self._dtype)
                    rows[500:900, column] = random.choice(near, 400)
        with np.errstate(over="ignore"):
            return rows.astype(self._dtype)

    def answers(self, rows: Array) -> tuple[Array, Array]:
        """The compiled form's and the library's; a column of labels as a row of them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = np.asarray(getattr(self._model, self._method)(rows))
        got = self._session.run(None, {"X": rows})[0]
        return got, expected.reshape(got.shape)


def _neighbours(points: Array, dtype: Any) -> Array:
    exact = points.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        sides = [np.nextafter(exact, dtype(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([exact, *sides]).astype(float)


def fit(model: Any, rows: Any, target: Any, **options: Any) -> Any:
    """*model* fitted, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target, **options)


def same(model: Any, method: str, dtype: Any, ulps: int = 0) -> Compiled:
    """Assert that both forms give the same for batches of each size, and that the trees written are
    the model's; *ulps* is how many numbers may lie between two answers, in units of those at 1."""
    compiled = Compiled(model, method, dtype)
    assert compiled.differences == 0
    rows = compiled.rows()
    for size in SIZES:
        got, expected = compiled.answers(rows[-size:])
        if expected.dtype.kind in "OUS":
            assert got.tolist() == expected.tolist()
            continue
        assert got.dtype == expected.dtype
        if ulps:
            step = np.spacing(expected.dtype.type(1))
            assert np.allclose(got, expected, ulps * step, ulps * step, equal_nan=True)
        else:
            assert np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f")
    return compiled
