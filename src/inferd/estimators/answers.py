"""What a fitted model answers: its outputs' names, datatypes and shapes, told from one row; and its
answers in that form."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from inferd.signature import TensorSpec
from inferd.tensors import Array


def learn(model: Any, call: Callable[[str], Any]) -> list[tuple[TensorSpec, str]]:
    """Each output with the method whose value it is; *call* runs a method over one row."""
    role = role_of(model)
    if role == "outlier_detector":
        found = [_label(model, call("predict"))]
        scores = _maybe(model, call, "decision_function")
        return found if scores is None else [*found, _scores("scores", scores, "decision_function")]
    if role == "clusterer":
        return [_label(model, call("predict"))]
    if role == "regressor":
        return [_scores("prediction", call("predict"), "predict")]
    return [_label(model, call("predict")), *_probabilities(_maybe(model, call, "predict_proba"))]


def role_of(model: Any) -> str:
    """``classifier``, ``regressor``, ``outlier_detector`` or ``clusterer``: what its answers mean.

    A model that says nothing of itself classifies where it knows classes or probabilities.
    """
    kind = getattr(model, "_estimator_type", None)
    if kind is None and hasattr(model, "__sklearn_tags__"):
        kind = model.__sklearn_tags__().estimator_type
    if kind in ("classifier", "outlier_detector", "clusterer", "regressor"):
        return str(kind)
    knows = np.size(getattr(model, "classes_", ())) > 0 or _has(model, "predict_proba")
    return "classifier" if knows else "regressor"


def shaped(value: Any, spec: TensorSpec) -> Array:
    """*value* as *spec* has it."""
    array = _array(value)
    array = array.reshape(len(array), *spec.shape[1:])
    if spec.datatype != "BYTES":
        return np.ascontiguousarray(array, spec.type.numpy)
    if array.dtype.kind != "U":
        array = np.array([_text(v) for v in array.ravel().tolist()], object).reshape(array.shape)
    return array.astype(object, copy=False)


PROBABILITIES = "probabilities"
"""The output of a classifier that has one column for each class."""


def class_names(model: Any, widths: Sequence[int]) -> tuple[str, ...]:
    """The names of *model*'s classes, as its labels are written; empty where there are not as many
    as its probabilities are wide."""
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray | list) or (len(classes),) != tuple(widths):
        return ()
    names = classes.tolist() if isinstance(classes, np.ndarray) else classes
    return (
        ()
        if any(isinstance(name, list | np.ndarray) for name in names)
        else tuple(map(_text, names))
    )


def none(spec: TensorSpec) -> Array:
    """The answer to no rows."""
    return np.empty((0, *spec.shape[1:]), spec.type.numpy)


def _label(model: Any, value: Any) -> tuple[TensorSpec, str]:
    array = _array(value)
    classes = getattr(model, "classes_", None)
    flat = isinstance(classes, np.ndarray) and classes.ndim == 1
    # CatBoost gives a column of labels for many classes and a row for two.
    inner = () if flat and array.shape[1:] == (1,) else array.shape[1:]
    known = np.asarray(classes) if flat and array.dtype == object else array
    return TensorSpec("label", _label_type(known), (-1, *inner)), "predict"


def _label_type(values: Array) -> str:
    kind: str = values.dtype.kind
    if kind == "O":
        types = set(map(type, values.ravel().tolist()))
        kind = {bool: "b", int: "i", float: "f"}.get(types.pop(), "U") if len(types) == 1 else "U"
    if kind in "iu":
        return {"int32": "INT32", "uint64": "UINT64"}.get(str(values.dtype), "INT64")
    return {"b": "BOOL", "f": "FP64"}.get(kind, "BYTES")


def _scores(name: str, value: Any, method: str) -> tuple[TensorSpec, str]:
    array = _array(value)
    if array.dtype.kind == "f":
        datatype = "FP32" if array.dtype.itemsize <= np.float32(0).itemsize else "FP64"
    else:
        datatype = _label_type(array)
    return TensorSpec(name, datatype, (-1, *array.shape[1:])), method


def _probabilities(value: Any) -> list[tuple[TensorSpec, str]]:
    """One matrix, or one for each of several labels."""
    if value is None:
        return []
    if isinstance(value, list):
        return [
            _scores(f"probabilities_{at}", each, f"predict_proba:{at}")
            for at, each in enumerate(value)
        ]
    return [_scores(PROBABILITIES, value, "predict_proba")]


def _maybe(model: Any, call: Callable[[str], Any], method: str) -> Any:
    """What *method* gives; None where the model has none, or has one that only raises."""
    if not _has(model, method):
        return None
    try:
        return call(method)
    except Exception:  # noqa: BLE001 - as it was fitted it cannot, and says so in its own way
        return None


def _has(model: Any, method: str) -> bool:
    return callable(getattr(model, method, None))


def _array(value: Any) -> Array:
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
