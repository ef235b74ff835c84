"""protocols/oip: what the OpenAPI page says of an inference is what is read and written."""

from collections.abc import Callable
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from inferd.errors import InferdError
from inferd.pipeline import Pipeline
from inferd.protocols.oip import plugin
from tests.unit.asking import Asker, body

INFER = ("POST", "/v2/models/{model}/infer")
DIALECT = jsonschema.Draft202012Validator


@pytest.mark.parametrize("name", ["iris", "words", "simple", "columns", "text", "scalar"])
def test_the_example_and_its_answers_keep_the_schemas(
    pipeline: Callable[..., Pipeline], name: str
) -> None:
    """With an id, parameters, and outputs asked for by name or for their greatest elements."""
    oip = Asker(plugin, pipeline(name))
    signature = oip.served.manager.lookup(name).signature
    page = oip.operation(*INFER).document(oip.served.manager.lookup(name))
    assert page is not None
    DIALECT.check_schema(page.request)
    DIALECT.check_schema(page.response)
    numbers = [s.name for s in signature.outputs if s.datatype not in ("BYTES", "BOOL")]
    for more in (
        {},
        {"id": "x", "parameters": {"a": 1, "b": "c", "d": True, "e": 1.5}},
        {"outputs": [{"name": signature.outputs[0].name}]},
        {"outputs": [{"name": n, "parameters": {"classification": 2}} for n in numbers]},
    ):
        document = {**page.example, **more}
        jsonschema.validate(document, page.request, DIALECT)
        jsonschema.validate(oip.ask(INFER, body(**document), model=name), page.response, DIALECT)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 1},
        {"inputs": {}},
        {"parameters": []},
        {"parameters": {"a": {}}},
        {"parameters": {"a": None}},
        {"outputs": ["label"]},
        {"outputs": [{"name": "nobody"}]},
        {"outputs": [{"name": "label", "parameters": {"classification": -1}}]},
        {"outputs": [{"name": "label", "parameters": {"classification": "1"}}]},
        {"inputs": [{"name": "X", "shape": [-1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
        {"inputs": [{"name": "X", "shape": [4], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
        {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": "1234"}]},
        {"inputs": [{"name": "X", "shape": [1, 1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
    ],
)
def test_what_the_schema_refuses_the_server_refuses(
    pipeline: Callable[..., Pipeline], changes: dict[str, Any]
) -> None:
    """Whoever makes requests by the page meets no surprise."""
    oip = Asker(plugin, pipeline("iris"))
    page = oip.operation(*INFER).document(oip.served.manager.lookup("iris"))
    assert page is not None
    document = {**page.example, **changes}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, page.request, DIALECT)
    with pytest.raises(InferdError):
        oip.ask(INFER, body(**document), model="iris")
