"""``inferd.asgi()`` in somebody else's app, and alone."""

import contextlib
import gzip
import json
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

import inferd
from inferd.server.ports import bind, url_of
from tests.conftest import ROW, Models

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones ask for another package than httpx beneath
    from starlette.testclient import TestClient

INPUT = {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW}


@contextlib.contextmanager
def serving(app: Any, **settings: Any) -> Iterator[str]:
    """*app* under uvicorn; its URL."""
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", **settings))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    url = url_of(listener)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def own_app(models: Models) -> Iterator[FastAPI]:
    """A user's app with a page of its own, a lifespan, and the models under /models."""
    mounted = inferd.asgi(models.iris, models.prices, default_model="iris")

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.began = True
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/own")
    def own() -> dict[str, bool]:
        return {"began": app.state.began}

    app.mount("/models", mounted)
    yield app
    mounted.close()


@pytest.fixture(scope="module", params=["uvicorn", "testclient"])
def client(own_app: FastAPI, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the user's app."""
    if request.param == "testclient":
        with TestClient(own_app) as test_client:
            yield test_client
    else:
        with serving(own_app) as url, httpx.Client(base_url=url, timeout=10) as real:
            yield real


def test_both_apps_answer(client: httpx.Client) -> None:
    """The user's own pages and the models stand side by side."""
    assert client.get("/own").json() == {"began": True}
    assert client.get("/models/health").json() == {"status": "healthy"}
    assert client.get("/health").status_code == 404


def test_plain(client: httpx.Client) -> None:
    """The plain protocol under the mount's path."""
    for path in ("/models/predict", "/models/v1/predict", "/models/v1/predict/iris"):
        answer = client.post(path, json={"features": ROW})
        assert (answer.status_code, answer.json()["prediction"]) == (200, 0)


def test_oip(client: httpx.Client) -> None:
    """The Open Inference Protocol under the mount's path."""
    assert client.get("/models/v2/health/ready").json() == {"ready": True}
    assert client.get("/models/v2/models/iris").json()["platform"] == "onnx"
    answer = client.post("/models/v2/models/iris/infer", json={"inputs": [INPUT]})
    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["data"] == [0]


def test_other_dialects(client: httpx.Client) -> None:
    """URLs with a colon in them, packed bodies and binary tensors are those of the server."""
    rows = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
    answer = client.post("/models/v1/models/iris:predict", json=rows)
    assert len(answer.json()["predictions"]) == 1
    packed = gzip.compress(json.dumps({"inputs": rows["instances"]}).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = client.post("/models/invocations", content=packed, headers=headers)
    assert answer.json() == {"predictions": [0]}
    wanted = {"inputs": [INPUT], "parameters": {"binary_data_output": True}}
    answer = client.post("/models/v2/models/iris/infer", json=wanted)
    length = int(answer.headers["inference-header-content-length"])
    told = json.loads(answer.content[:length])["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in told]
    assert len(answer.content) == length + sum(sizes)


def test_errors(client: httpx.Client) -> None:
    """Errors are the dialects' own."""
    wrong = client.post("/models/predict", json={"features": [1]})
    assert wrong.status_code == 400
    assert "expected 4" in wrong.json()["error"]
    assert client.post("/models/predict", content=b"{").status_code == 400
    assert client.get("/models/v2/models/nobody").status_code == 404
    assert client.get("/models/nothing").status_code == 404


def test_a_wrong_method_is_told_which_are_right(client: httpx.Client) -> None:
    """405 comes with Allow, as without the mount (RFC 9110, section 15.5.6)."""
    answer = client.get("/models/predict")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_docs_under_the_path(client: httpx.Client) -> None:
    """The pages know where they are mounted: the schema's server, the page's assets."""
    page = client.get("/models/docs")
    assert page.status_code == 200
    assert "/models/openapi.json" in page.text
    schema = client.get("/models/openapi.json").json()
    assert schema["servers"] == [{"url": "/models"}]
    assert client.get("/models/docs/swagger-ui.css").status_code == 200


def test_many_at_once(client: httpx.Client) -> None:
    """Requests from several threads get their own answers."""
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]] * 20
    found: dict[int, int] = {}

    def ask(at: int) -> None:
        answer = client.post("/models/predict", json={"features": rows[at]})
        found[at] = answer.json()["prediction"]

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(len(rows))] == [0, 2] * 20


def test_alone_with_its_lifespan(models: Models) -> None:
    """Run alone it lets go of everything when the ASGI server ends."""
    mounted = inferd.asgi(models.iris)
    with TestClient(mounted) as client:
        assert client.post("/predict", json={"features": ROW}).json()["prediction"] == 0
        assert client.get("/docs").status_code == 200


def test_root_path(models: Models) -> None:
    """Behind a proxy that takes a prefix away, the pages still name URLs with it."""
    mounted = inferd.asgi(models.iris)
    with serving(mounted, root_path="/prefix") as url:
        assert httpx.post(f"{url}/predict", json={"features": ROW}).status_code == 200
        assert httpx.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/prefix"}]


def test_a_body_too_large(models: Models) -> None:
    """The limit on bodies holds in a mount, too."""
    mounted = inferd.asgi(models.iris, max_body_bytes=100)
    with TestClient(mounted) as client:
        assert client.post("/predict", content=b" " * 101).status_code == 413


def test_without_a_context(models: Models) -> None:
    """A TestClient without lifespan, which makes a loop for each request, works as well."""
    mounted = inferd.asgi(models.iris)
    client = TestClient(mounted)
    for _ in range(3):
        assert client.post("/predict", json={"features": ROW}).json()["prediction"] == 0
    mounted.close()


def test_settings_and_paths_are_checked_at_once(models: Models) -> None:
    """What is wrong with paths or settings is an error where the app is made."""
    with pytest.raises(inferd.errors.LoadError, match="no model"):
        inferd.asgi("/nowhere/model.onnx")
    with pytest.raises(inferd.errors.ConfigError, match="max_body_byte"):
        inferd.asgi(models.iris, max_body_byte=1)
