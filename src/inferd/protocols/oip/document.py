"""What the OpenAPI page says of an Open Inference Protocol inference by one model.

It tells of tensors as JSON; the binary form of the same request is not a JSON document.
"""

from typing import Any

from inferd.calls import Handle
from inferd.protocols.base import Documentation
from inferd.protocols.oip.classification import CLASSIFIED
from inferd.signature import TensorSpec
from inferd.tensors import json_schema, shown_values


def document_infer(handle: Handle) -> Documentation:
    """The tensors that *handle*'s model takes and gives, and an example that works."""
    example = [
        {
            "name": spec.name,
            "shape": list(handle.example[spec.name].shape),
            "datatype": spec.datatype,
            "data": shown_values(handle.example[spec.name].ravel()),
        }
        for spec in handle.signature.inputs
    ]
    outputs = handle.signature.outputs
    answer = _tensors("outputs", [_answered(spec) for spec in outputs], _ANSWERED)
    request = _tensors("inputs", [_tensor(spec) for spec in handle.signature.inputs], _ASKED)
    request["properties"]["outputs"] = {
        "type": "array",
        "items": {"anyOf": [_wanted(spec) for spec in outputs]},
    }
    return Documentation(
        f"Run {handle.model}: {handle.signature}",
        response=answer,
        request=request,
        example={"inputs": example},
    )


_TEXT = {"type": "string"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_ANSWERED = {"id": _TEXT, "model_name": _TEXT, "model_version": _TEXT}
_ASKED = {"id": _TEXT, "parameters": {"type": "object", "additionalProperties": _SCALAR}}


def _tensors(field: str, items: list[dict[str, Any]], beside: dict[str, Any]) -> dict[str, Any]:
    tensors = {"type": "array", "items": {"anyOf": items}}
    return {"type": "object", "properties": {**beside, field: tensors}, "required": [field]}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "title": str(spec),
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": [spec.name]},
            "shape": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": len(spec.shape),
                "maxItems": len(spec.shape),
            },
            "datatype": {"type": "string", "enum": [spec.datatype]},
            "data": {
                "type": "array",
                "items": {"anyOf": [json_schema(spec.type), {"type": "array"}]},
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }


def _answered(spec: TensorSpec) -> dict[str, Any]:
    """An output: as the model gives it, or, of numbers, the texts of its greatest elements."""
    tensor = _tensor(spec)
    if spec.datatype in CLASSIFIED:
        fields = tensor["properties"]
        fields["datatype"]["enum"] = [spec.datatype, "BYTES"]
        fields["shape"] = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        fields["data"]["items"] = {"type": [json_schema(spec.type)["type"], "string"]}
    return tensor


def _wanted(spec: TensorSpec) -> dict[str, Any]:
    classified = spec.datatype in CLASSIFIED
    parameters = {"classification": {"type": "integer", "minimum": 0}} if classified else {}
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": [spec.name]},
            "parameters": {"type": "object", "properties": parameters},
        },
        "required": ["name"],
    }
