"""What a case of the sweep is, and the small tables that its models are trained on."""

import functools
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd

from inferd.tensors import Array

SIZE = 400
"""Rows of a table."""
FULL = 100_000
"""Rows of each kind that a case is asked."""


class Table(NamedTuple):
    """Rows to train on."""

    rows: Any
    """An array, or a DataFrame."""
    coded: frozenset[int]
    """Columns whose numbers stand for categories or counts: no value between them means a thing."""
    kinds: tuple[str, ...] = ("numeric", "missing", "near")
    """What its models are asked; those that a model does not take are left out."""


class Case(NamedTuple):
    """One fitted model, and how it is asked."""

    name: str
    family: str
    model: Callable[[], Any]
    """Makes it, not fitted yet."""
    table: str = "numbers"
    target: str = ""
    """The name of a target in TARGETS; empty for none."""
    fit: Mapping[str, Any] = {}
    """Further arguments of ``fit``."""
    suffix: str = ".joblib"
    """Of the file that it is served from."""
    must: bool = True
    """Whether it would be a regression if its own library had to answer."""
    rows: int = FULL
    size: int = SIZE
    raw: bool = True
    """Whether the library takes the rows as they are, so that it can be asked without inferd."""


class Trained(NamedTuple):
    """A case's model, fitted and saved."""

    model: Any
    table: Table
    path: Path


def train(case: Case, folder: Path) -> Trained:
    """Fit *case* and save it in *folder*."""
    table = TABLES[case.table]()
    rows = table.rows[: case.size]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small fits do not converge, and need not
        model = case.model()
        target = [TARGETS[case.target](table)[: case.size]] if case.target else []
        model.fit(rows, *target, **case.fit)
    path = folder / f"model{case.suffix}"
    SAVERS[case.suffix](model, path)
    return Trained(model, table._replace(rows=rows), path)


def _lightgbm(model: Any, path: Path) -> None:
    model.booster_.save_model(path)


SAVERS: Mapping[str, Callable[[Any, Path], Any]] = {
    ".joblib": joblib.dump,
    ".json": lambda model, path: model.get_booster().save_model(path),
    ".ubj": lambda model, path: model.save_model(path),
    ".txt": _lightgbm,
    ".cbm": lambda model, path: model.save_model(str(path)),
}


def _numbers() -> Array:
    rng = np.random.default_rng(7)
    return rng.normal(size=(SIZE, 5)) * [1, 10, 0.1, 100, 1] + [0, 5, 1, 0, -3]


def numbers() -> Table:
    return Table(_numbers(), frozenset())


def even() -> Table:
    """Columns of one scale, for what diverges on others."""
    return Table(np.random.default_rng(2).normal(size=(SIZE, 5)), frozenset())


def missing() -> Table:
    rows = _numbers()
    rows[np.random.default_rng(1).random(rows.shape) < 0.1] = np.nan
    return Table(rows, frozenset())


def single() -> Table:
    return Table(_numbers()[:, :1], frozenset())


def positive() -> Table:
    return Table(np.abs(_numbers()), frozenset())


def integers() -> Table:
    """Whole numbers with many values, as counts and amounts are."""
    return Table(np.round(_numbers() * 10), frozenset())


def counts() -> Table:
    rows = np.random.default_rng(3).integers(0, 5, (SIZE, 5)).astype(np.float64)
    return Table(rows, frozenset(range(5)), ("numeric",))


def coarse() -> Table:
    """Few values, so that trees disagree evenly."""
    rows = np.random.default_rng(4).integers(0, 4, (SIZE, 4)).astype(np.float64)
    return Table(rows, frozenset(), ("ties", "near"))


def codes() -> Table:
    """Two columns of category numbers beside three of measures."""
    rows = _numbers()
    rng = np.random.default_rng(5)
    rows[:, 0] = rng.integers(0, 8, SIZE)
    rows[:, 3] = rng.integers(0, 40, SIZE)
    return Table(rows, frozenset({0, 3}))


def _people() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    return pd.DataFrame(
        {
            "city": rng.choice(["Bern", "Köln", "Oslo", "Rome"], SIZE),
            "plan": rng.choice(["basic", "plus"], SIZE),
            "age": rng.normal(45, 12, SIZE),
            "income": rng.lognormal(10, 1, SIZE),
            "visits": rng.integers(0, 30, SIZE).astype(np.float64),
        }
    )


def people() -> Table:
    return Table(_people(), frozenset({0, 1}))


def holey() -> Table:
    """People of whom not all is known."""
    rows = _people()
    rng = np.random.default_rng(8)
    for name in ("age", "income"):
        rows.loc[rng.random(SIZE) < 0.1, name] = np.nan
    return Table(rows, frozenset({0, 1}))


def categories() -> Table:
    """People whose words are pandas categories; ASCII, since XGBoost stores others wrongly."""
    rows = _people().replace("Köln", "Cork").astype({"city": "category", "plan": "category"})
    return Table(rows, frozenset({0, 1}))


def named() -> Table:
    """Numbers in a DataFrame."""
    return Table(pd.DataFrame(_numbers(), columns=list("abcde")), frozenset())


TABLES: Mapping[str, Callable[[], Table]] = {
    made.__name__: functools.cache(made)
    for made in (
        numbers, even, missing, single, positive, integers, counts, coarse, codes, people, holey,
        categories, named,
    )
}  # fmt: skip


def _signal(table: Table) -> Array:
    """A number for each row that depends on all columns, with noise."""
    rows = pd.DataFrame(table.rows)
    numbers = [
        pd.factorize(rows[name])[0].astype(np.float64)
        if rows[name].dtype.kind not in "fi"
        else rows[name].fillna(0).to_numpy(np.float64)
        for name in rows
    ]
    scaled = [(each - each.mean()) / (each.std() or 1) for each in numbers]
    noise = np.random.default_rng(9).normal(0, 0.7, len(rows))
    made: Array = sum(scaled) + np.abs(scaled[0]) + noise
    return made


def _levels(table: Table, count: int) -> Array:
    signal = _signal(table)
    return np.digitize(signal, np.quantile(signal, np.linspace(0, 1, count + 1)[1:-1]))


def _flags(table: Table) -> Array:
    signal = _signal(table)
    return np.column_stack([signal > 0, np.roll(signal, 1) > 1, signal > 2]).astype(np.int64)


TARGETS: Mapping[str, Callable[[Table], Any]] = {
    "two": lambda table: _levels(table, 2),
    "three": lambda table: _levels(table, 3),
    "words": lambda table: np.array(["green", "red", "blue"])[_levels(table, 3)],
    "yes or no": lambda table: np.array(["no", "yes"])[_levels(table, 2)],
    "amount": lambda table: _signal(table) * 10,
    "share": lambda table: 1 / (1 + np.exp(-_signal(table))),
    "count": lambda table: np.floor(np.exp(_signal(table) / 3)),
    "positive": lambda table: np.exp(_signal(table) / 3),
    "grades": lambda table: _levels(table, 4),
    "pair": lambda table: np.column_stack([_signal(table), np.roll(_signal(table), 1) * 5]),
    "flags": _flags,
    "two labels": lambda table: np.column_stack([_levels(table, 3), _levels(table, 2)]),
}
