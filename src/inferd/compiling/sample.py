"""The user's own rows to probe with: a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inferd.artifact import Artifact
from inferd.errors import ConfigError, InvalidInput
from inferd.estimators.fitted import Column, Fitted
from inferd.rows import RowReader
from inferd.tensors import Array

MAX_ROWS = 100_000


def read_sample(path: Path, fitted: Fitted) -> dict[str, Array]:
    """The rows of *path* as the model's inputs.

    The first line may name the columns; those the model does not know are left aside. Without names
    there are as many columns as the model has. An empty field is a missing number. At most MAX_ROWS
    are read. Raises ConfigError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [row for _, row in zip(range(MAX_ROWS + 1), csv.reader(file), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read {path} as CSV: {error}") from None
    rows = [line for line in lines if line]
    names = [column.name for column in fitted.columns]
    if rows and set(names) <= {each.strip() for each in rows[0]}:
        header = [each.strip() for each in rows.pop(0)]
        picked = [header.index(name) for name in names]
    elif rows and _is_header(rows[0], fitted.columns):
        raise ConfigError(
            f"{path} lacks columns of the model",
            got=", ".join(rows[0]),
            expected=", ".join(names),
        )
    else:
        picked = list(range(len(names)))
    try:
        values = [_values(row, picked, fitted.columns) for row in rows]
        return RowReader(fitted.signature).many(values)
    except IndexError:
        raise ConfigError(
            f"{path} does not fit the model", got="a shorter row", expected=f"{len(names)} columns"
        ) from None
    except (InvalidInput, ValueError) as error:
        raise ConfigError(f"{path} does not fit the model: {error}") from None


def digest_of(path: Path) -> str:
    """The file's SHA-256. Raises ConfigError where it cannot be read."""
    try:
        return Artifact(path).digest()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def _values(row: Sequence[str], picked: Sequence[int], columns: Sequence[Column]) -> list[Any]:
    return [
        row[at] if column.datatype == "BYTES" else _number(row[at])
        for at, column in zip(picked, columns, strict=True)
    ]


def _number(text: str) -> float | None:
    return float(text) if text.strip() else None


def _is_header(row: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether no field that should be a number is one."""
    numeric = [at for at, column in enumerate(columns) if column.datatype != "BYTES"]
    for at in numeric:
        try:
            float(row[at] or "0")
        except (ValueError, IndexError):
            continue
        return False
    return bool(numeric)
