"""A model in this process, without a server: what ``inferd.load`` returns."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from inferd.errors import ConfigError, InvalidInput
from inferd.models import loader
from inferd.models.example import example_inputs
from inferd.rows import RowReader, predictions, row_of
from inferd.runtimes.base import Runtime
from inferd.signature import Signature, roles
from inferd.tensors import Array, json_values

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
        self._reader, self._roles = RowReader(runtime.signature), roles(runtime.signature)

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""
        return self._runtime.signature

    @property
    def example(self) -> list[Any]:
        """A row that it accepts."""
        return row_of(example_inputs(self.signature, self._runtime.example()))

    def predict(self, rows: Any) -> Predictions:
        """Predict for *rows*: a list of rows, one bare row, a 2-D numpy array, or a pandas
        DataFrame.

        Returns as many predictions as rows. Raises InvalidInput where a row does not fit the
        signature.
        """
        names = (self._runtime.feature_names(), self.signature.input_names)
        listed = _as_rows(rows, names)
        if not listed:
            raise InvalidInput("no rows", expected="at least one row of features")
        outputs = self._runtime.run(self._reader.many(listed), self._roles.outputs)
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


def _as_rows(rows: Any, names: Sequence[Sequence[str]]) -> list[Any]:
    """Lists of JSON values, from whatever holds a table.

    A table whose columns are the model's, in another order, is read by their names.
    """
    if hasattr(rows, "columns"):  # pandas and polars: by what they offer, so that neither is needed
        columns = list(rows.columns)
        order = next(
            (list(each) for each in names if sorted(each) == sorted(map(str, columns))), None
        )
        rows = (rows[order] if order else rows).to_numpy()
    if isinstance(rows, np.ndarray):
        rows = rows.tolist()
    listed = [_plain(row) for row in rows]
    bare = bool(listed) and not isinstance(listed[0], list | dict)
    return [listed] if bare else listed


def _plain(row: Any) -> Any:
    """A row, or a value of one, without numpy's own types."""
    if isinstance(row, np.ndarray | np.generic):
        return row.tolist()
    return [_plain(value) for value in row] if isinstance(row, list | tuple) else row
