"""The signature of a class that declares none: what its example is made of, and what ``predict``
makes of that."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.errors import RunFailed
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array, datatype_of


def tried(model: Any, example: Mapping[str, Any]) -> Signature:
    """The signature by which *model* answers its *example*.

    The first dimension counts rows where a row's answer is the same beside another row; all else
    is as large as it is there. Raises what ``predict`` does, or RunFailed for what is no tensor.
    """
    inputs = _arrays(example)
    outputs = _answer(model, inputs)
    joined = _joins(model, inputs, outputs)
    return Signature(
        tuple(_spec(name, array, joined) for name, array in inputs.items()),
        tuple(_spec(name, array, joined) for name, array in outputs.items()),
        0 if joined else None,
    )


def _answer(model: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What *model* answers, or the first part of that."""
    made = model.predict({name: array.copy() for name, array in inputs.items()})
    if inspect.isgenerator(made):
        parts, made = made, next(made, {})
        parts.close()
    if not isinstance(made, Mapping) or not made:
        raise RunFailed("predict gave no dict of arrays", got=f"a {type(made).__name__}")
    return _arrays(made)


def _joins(model: Any, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> bool:
    """Whether rows can be joined: another row beside them changes no answer."""
    tensors = [*inputs.values(), *outputs.values()]
    if inspect.isgeneratorfunction(model.predict) or len({a.shape[:1] for a in tensors}) > 1:
        return False
    try:
        others = {name: _varied(array) for name, array in inputs.items()}
        expected = _joined(outputs, _answer(model, others))
        both = _answer(model, _joined(inputs, others))
    except Exception:  # noqa: BLE001 - one row may be refused, or two, in any way
        return False
    return both.keys() == expected.keys() and all(
        np.array_equal(both[name], array) for name, array in expected.items()
    )


def _varied(array: Array) -> Array:
    """Other values, of the same kind: what a sum or a maximum over all rows would show."""
    varied = array.copy()
    if array.dtype.kind == "O":
        varied.ravel()[:] = [text[::-1] for text in array.ravel()]
    elif array.dtype.kind == "b":
        np.logical_not(array, out=varied)
    else:
        varied += array.dtype.type(1)
    return varied


def _joined(first: Mapping[str, Array], second: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.concatenate([array, second[name]]) for name, array in first.items()}


def _arrays(values: Mapping[str, Any]) -> dict[str, Array]:
    return {str(name): _array(str(name), value) for name, value in values.items()}


def _array(name: str, value: Any) -> Array:
    """*value* as an array such as protocols make. Raises RunFailed for anything else."""
    try:
        array = np.asarray(value)
        array = array.astype(object) if array.dtype.kind in "US" else array
        datatype_of(array)
    except (KeyError, ValueError):
        raise RunFailed(f"{name!r} is no tensor", got=f"a {type(value).__name__}") from None
    return array


def _spec(name: str, array: Array, joined: bool) -> TensorSpec:
    shape = (-1, *array.shape[1:]) if joined else array.shape
    return TensorSpec(name, datatype_of(array).name, shape)
