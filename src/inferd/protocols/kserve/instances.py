"""The forms that KServe's servers take instances in, as rows or records.

An instance is a row or a record; a text; a list of records; or a table by column, as pandas'
``to_dict`` writes it: ``{"age": {"0": 41, "1": 17}}`` or ``{"age": [41, 17]}``
(kserve/utils/utils.py, ``get_predict_input``).
"""

from itertools import chain
from typing import Any

from inferd.errors import InvalidInput, short


def rows_of(instances: list[Any]) -> list[Any]:
    """The rows or records that *instances*, at least one, stand for; read as the first one is."""
    first = instances[0]
    kind = type(first)
    if kind is str:
        return [[text] for text in instances]
    if kind is list and first and type(first[0]) is dict:
        return list(chain.from_iterable(_records(each) for each in instances))
    if kind is dict and type(next(iter(first.values()), None)) in (dict, list):
        return list(chain.from_iterable(_table(each) for each in instances))
    return instances


def _records(instance: Any) -> list[Any]:
    if not isinstance(instance, list):
        raise InvalidInput("not every instance is a list of records", expected="all of one form")
    return instance


def _table(instance: Any) -> list[dict[str, Any]]:
    """The records of a table by column."""
    if not isinstance(instance, dict):
        raise InvalidInput("not every instance is a table by column", expected="all of one form")
    labels: Any = None
    for name, column in instance.items():
        if not isinstance(column, dict | list):
            raise InvalidInput(
                f"column {short(name)!r} of a table is one value", expected="a list of values"
            )
        own = column.keys() if isinstance(column, dict) else range(len(column))
        labels = own if labels is None else labels
        if own != labels:
            raise InvalidInput(
                f"column {short(name)!r} of a table has other rows than the first",
                expected="as many values, for the same rows, in every column",
            )
    return [{name: column[label] for name, column in instance.items()} for label in labels or ()]
