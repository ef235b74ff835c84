"""From tensors to what a library is handed: a matrix, a DataFrame, or a list of documents."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inferd import plugins
from inferd.signature import TensorSpec
from inferd.tensors import Array


class Tables:
    """Makes one model's tables."""

    def __init__(
        self,
        inputs: tuple[TensorSpec, ...],
        names: Sequence[str] | None,
        categories: Sequence[tuple[Any, ...] | None],
    ) -> None:
        """*names* are the columns' where the library must read them by name; *categories* those of
        the columns that it takes as pandas' categories."""
        self.inputs = inputs
        self._names = list(names) if names is not None else None
        self._documents = len(inputs[0].shape) == 1
        self._matrix = len(inputs) == 1 and inputs[0].datatype != "BYTES" and not self._documents
        self._pandas: Any = None
        if self._names is not None or any(each is not None for each in categories):
            self._pandas = plugins.require("pandas", "sklearn")
        self._categories = {
            at: self._pandas.CategoricalDtype(list(each))
            for at, each in enumerate(categories)
            if each is not None
        }

    def make(self, inputs: Mapping[str, Array]) -> Any:
        """The table of *inputs*, which fit the signature."""
        arrays = [inputs[spec.name] for spec in self.inputs]
        if self._documents:
            return _texts(arrays[0]).tolist()
        if self._pandas is not None:
            return self._frame(arrays)
        if self._matrix:
            return arrays[0]
        columns = [_texts(a) if a.dtype.kind in "OSU" else a.astype(object) for a in arrays]
        return np.concatenate([c.reshape(len(c), -1) for c in columns], axis=1)

    def row(self, examples: Sequence[Any], filler: float) -> dict[str, Array]:
        """One row as tensors: of *examples*, and *filler* where there is none."""
        values = [filler if each is None else each for each in examples]
        if self._documents:
            return {self.inputs[0].name: np.array(values, object)}
        if self._matrix:
            return {self.inputs[0].name: np.array([values], self.inputs[0].type.numpy)}
        return {
            spec.name: np.array([["" if each is None else value]], spec.type.numpy)
            if spec.datatype == "BYTES"
            else np.array([[value]], spec.type.numpy)
            for spec, each, value in zip(self.inputs, examples, values, strict=True)
        }

    def _frame(self, arrays: Sequence[Array]) -> Any:
        """A DataFrame; strings stand in it as Python's own, which every version of pandas knows."""
        pandas = self._pandas
        if self._matrix and not self._categories:
            return pandas.DataFrame(arrays[0], columns=self._names, copy=False)
        columns = list(arrays[0].T) if self._matrix else [a.reshape(-1) for a in arrays]
        names = self._names or range(len(columns))
        return pandas.DataFrame(
            {
                name: self._column(at, c)
                for at, (name, c) in enumerate(zip(names, columns, strict=True))
            }
        )

    def _column(self, at: int, values: Array) -> Any:
        values = _texts(values) if values.dtype.kind in "OSU" else values
        if at in self._categories:
            kind = self._categories[at]
            # An unknown category is -1, which is a missing value.
            codes = kind.categories.get_indexer(values)
            return self._pandas.Categorical.from_codes(codes, dtype=kind)
        return self._pandas.Series(values, dtype=values.dtype)


def _texts(values: Array) -> Array:
    """The strings of *values*, as Python has them; bytes are UTF-8."""
    flat = values.reshape(-1).tolist()
    if values.dtype.kind == "S" or any(isinstance(each, bytes) for each in flat):
        flat = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in flat]
    made = np.empty(len(flat), object)
    made[:] = flat
    return made.reshape(values.shape)
