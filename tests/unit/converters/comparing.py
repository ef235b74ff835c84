"""A fitted scikit-learn model's compiled form beside the model itself."""

import warnings
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd

from inferd.compiling.converters.base import Context
from inferd.signature import TensorSpec
from inferd.tensors import Array, datatype_of

NASTY = (0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 1e-300, 1.0, -1.0, 2.0**53, 0.1, 1 / 3)
COLUMNS = 4


def table(rows: int = 200, seed: int = 0, missing: float = 0.0) -> Array:
    """Numbers of all sizes; the last column holds small whole numbers."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, COLUMNS)) * [1.0, 1e3, 1e-3, 1.0]
    values[:, -1] = random.integers(0, 5, rows)
    values[random.random(values.shape) < missing] = np.nan
    return values


def nasty(missing: float = 0.0) -> Array:
    """As ``table``, with what arithmetic stumbles on strewn in."""
    random = np.random.default_rng(1)
    values = table(1000, 2, missing)
    strewn = random.random(values.shape) < 0.3
    values[strewn] = random.choice(NASTY, int(strewn.sum()))
    return values


TARGET = (table()[:, 0] + table()[:, -1] > 2).astype(int)


def fit(model: Any, rows: Any, target: Any = TARGET) -> Any:
    """*model* fitted, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(rows, target)


def inputs_of(rows: Any) -> dict[str, Array]:
    """A matrix as one input, a data frame as one a column."""
    if isinstance(rows, np.ndarray):
        return {"X": rows}
    text = {name: not pd.api.types.is_numeric_dtype(rows[name]) for name in rows}
    return {
        name: rows[[name]].to_numpy(object if text[name] else np.float64) for name in rows.columns
    }


def compiled(model: Any, inputs: dict[str, Array], method: str = "transform") -> Any:
    """A session whose only output is what *model*'s *method* gives."""
    context = Context()
    specs = [
        TensorSpec(name, datatype_of(values).name, (-1, values.shape[1]))
        for name, values in inputs.items()
    ]
    made = context.emit(model, context.inputs(specs), method)
    shape = (-1, made.width) if made.width else (-1,)
    spec = TensorSpec("Y", datatype_of(np.empty(0, made.dtype)).name, shape)
    context.graph.output(spec, made.name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model_bytes = context.graph.finish().SerializeToString()
    return onnxruntime.InferenceSession(model_bytes, options)


def answers(model: Any, rows: Any, method: str = "transform") -> tuple[Array, Array]:
    """What the compiled form and the library give."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = getattr(model, method)(rows)
        if hasattr(expected, "toarray"):
            expected = expected.toarray()
        inputs = inputs_of(rows)
        got = compiled(model, inputs, method).run(None, inputs)[0]
    return got, np.asarray(expected)


def same(model: Any, rows: Any, method: str = "transform") -> None:
    """Assert that both forms give the same, to the last bit."""
    for some in (rows, rows[:1]):
        got, expected = answers(model, some, method)
        assert got.shape == expected.shape
        if expected.dtype.kind in "OUT":
            assert got.tolist() == expected.tolist()
            continue
        assert got.dtype == expected.dtype
        numbers = expected.dtype.kind == "f"
        assert np.array_equal(got, expected, equal_nan=numbers)


def close(model: Any, rows: Any, tolerance: float = 1e-12) -> None:
    """Assert that both forms give the same but for the rounding of sums."""
    sizes = np.nan_to_num(np.abs(answers(model, rows)[1]), posinf=0).max(axis=0)
    for some in (rows, rows[:1]):
        got, expected = answers(model, some)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
        assert np.isclose(got, expected, tolerance, tolerance * sizes, equal_nan=True).all()
