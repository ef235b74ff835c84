"""What the OpenAPI page says of the plain protocol's prediction by one model."""

from typing import Any

from inferd.calls import Handle
from inferd.protocols.base import Documentation
from inferd.rows import row_of
from inferd.tensors import BY_NAME, json_schema


def document_predict(handle: Handle) -> Documentation:
    """The row that *handle*'s model takes, with the names of its features, and an example that
    works."""
    row = row_of(handle.example)
    inputs = handle.signature.inputs
    kinds = (
        [inputs[0].datatype] * len(row) if len(inputs) == 1 else [spec.datatype for spec in inputs]
    )
    names = handle.feature_names if len(handle.feature_names) == len(row) else ()
    titles = names or (tuple(spec.name for spec in inputs) if len(inputs) > 1 else ())
    values: dict[str, Any] = {"type": "array", "minItems": len(row), "maxItems": len(row)}
    values["items"] = {"anyOf": _distinct([json_schema(BY_NAME[kind]) for kind in kinds])}
    if titles:
        values["description"] = "In this order: " + ", ".join(titles)
    features = {
        "anyOf": [
            {"title": "one row", **values},
            {"title": "many rows", "type": "array", "items": values},
        ]
    }
    return Documentation(
        f"Predict with {handle.model}: one row of features, or a list of rows.",
        response=_response(handle),
        request={"type": "object", "properties": {"features": features}, "required": ["features"]},
        example={"features": row},
    )


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
