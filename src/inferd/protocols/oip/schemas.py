"""JSON schemas that the pages of several operations share, and answers without a body."""

from collections.abc import Mapping
from typing import Any

from inferd.protocols.base import Payload

TEXT: Mapping[str, Any] = {"type": "string"}
TRUTH: Mapping[str, Any] = {"type": "boolean"}
WHOLE: Mapping[str, Any] = {"type": "integer"}
OBJECT: Mapping[str, Any] = {"type": "object"}
NOTHING = Payload(b"{}")
"""What says only that it was done, to clients who read every answer as JSON."""
EMPTY = Payload(b"", b"text/plain")
"""The same as Triton says it."""


def record(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has all of *fields*."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def array(items: Mapping[str, Any]) -> dict[str, Any]:
    """A list of *items*."""
    return {"type": "array", "items": items}
