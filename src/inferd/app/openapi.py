"""The OpenAPI document: one entry for each route and model, with the model's real fields and a row
that works."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from inferd import __version__
from inferd.calls import Handle
from inferd.errors import InferdError, MalformedRequest
from inferd.lanes.routing import all_routes
from inferd.models.manager import Manager
from inferd.protocols.base import JSON, WEBSOCKET, Dialect, Documentation, Route, variables


def describe(manager: Manager, dialects: Sequence[Dialect], root_path: str) -> dict[str, Any]:
    """The document for the models that are ready now (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Any]] = {}
    for dialect, route in all_routes(dialects):
        for path, handle in _places(route, manager):
            documentation = route.operation.document(handle)
            if documentation is not None:
                paths.setdefault(path, {}).setdefault(  # the first answers, as in lanes/routing
                    route.method.lower(), _operation(dialect, route, path, documentation)
                )
    return {
        "openapi": "3.1.0",
        "info": {"title": "inferd", "version": __version__},
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
    }


def _places(route: Route, manager: Manager) -> Iterator[tuple[str, Handle | None]]:
    """The route's URL for each model, and the handle that would answer there."""
    names = variables(route.path)
    if route.method == WEBSOCKET:
        return  # OpenAPI has no words for it
    if not names:
        yield route.path, _default(manager)
    elif names == ("model",):  # with a version in it, the URL would only say the same again
        for handle in manager.ready():
            yield route.path.replace("{model}", handle.model), handle


def _default(manager: Manager) -> Handle | None:
    try:
        return manager.lookup(None)
    except InferdError:
        return None


def _operation(
    dialect: Dialect, route: Route, path: str, documentation: Documentation
) -> dict[str, Any]:
    error = _error(dialect)
    operation: dict[str, Any] = {
        "tags": [dialect.name],
        "operationId": f"{route.method.lower()}{path}".replace("/", "_"),
        "summary": documentation.summary,
        "responses": {
            "200": {
                "description": "The answer.",
                "content": _content(documentation.response, route.operation.content_type),
            },
            "4XX": error,
            "5XX": error,
        },
    }
    if documentation.request is not None:
        body = _content(documentation.request, JSON)
        body["application/json"]["example"] = documentation.example
        operation["requestBody"] = {"required": not documentation.optional, "content": body}
    return operation


def _content(schema: Any, content_type: bytes) -> dict[str, Any]:
    media = content_type.decode("ascii").partition(";")[0]
    if media == "text/event-stream":  # each event holds a document
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
        schema = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return {media: {"schema": schema}}


def _error(dialect: Dialect) -> dict[str, Any]:
    """An error as *dialect* tells it, or as the lane does where it does not know the dialect."""
    told = dialect.encode_error(MalformedRequest("an example"), None)
    fields = {("error",)}
    media = told.content_type.decode("ascii").partition(";")[0]
    content: dict[str, Any] = {media: {"schema": {"type": "string"}}}
    if told.content_type == JSON:
        fields.add(tuple(json.loads(told.body)))
    schemas = [
        {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": list(names),
        }
        for names in sorted(fields)
    ]
    content["application/json"] = {
        "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    }
    return {"description": "What was wrong: what was got, what was expected.", "content": content}
