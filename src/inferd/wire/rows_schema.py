"""The JSON schemas of a model's rows, records and predictions, which several dialects show."""

from typing import Any

import numpy as np

from inferd.calls import Handle
from inferd.rows import row_of
from inferd.signature import TensorSpec
from inferd.tensors import Datatype, json_schema

Schema = dict[str, Any]


def element(datatype: Datatype) -> Schema:
    """One value of a row: a missing number is null, and whole numbers have their range."""
    schema = json_schema(datatype)
    if datatype.numpy.kind == "f":
        return {"type": [schema["type"], "null"]}
    if datatype.numpy.kind in "iu":
        bounds = np.iinfo(datatype.numpy)
        return schema | {"minimum": int(bounds.min), "maximum": int(bounds.max)}
    return schema


def elements(handle: Handle) -> list[Schema]:
    """The values of a row, in order."""
    inputs = handle.signature.inputs
    if len(inputs) > 1:
        return [element(spec.type) for spec in inputs]
    return [element(inputs[0].type)] * len(row_of(handle.example))


def row(handle: Handle) -> Schema:
    """A row as a list."""
    values = elements(handle)
    alike = all(value == values[0] for value in values)
    schema: Schema = {"type": "array", "minItems": len(values), "maxItems": len(values)}
    schema |= {"items": values[0]} if alike and values else {"prefixItems": values}
    names = handle.reader.names
    if len(names) == len(values):
        schema["description"] = "In this order: " + ", ".join(names)
    return schema


def record(handle: Handle) -> Schema | None:
    """A row as an object by name; None where the features have no names."""
    names, values = handle.reader.names, elements(handle)
    if not names or len(names) != len(values):
        return None
    return {
        "type": "object",
        "properties": dict(zip(names, values, strict=True)),
        "required": list(names),
    }


def rows(handle: Handle) -> Schema:
    """A list of rows, or of records where there are names."""
    lists = {"title": "rows", "type": "array", "minItems": 1, "items": row(handle)}
    by_name = record(handle)
    if by_name is None:
        return lists
    return {
        "anyOf": [lists, {"title": "records", "type": "array", "minItems": 1, "items": by_name}]
    }


def predictions(spec: TensorSpec) -> Schema:
    """The list of one prediction a row that output *spec* makes: a column is flattened."""
    value = element(spec.type)
    inner = spec.shape[1:]
    if inner == (1,):
        inner = ()
    nested = value
    for _ in inner:
        nested = {"type": "array", "items": nested}
    if inner == (-1,):  # which may be a column after all
        nested = {"anyOf": [nested, value]}
    return {"type": "array", "items": nested}
