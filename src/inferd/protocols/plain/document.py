"""What the OpenAPI page says of the plain protocol's prediction by one model."""

from typing import Any

from inferd.calls import Handle
from inferd.protocols.base import Documentation
from inferd.rows import row_of
from inferd.tensors import BY_NAME, json_schema


def document_predict(handle: Handle) -> Documentation:
    """The row that *handle*'s model takes, also as a record where its features have names, and
    examples that work."""
    row = row_of(handle.example)
    inputs, names = handle.signature.inputs, handle.reader.names
    kinds = (
        [spec.datatype for spec in inputs] if len(inputs) > 1 else [inputs[0].datatype] * len(row)
    )
    schemas = [json_schema(BY_NAME[kind]) for kind in kinds]
    values: dict[str, Any] = {"type": "array", "minItems": len(row), "maxItems": len(row)}
    values["items"] = {"anyOf": _distinct(schemas)}
    records: list[dict[str, Any]] = []
    if len(names) == len(row):
        values["description"] = "In this order: " + ", ".join(names)
        columns = dict(zip(names, schemas, strict=True))
        records = _records(columns, dict(zip(names, row, strict=True)))
    forms = [
        {"title": "one row", **values},
        {"title": "many rows", "type": "array", "items": values},
        *({"title": form["title"], "type": form["type"]} for form in records),
    ]
    wrapped = {
        "title": "features",
        "type": "object",
        "properties": {"features": {"anyOf": forms}},
        "required": ["features"],
    }
    return Documentation(
        f"Predict with {handle.model}: one row of features, or a list of rows"
        + ("; a row may be a record by name." if records else "."),
        response=_response(handle),
        request={"anyOf": [wrapped, *records]} if records else wrapped,
        example={"features": row},
    )


def _records(schemas: dict[str, Any], row: dict[str, Any]) -> list[dict[str, Any]]:
    """One record, and a list of records."""
    record = {
        "type": "object",
        "properties": schemas,
        "required": list(schemas),
        "additionalProperties": False,
    }
    return [
        {"title": "one record", **record, "examples": [row]},
        {"title": "many records", "type": "array", "items": record, "examples": [[row]]},
    ]


def _response(handle: Handle) -> dict[str, Any]:
    outputs = {spec.name: spec for spec in handle.signature.outputs}
    label = json_schema(outputs[handle.roles.prediction].type)
    one: dict[str, Any] = {"prediction": label}
    many: dict[str, Any] = {"predictions": {"type": "array", "items": label}}
    if handle.roles.probability:
        one["probability"] = {"type": "array", "items": {"type": "number"}}
        many["probabilities"] = {"type": "array", "items": one["probability"]}
    version = {"model_version": {"type": "string"}}
    return {
        "anyOf": [
            {"title": "one row", "type": "object", "properties": one | version},
            {"title": "many rows", "type": "object", "properties": many | version},
        ]
    }


def _distinct(schemas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [schema for at, schema in enumerate(schemas) if schema not in schemas[:at]]
