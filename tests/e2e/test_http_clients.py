"""Clients that people have, against a running server: the same answers as ONNX Runtime's own."""

import asyncio
import json
import subprocess
from typing import Any

import httpx
import numpy as np
import pytest
import requests

import inferd
from inferd.server.embedded import Server
from tests.conftest import FEATURES, ROW, Models


def test_requests(server: Server, models: Models, answers: Any) -> None:
    """All rows by requests in one question."""
    labels, scores = answers(models.iris, {"X": models.rows}).values()
    answer = requests.post(
        f"{server.url}/predict", json={"features": models.rows.tolist()}, timeout=10
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["predictions"] == labels.tolist()
    probabilities = np.array(answer.json()["probabilities"], np.float32)
    np.testing.assert_array_equal(probabilities, scores)


def test_requests_session_keeps_its_connection(server: Server) -> None:
    """A session asks row by row."""
    with requests.Session() as session:
        for _ in range(20):
            answer = session.post(f"{server.url}/predict", json={"features": ROW}, timeout=10)
            assert answer.json()["prediction"] == 0


@pytest.mark.parametrize("model", ["prices", "species"])
def test_every_model(server: Server, models: Models, answers: Any, model: str) -> None:
    """A regression and labels that are strings, by name."""
    own = next(iter(answers(getattr(models, model), {"X": models.rows}).values()))
    document = {"features": models.rows.tolist()}
    answer = requests.post(f"{server.url}/v1/predict/{model}", json=document, timeout=10)
    expected = own.reshape(-1)
    got = np.array(answer.json()["predictions"], expected.dtype)
    np.testing.assert_array_equal(got, expected)


def test_a_row_by_names(server: Server) -> None:
    """A model with one input a column takes a row in order or by names."""
    url = f"{server.url}/v1/predict/columns"
    ordered = requests.post(url, json={"features": [["red", 2.5]]}, timeout=10).json()
    named = requests.post(url, json={"features": [{"size": 2.5, "colour": "red"}]}, timeout=10)
    assert named.json() == ordered


@pytest.mark.parametrize("model", ["iris", "species"])
def test_records_and_rows_agree(server: Server, models: Models, model: str) -> None:
    """By the features' names, in any order, bare or as the features: the answers of the rows."""
    url = f"{server.url}/v1/predict/{model}"
    rows = models.rows.tolist()
    expected = requests.post(url, json={"features": rows}, timeout=10).json()
    records = [dict(reversed(list(zip(FEATURES, row, strict=True)))) for row in rows]
    for sent in (records, {"features": records}, rows):
        assert requests.post(url, json=sent, timeout=10).json() == expected
    one = requests.post(url, json=records[0], timeout=10).json()
    assert one == requests.post(url, json={"features": rows[0]}, timeout=10).json()
    assert one["prediction"] == expected["predictions"][0]


def test_a_record_of_mixed_types(server: Server) -> None:
    """Strings and numbers side by side; what a record lacks is named."""
    url = f"{server.url}/v1/predict/columns"
    ordered = requests.post(url, json={"features": ["red", 2.5]}, timeout=10).json()
    record = {"size": 2.5, "colour": "red"}
    assert requests.post(url, json=record, timeout=10).json() == ordered
    answer = requests.post(url, json={"size": 2.5, "color": "red"}, timeout=10)
    assert answer.status_code == 400
    assert "Did you mean 'colour' by 'color'?" in answer.json()["error"]


def test_a_large_body_of_records(server: Server, models: Models) -> None:
    """Records in a body that is read in pieces get the answers that rows get."""
    rows = models.rows.tolist()
    records = [dict(zip(FEATURES, row, strict=True)) for row in rows] * 200
    expected = requests.post(f"{server.url}/predict", json={"features": rows}, timeout=10).json()
    for sent in (records, {"features": records}):
        document = json.dumps(sent).encode()
        assert len(document) > 1 << 20
        answer = requests.post(f"{server.url}/predict", data=document, timeout=30).json()
        assert answer["predictions"] == expected["predictions"] * 200
        assert answer["probabilities"] == expected["probabilities"] * 200


def test_curl(server: Server) -> None:
    """curl as in any README."""
    command = ["curl", "-sS", f"{server.url}/predict", "-d", json.dumps({"features": ROW})]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["prediction"] == 0


def test_curl_with_a_large_body(server: Server, models: Models) -> None:
    """curl asks before it sends a large body (Expect: 100-continue), and is answered at once."""
    document = json.dumps({"features": models.rows.tolist() * 500}).encode()
    assert len(document) > 1 << 20
    command = ["curl", "-sS", "-H", "Expect: 100-continue", f"{server.url}/predict", "-d", "@-"]
    done = subprocess.run(command, input=document, capture_output=True, check=True, timeout=10)
    assert len(json.loads(done.stdout)["predictions"]) == 75_000


def test_curl_http2_falls_back(server: Server) -> None:
    """curl that offers HTTP/2 by upgrade is answered over HTTP/1.1."""
    command = ["curl", "-sS", "--http2", f"{server.url}/health"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"status": "healthy"}


def test_httpx_async(server: Server, models: Models, answers: Any) -> None:
    """Many rows at once over a pool of connections."""
    own = next(iter(answers(models.iris, {"X": models.rows}).values())).tolist()

    async def ask() -> list[Any]:
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
            asked = [client.post("/predict", json={"features": r}) for r in models.rows.tolist()]
            return [answer.json()["prediction"] for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == own


def test_several_models_need_a_name(models: Models) -> None:
    """Without a default model, /predict lists the names."""
    with inferd.serve(models.iris, models.prices) as running:
        answer = requests.post(f"{running.url}/predict", json={"features": ROW}, timeout=10)
        assert answer.status_code == 400
        assert "'iris', 'prices'" in answer.json()["error"]
        assert "default-model" in answer.json()["error"]


def test_a_large_body_and_a_small_one_agree(server: Server, models: Models) -> None:
    """Rows in a body that is read in a thread get the answers that they get one by one."""
    many = models.rows.tolist() * 1000
    answer = requests.post(f"{server.url}/predict", json={"features": many}, timeout=30).json()
    small = requests.post(
        f"{server.url}/predict", json={"features": models.rows.tolist()}, timeout=10
    ).json()
    assert answer["predictions"] == small["predictions"] * 1000
    assert answer["probabilities"] == small["probabilities"] * 1000


def test_a_large_tensor_and_a_small_one_agree(server: Server, models: Models) -> None:
    """The same in the Open Inference Protocol."""

    def infer(rows: Any) -> Any:
        data = rows.ravel().tolist()
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP32", "data": data}
        url = f"{server.url}/v2/models/iris/infer"
        answer = requests.post(url, json={"inputs": [tensor]}, timeout=30)
        return {o["name"]: np.array(o["data"]) for o in answer.json()["outputs"]}

    small, large = infer(models.rows), infer(np.tile(models.rows, (1000, 1)))
    assert small.keys() == large.keys()
    for name in small:
        np.testing.assert_array_equal(large[name], np.tile(small[name], 1000))
