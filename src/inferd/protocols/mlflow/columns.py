"""Tensors by name, and columns by name: ``{"inputs": {"age": [41, 17], ...}}``."""

from collections.abc import Mapping
from itertools import chain
from math import nan
from typing import Any, NamedTuple

import numpy as np

from inferd.calls import Handle
from inferd.errors import InvalidInput, WrongCount, short
from inferd.protocols.mlflow.read import Pieces, Table, joined
from inferd.rows import misnamed
from inferd.signature import Shape, TensorSpec
from inferd.tensors import MAX_NESTING, Array, Datatype, array_from_values, flat_array, shaped

SLICE = 1 << 14  # values made into an array in one step: as many as are written in one


def of_tensors(handle: Handle) -> bool:
    """Whether a row of the model is several tensors, so that no list of values can be one."""
    inputs = handle.signature.inputs
    return len(inputs) > 1 and any(d not in (1, -1) for spec in inputs for d in spec.shape[1:])


def read_columns(handle: Handle, columns: Mapping[str, Pieces]) -> Table:
    """A value for each row by the name of its column, or a tensor by the name of its input. Raises
    InvalidInput."""
    inputs, names = handle.signature.inputs, handle.reader.names
    if len(inputs) == 1 and names and columns.keys() != {inputs[0].name}:
        return _read_table(handle, columns)
    specs = {spec.name: spec for spec in inputs}
    tensors = {name: _tensor(name, column, specs.get(name)) for name, column in columns.items()}
    layout = tuple((name, tensor.datatype, tensor.shape) for name, tensor in tensors.items())
    admitted = handle.checker.admit(layout)
    arrays: dict[str, Array] = {}
    for (name, tensor), (datatype, count) in zip(tensors.items(), admitted.inputs, strict=True):
        arrays[name] = _array(name, tensor, datatype, count)
    return Table(arrays, admitted.rows)


def _array(name: str, tensor: "_Tensor", datatype: Datatype, count: int) -> Array:
    leaves = tensor.leaves
    if count <= SLICE:
        return array_from_values(name, leaves, datatype, tensor.shape, count)
    parts = [flat_array(name, leaves[at : at + SLICE], datatype) for at in range(0, count, SLICE)]
    return shaped(name, np.concatenate(parts), tensor.shape)


def _read_table(handle: Handle, columns: Mapping[str, Pieces]) -> Table:
    names = handle.reader.names
    if not columns.keys() >= set(names):
        raise misnamed("the columns do not have the model's names", list(columns), names)
    values = [list(chain.from_iterable(columns[name])) for name in names]
    rows = len(values[0])
    for name, column in zip(names, values, strict=True):
        if len(column) != rows:
            raise WrongCount(name, len(column), rows)
    step = max(1, SLICE // len(names))
    parts = [
        handle.reader.table([column[at : at + step] for column in values])
        for at in range(0, rows, step)
    ]
    return Table(joined(parts), rows)


class _Tensor(NamedTuple):
    datatype: str
    shape: Shape
    leaves: list[Any]


def _tensor(name: str, pieces: Pieces, spec: TensorSpec | None) -> _Tensor:
    """The tensor of nested lists, shaped as *spec* where only a dimension of 1 is apart: a column
    is sent flat."""
    shape, leaves = _regular(name, list(chain.from_iterable(pieces)))
    if spec is None:
        return _Tensor("", shape, [])  # which the checker refuses by its name
    if len(shape) == len(spec.shape) - 1 and spec.shape[-1] in (1, -1):
        shape = (*shape, 1)
    elif len(shape) == len(spec.shape) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    if spec.type.numpy.kind == "f" and None in leaves:
        leaves = [nan if value is None else value for value in leaves]
    return _Tensor(spec.datatype, shape, leaves)


def _regular(name: str, values: list[Any]) -> tuple[Shape, list[Any]]:
    """The shape of nested lists, and their leaves. Raises InvalidInput where lists of one level
    differ in length."""
    shape = [len(values)]
    while values and type(values[0]) is list:
        if len(shape) > MAX_NESTING:
            raise InvalidInput(f"the lists of {short(name)!r} are nested too deep")
        if set(map(type, values)) != {list} or len(lengths := set(map(len, values))) > 1:
            raise InvalidInput(
                f"the lists of {short(name)!r} are not alike",
                expected="lists of one depth and length",
            )
        shape += lengths
        values = list(chain.from_iterable(values))
    return tuple(shape), values
