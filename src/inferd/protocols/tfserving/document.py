"""What the OpenAPI page says of one model as TensorFlow Serving's REST API speaks of it: its real
names and types, and examples that work."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.calls import Handle
from inferd.protocols.base import Documentation
from inferd.protocols.tfserving.signatures import (
    CLASSIFY,
    DEFAULT,
    ExamplesPlan,
    SignatureDef,
    signatures,
)
from inferd.rows import row_of
from inferd.signature import Shape, TensorSpec
from inferd.tensors import Array, Datatype, json_schema, shown_values

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_B64: Schema = {
    "title": "base64 of UTF-8 text",
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64", "pattern": "^(YWJj)*$"}},
    "required": ["b64"],
    "additionalProperties": False,
}
"""The pattern is narrower than what is read: JSON Schema cannot tell base64 of UTF-8."""


def document_predict(handle: Handle) -> Documentation:
    """Instances and inputs, predictions and outputs."""
    inputs, outputs = handle.signature.inputs, handle.signature.outputs
    forms = [_form("inputs", _together(inputs, whole=True))]
    answers = [_fields(outputs=_together(outputs, whole=True))]
    by_rows = all(spec.shape for spec in (*inputs, *outputs))
    if by_rows:
        rows = _rows(inputs[0].shape[0], _together(inputs, whole=False))
        forms.insert(0, _form("instances", rows | {"minItems": max(1, rows.get("minItems", 1))}))
        answers.insert(0, _fields(predictions=_rows(-1, _together(outputs, whole=False))))
    return Documentation(
        f"Run {handle.model}: {handle.signature}",
        response={"anyOf": answers},
        request={"anyOf": forms},
        example=_example(handle, by_rows=by_rows),
    )


def document_examples(handle: Handle, method: str) -> Documentation | None:
    """Examples, and the scores or values that they get; None where the model has none such."""
    known = signatures(handle)
    plan = known.plan
    if plan is None or plan.method != method:
        return None
    name = next(name for name, each in known.defs.items() if each.method == method)
    result: Schema = {"type": "number"}
    if method == CLASSIFY:
        label: Schema = {"enum": sorted(set(plan.classes))} if plan.classes else dict(_TEXT)
        result = {
            "type": "array",
            "items": {
                "type": "array",
                "items": {"anyOf": [label, {"type": "number"}]},
                "minItems": 2,
                "maxItems": 2,
            },
        }
    return Documentation(
        f"{name.capitalize()} by {handle.model}, asked by Examples: features by name.",
        response=_fields(results={"type": "array", "items": result}),
        request=_fields(
            examples={"type": "array", "items": _example_schema(handle, plan), "minItems": 1}
        )
        | {"additionalProperties": False},
        example={"examples": [_example_of(handle, plan)]},
    )


def document_status(handle: Handle, *, strict: bool) -> Documentation:
    """Where the versions stand."""
    status = _fields(error_code=_TEXT, error_message=_TEXT)
    states = ["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
    version = _fields(version=_TEXT, state={"enum": states}, status=status)
    fields: Schema = {"model_version_status": {"type": "array", "items": version}}
    if not strict:
        fields |= {"name": _TEXT, "ready": {"type": "boolean"}}
    return Documentation(f"The states of {handle.model}'s versions.", _fields(**fields))


def document_metadata(handle: Handle) -> Documentation:
    """The signatures, in full."""
    defs = {name: _signature_def(each) for name, each in signatures(handle).defs.items()}
    named = _fields(name=_TEXT, signature_name=_TEXT, version=_TEXT)
    held = _fields(signature_def=_fields(signature_def=_fields(**defs)))
    return Documentation(
        f"The signatures of {handle.model}.", _fields(model_spec=named, metadata=held)
    )


def _fields(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _form(key: str, value: Schema) -> Schema:
    return {
        "title": key,
        "type": "object",
        "properties": {key: value, "signature_name": {"enum": [DEFAULT]}},
        "required": [key],
        "additionalProperties": False,
    }


def _together(specs: tuple[TensorSpec, ...], *, whole: bool) -> Schema:
    """One tensor, or an object of several: of a row, or whole."""
    found = {
        spec.name: _tensor(spec.type, spec.shape if whole else spec.shape[1:]) for spec in specs
    }
    if len(found) == 1:
        return next(iter(found.values()))
    return _fields(**found) | {"additionalProperties": False}


def _tensor(datatype: Datatype, shape: Shape) -> Schema:
    schema = _element(datatype)
    for length in reversed(shape):
        schema = _rows(length, schema)
    return schema


def _rows(length: int, items: Schema) -> Schema:
    fixed = {"minItems": length, "maxItems": length} if length >= 0 else {}
    return {"type": "array", "items": items, **fixed}


def _element(datatype: Datatype) -> Schema:
    schema = json_schema(datatype)
    if datatype.name == "BYTES":
        return {"anyOf": [schema, _B64]}
    if datatype.numpy.kind in "iu":
        limits = np.iinfo(datatype.numpy)
        return {**schema, "minimum": int(limits.min), "maximum": int(limits.max)}
    if datatype.numpy.kind == "f" and datatype.name != "FP64":
        largest = float(np.finfo(datatype.numpy).max)
        return {**schema, "minimum": -largest, "maximum": largest}
    return schema


def _example(handle: Handle, *, by_rows: bool) -> Schema:
    values = {name: _shown(array) for name, array in handle.example.items()}
    if by_rows:
        values = {name: value[0] for name, value in values.items()}
    told = values if len(values) > 1 else next(iter(values.values()))
    return {"instances": [told]} if by_rows else {"inputs": told}


def _shown(array: Array) -> Any:
    """*array* as JSON, which has no NaN."""
    return shown_values(np.nan_to_num(array) if array.dtype.kind == "f" else array)


def _example_schema(handle: Handle, plan: ExamplesPlan) -> Schema:
    row = _row(handle)
    specs = handle.signature.inputs
    if plan.whole_row:
        values: Schema = {"type": "array", "items": _feature(specs[0].type)}
        values |= {"minItems": len(row), "maxItems": len(row)}
        return _fields(**{plan.features[0]: values})
    types = [s.type for s in specs] if len(specs) > 1 else [specs[0].type] * len(row)
    return _fields(
        **{name: _feature(each) for name, each in zip(plan.features, types, strict=True)}
    )


def _feature(datatype: Datatype) -> Schema:
    """One value: of Examples, integers are of 64 bits."""
    schema = _element(datatype)
    if schema.get("type") == "integer":
        schema["maximum"] = min(schema["maximum"], (1 << 63) - 1)
    return schema


def _example_of(handle: Handle, plan: ExamplesPlan) -> Mapping[str, Any]:
    row = _row(handle)
    if plan.whole_row:
        return {plan.features[0]: row}
    return dict(zip(plan.features, row, strict=True))


def _row(handle: Handle) -> list[Any]:
    return [0.0 if value is None else value for value in row_of(handle.example)]


def _signature_def(each: SignatureDef) -> Schema:
    return _fields(
        inputs=_infos(tuple(each.inputs)),
        outputs=_infos(tuple(each.outputs)),
        method_name={"enum": [each.method]},
        defaults={"type": "object"},
    )


def _infos(aliases: tuple[str, ...]) -> Schema:
    size = _fields(size=_TEXT, name=_TEXT)
    shape = _fields(dim={"type": "array", "items": size}, unknown_rank={"type": "boolean"})
    info = _fields(dtype=_TEXT, tensor_shape=shape, name=_TEXT)
    return _fields(**dict.fromkeys(aliases, info))
