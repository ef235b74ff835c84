"""A model in this process, without a server: what ``inferd.load`` returns."""

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from inferd.errors import ConfigError, InvalidInput
from inferd.models import loader
from inferd.models.example import example_inputs
from inferd.rows import RowReader, misnamed, predictions, row_of
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, roles
from inferd.tensors import Array, json_values

PLAIN = frozenset({str, bool, int, float})  # values that are JSON's as they are
SHOWN = 20  # rows of a table that is printed; the ends of a longer one are


class Predictions(Sequence[Any]):
    """One prediction a row; shown as a table. A sequence of the predictions, beside their
    probabilities."""

    def __init__(self, prediction: Array, probability: Array | None) -> None:
        self.prediction, self.probability = prediction, probability

    def __len__(self) -> int:
        return len(self.prediction)

    def __getitem__(self, at: Any) -> Any:
        return self.prediction[at]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.prediction, dtype, copy=copy is not False)

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
        return "\n".join(
            "  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells
        )

    def _repr_html_(self) -> str:
        """How notebooks show it."""
        head, *rows = [[escape(cell) for cell in row] for row in self._cells()]
        lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
        titles = "".join(f"<th>{cell}</th>" for cell in head)
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"

    def _cells(self) -> list[list[str]]:
        """A head and a row each, as text; the middle of a long table is left out."""
        classes = 0 if self.probability is None else self.probability.shape[1]
        head = ["row", "prediction", *(f"probability {at}" for at in range(classes))]
        shown = range(len(self))
        if len(self) <= SHOWN:
            return [head, *(self._row(at) for at in shown)]
        half = SHOWN // 2
        return [
            head,
            *(self._row(at) for at in shown[:half]),
            ["..."] * len(head),
            *(self._row(at) for at in shown[-half:]),
        ]

    def _row(self, at: int) -> list[str]:
        scores = (
            []
            if self.probability is None
            else [f"{score:.6g}" for score in self.probability[at].tolist()]
        )
        value = json_values(self.prediction[at : at + 1])[0]
        return [str(at), f"{value:.6g}" if isinstance(value, float) else str(value), *scores]


class Model:
    """A loaded model: the same artifact, signature and answers as a server of it."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name, self._runtime = name, runtime
        self._reader = RowReader(runtime.signature, runtime.feature_names())
        self._roles = roles(runtime.signature)

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self._runtime.signature

    @property
    def example(self) -> list[Any]:
        """A row that it accepts."""
        return row_of(example_inputs(self.signature, self._runtime.example()))

    def predict(self, rows: Any) -> Predictions:
        """Predict for *rows*: a list of rows or of records (objects by feature name), one bare row
        or record, a numpy array, or a pandas DataFrame. All of them mean the same.

        A DataFrame is read by its columns' names, in any order; columns that the model does not
        know are ignored where all of its own are there. NaN, None and NA are missing numbers; true
        and false in a DataFrame or an array are 1 and 0 to a model of numbers.

        Returns as many predictions as rows. Raises InvalidInput where a row does not fit the
        signature.
        """
        inputs = read_rows(rows, self._reader)
        outputs = self._runtime.run(inputs, self._roles.outputs)
        return Predictions(*predictions(outputs, self._roles))

    def close(self) -> None:
        """Free the runtime."""
        self._runtime.close()

    def __repr__(self) -> str:
        names = self._runtime.feature_names()
        features = f"\n  features: {', '.join(names)}" if names else ""
        return f"<inferd model {self.name!r} ({self._runtime.name})\n  {self.signature}{features}>"


def load(path: str | os.PathLike[str], name: str | None = None) -> Model:
    """Load the model at *path*, to be asked in this process. Raises LoadError or ConfigError.

    inferd.load("iris.onnx").predict([[5.1, 3.5, 1.4, 0.2]])
    """
    specs = loader.find([Path(path)], name)
    if len(specs) != 1:
        raise ConfigError(
            "several models lie there", got=", ".join(spec.name for spec in specs), expected="one"
        )
    return Model(specs[0].name, loader.open_runtime(specs[0]))


def read_rows(rows: Any, reader: RowReader) -> dict[str, Array]:
    """A model's inputs, from whatever holds rows. Raises InvalidInput."""
    names = getattr(rows, "columns", None)  # pandas' and polars', so that neither is needed
    if names is None and isinstance(rows, np.ndarray):
        names = rows.dtype.names
    if names is not None:
        columns = [_column(rows, at) for at in _picked(list(names), reader.names)]
        inputs = reader.table(columns) if len(rows) else None
    elif isinstance(rows, np.ndarray) and rows.dtype.kind in "biuf":
        inputs = reader.array(np.atleast_2d(rows)) if rows.size else None
    else:
        inputs = _listed(_plain(rows, reader.names), reader)
    if inputs is None:
        raise InvalidInput("no rows", expected="at least one row of features")
    return inputs


def _listed(rows: Any, reader: RowReader) -> dict[str, Array] | None:
    """The inputs of lists and records; None without any."""
    if isinstance(rows, dict):
        return reader.record(rows)
    if not isinstance(rows, list):
        raise InvalidInput("no rows", got=f"a {type(rows).__name__}", expected="a list of rows")
    if not rows:
        return None
    return reader.many(rows) if isinstance(rows[0], list | dict) else reader.one(rows)


def _picked(labels: Sequence[Any], names: Sequence[str]) -> Sequence[int]:
    """Where a table of columns *labels* has the model's, in the model's order."""
    places = {str(label): at for at, label in enumerate(labels)}
    if len(places) < len(labels) and names:
        raise InvalidInput("the table has several columns of one name")
    known = [places[name] for name in names if name in places]
    if len(known) == len(names) and names:
        return known
    nameless = _numbered(names) or not any(isinstance(label, str) for label in labels)
    if not known and nameless:
        return range(len(labels))
    raise misnamed("the table lacks columns of the model", labels, names)


def _numbered(names: Sequence[str]) -> bool:
    """Whether *names* are those that a library gives where there are none: x0, x1, ..."""
    stems = {name.removesuffix(str(at)) for at, name in enumerate(names)}
    return len(stems) < 2 and (len(names) != 1 or names[0].endswith("0"))


def _column(table: Any, at: int) -> Array | list[Any]:
    """One column of *table*: numbers, true and false as they are, anything else as JSON values."""
    if isinstance(table, np.ndarray):
        column = table[table.dtype.names[at]]
    else:
        column = table.iloc[:, at] if hasattr(table, "iloc") else table[table.columns[at]]
    array = np.asarray(column)
    if array.dtype.kind in "biuf":
        return array
    # Not tolist(): it makes integers of dates.
    values = [None if _is_missing(value) else _plain(value) for value in array]
    if {bool} < set(map(type, values)):  # numbers or missing values among them
        return [int(value) if isinstance(value, bool) else value for value in values]
    return np.array(values) if set(map(type, values)) == {bool} else values


def _plain(rows: Any, names: Sequence[str] = ()) -> Any:
    """Rows, a row, or a value of one, as JSON values: without the types of numpy and pandas."""
    if isinstance(rows, np.generic):
        # A date stays one: its item may be an integer, which would pass for a number.
        return rows if rows.dtype.kind in "mM" else rows.item()
    if isinstance(rows, Mapping):
        return {name: _plain(value) for name, value in rows.items()}
    if hasattr(rows, "to_dict"):  # a row of a DataFrame
        named = not set(names).isdisjoint(rows.index)
        return (
            {name: _plain(rows[name]) for name in rows.index} if named else list(map(_plain, rows))
        )
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        return [row if type(row) in PLAIN else _plain(row, names) for row in rows]
    return None if _is_missing(rows) else rows


def _is_missing(value: Any) -> bool:
    """Whether *value* is None, NaN, or pandas' NA or NaT."""
    unlike = value is None or type(value).__name__ in ("NAType", "NaTType")
    return unlike or (isinstance(value, float) and value != value)
