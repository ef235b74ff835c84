"""What the OpenAPI page says of an invocation of one model."""

from typing import Any

from inferd.calls import Handle
from inferd.protocols.base import Documentation
from inferd.protocols.mlflow.columns import of_tensors
from inferd.rows import row_of
from inferd.signature import TensorSpec
from inferd.tensors import shown_values
from inferd.wire import rows_schema
from inferd.wire.rows_schema import Schema


def document_invocations(handle: Handle) -> Documentation:
    """The forms that *handle*'s model takes, and an example that works."""
    forms, example = _tensors(handle) if of_tensors(handle) else _rows(handle)
    return Documentation(
        f"Predict with {handle.model}, the default model. It reads text/csv, too: a row of names, "
        "then rows of values.",
        response=_object("predictions", _predictions(handle)),
        request={"anyOf": forms} if len(forms) > 1 else forms[0],
        example=example,
    )


def _rows(handle: Handle) -> tuple[list[Schema], dict[str, Any]]:
    row, values = rows_schema.row(handle), row_of(handle.example)
    rows = {"type": "array", "minItems": 1, "items": row}
    forms = [_object("inputs", rows), _object("instances", rows)]
    record, names = rows_schema.record(handle), list(handle.reader.names)
    if record is None:
        return forms, {"inputs": [values]}
    split = {
        "type": "object",
        "properties": {"columns": {"const": names}, "data": rows},
        "required": ["columns", "data"],
        "additionalProperties": False,
    }
    records = {"type": "array", "minItems": 1, "items": record}
    forms += [_object("dataframe_split", split), _object("dataframe_records", records)]
    return forms, {"dataframe_split": {"columns": names, "data": [values]}}


def _tensors(handle: Handle) -> tuple[list[Schema], dict[str, Any]]:
    """Of a model of several tensors, which are sent by name."""
    inputs = handle.signature.inputs
    named = {
        "type": "object",
        "properties": {spec.name: {"type": "array", "description": str(spec)} for spec in inputs},
        "required": [spec.name for spec in inputs],
        "additionalProperties": False,
    }
    example = {spec.name: shown_values(handle.example[spec.name]) for spec in inputs}
    return [_object("inputs", named)], {"inputs": example}


def _predictions(handle: Handle) -> Schema:
    outputs = {spec.name: spec for spec in handle.signature.outputs}
    if handle.roles.probability is not None or len(outputs) == 1:
        return rows_schema.predictions(outputs[handle.roles.prediction])
    named = {name: _array(spec) for name, spec in outputs.items()}
    by_name = {"title": "by output", "type": "object", "properties": named}
    records = {"title": "of a data frame", "type": "array", "items": {"type": "object"}}
    return {"anyOf": [by_name | {"required": list(named)}, records]}


def _array(spec: TensorSpec) -> Schema:
    schema = rows_schema.element(spec.type)
    for _ in spec.shape:
        schema = {"type": "array", "items": schema}
    return schema


def _object(field: str, schema: Schema) -> Schema:
    return {
        "title": field,
        "type": "object",
        "properties": {field: schema},
        "required": [field],
    }
