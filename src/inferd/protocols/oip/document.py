"""What the OpenAPI page says of an Open Inference Protocol inference by one model."""

from typing import Any

from inferd.calls import Handle
from inferd.protocols.base import Documentation
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
    return Documentation(
        f"Run {handle.model}: {handle.signature}",
        response=_tensors(
            "outputs", handle.signature.outputs, {"model_name": _TEXT, "model_version": _TEXT}
        ),
        request=_tensors("inputs", handle.signature.inputs, {"id": _TEXT}),
        example={"inputs": example},
    )


_TEXT = {"type": "string"}


def _tensors(field: str, specs: tuple[TensorSpec, ...], beside: dict[str, Any]) -> dict[str, Any]:
    tensors = {"type": "array", "items": {"anyOf": [_tensor(spec) for spec in specs]}}
    return {"type": "object", "properties": {**beside, field: tensors}, "required": [field]}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {
        "title": str(spec),
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": [spec.name]},
            "shape": {"type": "array", "items": {"type": "integer"}, "minItems": len(spec.shape)},
            "datatype": {"type": "string", "enum": [spec.datatype]},
            "data": {
                "type": "array",
                "items": {"anyOf": [json_schema(spec.type), {"type": "array"}]},
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }
