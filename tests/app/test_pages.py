"""The pages behind the lane: documentation that needs no network, and a schema that is true."""

import re
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from inferd.server.embedded import Server


@pytest.fixture(scope="module")
def schema(server: Server) -> dict[str, Any]:
    """/openapi.json."""
    document: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()
    return document


def test_docs_need_no_network(server: Server) -> None:
    """The page loads nothing from elsewhere, and everything that it names is served."""
    page = httpx.get(f"{server.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    references = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(references) >= 3
    for reference in references:
        asset = httpx.get(f"{server.url}{reference}")
        assert (asset.status_code, len(asset.content) > 100) == (200, True)
    assert not re.findall(r"https?://", page.text)


def test_the_page_finds_its_schema(server: Server) -> None:
    """The page's script is told a URL that serves the schema."""
    page = httpx.get(f"{server.url}/docs").text
    found = re.search(r"url: ['\"]([^'\"]+)", page)
    assert found
    assert httpx.get(f"{server.url}{found[1]}").json()["openapi"]


def test_the_front_page_leads_to_the_docs(server: Server) -> None:
    """/ leads to /docs."""
    assert httpx.get(server.url, follow_redirects=True).url.path == "/docs"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/swagger-ui.css"])
def test_head_is_answered_as_get(server: Server, path: str) -> None:
    """What can be got can be asked for its head."""
    assert httpx.head(f"{server.url}{path}").status_code == 200


@pytest.mark.parametrize("name", ["..%2F..%2Fbuild.py", "%2e%2e/build.py", "nothing.js", ""])
def test_assets_are_those_of_the_page_alone(server: Server, name: str) -> None:
    """No other file can be had through the assets' URL."""
    assert httpx.get(f"{server.url}/docs/{name}").status_code in (307, 404)


def test_the_schema_is_valid(schema: dict[str, Any]) -> None:
    """/openapi.json is OpenAPI."""
    validate(schema)
    assert len(schema["paths"]) > 10


def test_operations_have_distinct_ids(schema: dict[str, Any]) -> None:
    """Client generators need an id that no other operation has."""
    ids = [o["operationId"] for methods in schema["paths"].values() for o in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_example_is_answered(server: Server, schema: dict[str, Any]) -> None:
    """Every example of the schema, posted as it is, gets an answer that the schema describes."""
    asked = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            example = content["example"] if content else None
            answer = httpx.request(method, f"{server.url}{path}", json=example)
            assert answer.status_code == 200, f"{method} {path}: {answer.text}"
            asked.append(path)
    for model in ("iris", "prices", "species", "columns"):
        assert f"/v1/predict/{model}" in asked
        assert f"/v2/models/{model}/infer" in asked


def test_models_have_their_own_fields(schema: dict[str, Any]) -> None:
    """An entry shows its model's real features and row."""
    operation = schema["paths"]["/v1/predict/iris"]["post"]
    assert "sepal length" in str(operation["requestBody"])
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert example == {"features": [5.1, 3.5, 1.4, 0.2]}


def test_unknown_pages_are_errors_in_json(server: Server) -> None:
    """A URL that nothing is served at is told so as by the plain protocol."""
    answer = httpx.get(f"{server.url}/nothing")
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_docs_asks_no_validator(server: Server) -> None:
    """Swagger UI shows the document to a validator of others' unless it is told not to."""
    assert '"validatorUrl": null' in httpx.get(f"{server.url}/docs").text
