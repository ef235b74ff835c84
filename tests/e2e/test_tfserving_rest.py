"""Clients of TensorFlow Serving's REST API, over real sockets: at its own port and at the main
one."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

import inferd
from inferd.server.embedded import Server
from tests.conftest import FEATURES, ROW, Models


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[Server]:
    """A server with TensorFlow Serving's port."""
    with inferd.serve(
        models.iris, models.prices, models.species, models.columns, tfserving=0
    ) as running:
        yield running


@pytest.fixture(params=["tfserving", "main"])
def url(served: Server, request: pytest.FixtureRequest) -> str:
    """The door of TensorFlow Serving, and the main port."""
    return f"{served.urls[request.param]}/v1/models"


@pytest.fixture
def door(served: Server) -> str:
    """The door alone."""
    return served.urls["tfserving"]


def _post(url: str, document: Any, status: int = 200) -> Any:
    answer = requests.post(url, json=document, timeout=10)
    assert answer.headers["content-type"] == "application/json"
    assert answer.status_code == status, answer.text
    return answer.json()


def test_predict(url: str, models: Models, answers: Any) -> None:
    """Instances and inputs get ONNX Runtime's own numbers, to the last bit of a float32."""
    labels, scores = answers(models.iris, {"X": models.rows}).values()
    predictions = _post(f"{url}/iris:predict", {"instances": models.rows.tolist()})["predictions"]
    outputs = _post(f"{url}/iris:predict", {"inputs": {"X": models.rows.tolist()}})["outputs"]
    names = list(outputs)
    assert [row[names[0]] for row in predictions] == labels.tolist() == outputs[names[0]]
    for found in ([row[names[1]] for row in predictions], outputs[names[1]]):
        np.testing.assert_array_equal(np.array(found, np.float32), scores)


@pytest.mark.parametrize("place", ["", "/versions/1"])
def test_classify_and_regress(url: str, place: str) -> None:
    """Examples by the features' names, of a version or of the newest."""
    example = dict(zip(FEATURES, ROW, strict=True))
    (scores,) = _post(f"{url}/iris{place}:classify", {"examples": [example]})["results"]
    assert sum(score for _, score in scores) == pytest.approx(1)
    assert scores[0][1] == max(score for _, score in scores)
    (value,) = _post(f"{url}/prices{place}:regress", {"examples": [{"X": ROW}]})["results"]
    (same,) = _post(f"{url}/prices{place}:predict", {"instances": [ROW]})["predictions"]
    assert [value] == same


def test_strings(url: str) -> None:
    """As they are, or in base64."""
    plain = {"instances": [{"colour": ["red"], "size": [2.5]}]}
    coded = {"instances": [{"colour": [{"b64": "cmVk"}], "size": [2.5]}]}
    assert _post(f"{url}/columns:predict", plain) == _post(f"{url}/columns:predict", coded)


def test_status_and_metadata(url: str, door: str) -> None:
    """What is served, and what it takes."""
    status = requests.get(f"{url}/iris/versions/1", timeout=10).json()
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    assert ("ready" in status) == (not url.startswith(door))
    metadata = requests.get(f"{url}/iris/metadata", timeout=10).json()
    assert metadata["model_spec"] == {"name": "iris", "signature_name": "", "version": "1"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "classify"}


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("nobody:predict", 404, "Servable not found for request: Latest(nobody)"),
        ("iris/versions/7:predict", 404, "Servable not found for request: Specific(iris, 7)"),
        ("iris/labels/x:predict", 400, "Unrecognized servable version label: x"),
        ("a%2Fb%3A:predict", 404, "Servable not found for request: Latest(a/b:)"),
        ("iris:predict", 400, "Missing 'inputs' or 'instances' key"),
    ],
)
def test_errors(url: str, path: str, status: int, text: str) -> None:
    """The statuses and the words are TensorFlow Serving's; a name is percent-decoded."""
    assert _post(f"{url}/{path}", {}, status) == {"error": text}


def test_unknown_models_have_no_status(url: str) -> None:
    """Nor has a version that was never there."""
    for path, text in (
        ("foo", "Could not find any versions of model foo"),
        ("iris/versions/9", "Could not find version 9 of model iris"),
    ):
        answer = requests.get(f"{url}/{path}", timeout=10)
        assert (answer.status_code, answer.json()) == (404, {"error": text})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/iris:fit"),
        ("POST", "/v1/models/iris:predict/"),
        ("POST", "/v1/models/iris/versions/1/labels/x:predict"),
        ("POST", "/v1/models/iris/versions/x:predict"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/other?x=1"),
        ("GET", "/v1/models/iris:predict"),
        ("PUT", "/v1/models/iris:predict"),
        ("DELETE", "/v1/models/iris"),
        ("PATCH", "/v1/models/iris"),
    ],
)
def test_what_the_door_does_not_know_is_malformed(door: str, method: str, path: str) -> None:
    """Every other verb and path under /v1/, with the query: there is no 405
    (http_rest_api_handler.cc)."""
    answer = requests.request(method, door + path, data=b"{}", timeout=10)
    assert answer.status_code == 400
    assert answer.json() == {"error": f"Malformed request: {method} {path}"}


def test_the_main_port_tells_a_wrong_method(served: Server) -> None:
    """There, 405 with what is allowed."""
    answer = requests.put(f"{served.url}/v1/models/iris:predict", data=b"{}", timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_door_has_nothing_else(door: str) -> None:
    """No list of models, and no other protocol."""
    answer = requests.get(f"{door}/v1/models", timeout=10)
    assert (answer.status_code, answer.json()) == (400, {"error": "Missing model name in request."})
    for path in ("/health", "/v2", "/docs", "/"):
        answer = requests.get(door + path, timeout=10)
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]


def test_content_types_and_codings_do_not_matter(url: str) -> None:
    """A request's Content-Type and Accept are ignored; a gzipped body is inflated."""
    document = json.dumps({"instances": [ROW]}).encode()
    expected = _post(f"{url}/iris:predict", {"instances": [ROW]})
    for body, headers in (
        (document, {"content-type": "text/plain", "accept": "text/html"}),
        (gzip.compress(document), {"content-encoding": "gzip"}),
    ):
        answer = requests.post(f"{url}/iris:predict", data=body, headers=headers, timeout=10)
        assert answer.json() == expected


def test_nan_goes_in_and_out(url: str) -> None:
    """Bare tokens, as Python's json writes and reads them."""
    answer = requests.post(
        f"{url}/prices:predict", data=b'{"instances":[[NaN,1,2,Infinity]]}', timeout=10
    )
    ((value,),) = answer.json()["predictions"]
    assert value != value


def test_a_large_body(url: str, models: Models) -> None:
    """Rows in a body that is read in pieces get the answers that few rows get."""
    rows = models.rows.tolist()
    expected = _post(f"{url}/iris:predict", {"inputs": rows})["outputs"]
    for document in ({"inputs": rows * 400}, {"inputs": {"X": rows * 400}}):
        body = json.dumps(document).encode()
        assert len(body) > 1 << 20
        answer = requests.post(f"{url}/iris:predict", data=body, timeout=30).json()["outputs"]
        for name, values in expected.items():
            found = np.array(answer[name], np.float32).reshape(400, len(rows), -1)
            assert (found == np.array(values, np.float32).reshape(len(rows), -1)).all()
