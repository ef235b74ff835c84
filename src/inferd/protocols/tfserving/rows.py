"""The row form: ``instances``, one value or object for each row of the batch. (json_tensor.cc,
FillTensorMapFromInstancesList)"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inferd.errors import InvalidInput, shape_text
from inferd.protocols.tfserving.json_tensors import (
    is_b64,
    leaves,
    shape_of,
    uniform,
    vector,
)
from inferd.signature import Shape, TensorSpec
from inferd.tensors import Array
from inferd.wire.json_tfserving import dump

Specs = Mapping[str, TensorSpec]
PLAIN_LIST = (
    "instances is a plain list, but expecting list of objects as multiple input tensors "
    "required as per tensorinfo_map"
)


def read_rows(pieces: Iterator[list[Any]], specs: Specs) -> dict[str, Array]:
    """The inputs that *pieces*, together the list of instances, mean. Raises InvalidInput."""
    first = next(pieces)
    objects = _is_object(first[0])
    if not objects and len(specs) > 1:
        raise InvalidInput(PLAIN_LIST)
    read = _Objects(specs) if objects else _Values(specs)
    parts = [read(first)]
    parts += [read(piece) for piece in pieces]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in specs}


def _is_object(value: Any) -> bool:
    return type(value) is dict and not is_b64(value)


class _Column:
    """The values of one input, which must be of one shape in all rows."""

    def __init__(self, spec: TensorSpec) -> None:
        self.datatype = spec.type
        self.inner: Shape | None = None

    def quick(self, values: list[Any]) -> Array | None:
        """All *values*; None where they must be looked at one by one."""
        shape = shape_of(values)
        if self.inner is not None and shape[1:] != self.inner:
            return None
        found = uniform(values, shape, self.datatype)
        if found is None:
            return None
        self.inner = shape[1:]
        return vector(found, self.datatype).reshape(shape)

    def one(self, value: Any) -> list[Any]:
        """The elements of one row's value. Raises InvalidInput."""
        shape = shape_of(value)
        found = leaves(value, shape, self.datatype)
        if self.inner is None:
            self.inner = shape
        elif np.prod(self.inner, dtype=int) != len(found):
            raise InvalidInput(
                f"Expecting tensor size: {np.prod(self.inner, dtype=int)} but got: {len(found)}"
            )
        elif self.inner != shape:
            raise InvalidInput(
                f"Expecting shape {shape_text(self.inner)} but got: {shape_text(shape)}"
            )
        return found

    def array(self, rows: int, values: list[Any]) -> Array:
        """What ``one`` gave, together."""
        return vector(values, self.datatype).reshape(rows, *(self.inner or ()))


class _Values:
    """Rows of the only input."""

    def __init__(self, specs: Specs) -> None:
        ((self._name, spec),) = specs.items()
        self._column, self._done = _Column(spec), 0

    def __call__(self, rows: list[Any]) -> dict[str, Array]:
        array = self._column.quick(rows)
        if array is None:
            array = self._each(rows)
        self._done += len(rows)
        return {self._name: array}

    def _each(self, rows: list[Any]) -> Array:
        found: list[Any] = []
        for at, row in enumerate(rows, self._done):
            if _is_object(row):
                raise InvalidInput(
                    f"Expecting value/list but got object at item {at} of input list"
                )
            try:
                found += self._column.one(row)
            except InvalidInput as error:
                raise InvalidInput(
                    f"Failed to process element: {at} of 'instances' list. "
                    f"Error: INVALID_ARGUMENT: {error}"
                ) from None
        return self._column.array(len(rows), found)


class _Objects:
    """Rows of values by the names of the inputs."""

    def __init__(self, specs: Specs) -> None:
        self._names = specs.keys()
        self._columns = {name: _Column(spec) for name, spec in specs.items()}
        self._done = 0

    def __call__(self, rows: list[Any]) -> dict[str, Array]:
        arrays = self._quick(rows)
        if arrays is None:
            arrays = self._each(rows)
        self._done += len(rows)
        return arrays

    def _quick(self, rows: list[Any]) -> dict[str, Array] | None:
        arrays = {}
        for row in rows:
            if not _is_object(row) or row.keys() != self._names:
                return None
        for name, column in self._columns.items():
            array = column.quick([row[name] for row in rows])
            if array is None:
                return None
            arrays[name] = array
        return arrays

    def _each(self, rows: list[Any]) -> dict[str, Array]:
        found: dict[str, list[Any]] = {name: [] for name in self._names}
        for at, row in enumerate(rows, self._done):
            if not _is_object(row):
                raise InvalidInput(f"Expecting object but got list at item {at} of input list")
            for name, value in row.items():
                try:
                    found[self._known(name)] += self._columns[name].one(value)
                except InvalidInput as error:
                    raise InvalidInput(
                        f"Failed to process element: {at} key: {dump(name)[1:-1]} of 'instances' "
                        f"list. Error: INVALID_ARGUMENT: {error}"
                    ) from None
            if row.keys() != self._names:
                raise InvalidInput(
                    f"Failed to process element: {at} of 'instances' list. JSON object: "
                    f"{dump(row)} keys must be equal to: {','.join(sorted(self._names))}"
                )
        return {
            name: column.array(len(rows), found[name]) for name, column in self._columns.items()
        }

    def _known(self, name: str) -> str:
        if name not in self._columns:
            raise InvalidInput(f"JSON object: does not have named input: {dump(name)[1:-1]}")
        return name
