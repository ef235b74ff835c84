"""protocols/oip: health, as clients of KServe and of Triton ask for it."""

import json
from collections.abc import Callable

import pytest

from inferd.calls import Readiness, ServerReady
from inferd.errors import Code, InferdError, MethodNotAllowed, NotReady, RouteNotFound
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import plugin
from tests.unit.asking import Asker

Make = Callable[..., Pipeline]
LIVE, READY = ("GET", "/v2/health/live"), ("GET", "/v2/health/ready")
MODEL_READY = ("GET", "/v2/models/{model}/ready")
VERSION_READY = ("GET", "/v2/models/{model}/versions/{version}/ready")


@pytest.fixture
def main(pipeline: Make) -> Asker:
    """The main port."""
    return Asker(plugin, pipeline("iris"))


@pytest.fixture
def door(pipeline: Make) -> Asker:
    """Triton's own port."""
    return Asker(plugin.at("triton"), pipeline("iris"))


def _refused(asked: Asker, route: tuple[str, str], **path: str) -> tuple[Code, bytes]:
    """The code and the body of the error that a question is answered with."""
    with pytest.raises(InferdError) as caught:
        asked.payload(route, b"", {}, **path)
    message = Message(b"", path)
    dialect = asked.dialect
    return dialect.code(caught.value, message), dialect.encode_error(caught.value, message).body


def test_health_has_a_body_that_kserves_client_reads(main: Asker) -> None:
    """KServe's client reads ``live`` and ``ready`` from the JSON; Triton's looks at the status
    alone, so that one answer satisfies both."""
    assert main.ask(LIVE) == {"live": True}
    assert main.ask(READY) == {"ready": True}
    assert main.ask(MODEL_READY, model="iris") == {"name": "iris", "ready": True}


def test_health_is_an_empty_body_at_tritons_port(door: Asker) -> None:
    """Triton answers 200 and nothing."""
    path = {"model": "iris"}
    questions: list[tuple[tuple[str, str], dict[str, str]]] = [
        (LIVE, {}),
        (READY, {}),
        (MODEL_READY, path),
        (VERSION_READY, {**path, "version": "1"}),
    ]
    for route, variables in questions:
        assert door.payload(route, b"", {}, **variables).body == b""


def test_a_server_that_is_not_ready_is_400_without_a_body_at_tritons_port(door: Asker) -> None:
    """Not ready is 400 with an empty body, in Triton; here, 503 and why."""
    door.served.manager.stopping = True
    assert _refused(door, READY) == (Code.INVALID_ARGUMENT, b"")
    with pytest.raises(NotReady, match="not ready: a; b"):
        Asker(plugin, door.served).operation(*READY).encode(
            ServerReady(), Readiness(False, ("a", "b"))
        )


@pytest.mark.parametrize(
    ("route", "path"),
    [(MODEL_READY, {"model": "X"}), (VERSION_READY, {"model": "iris", "version": "9"})],
)
def test_an_unknown_model_is_not_ready_and_not_unknown_at_tritons_port(
    door: Asker, main: Asker, route: tuple[str, str], path: dict[str, str]
) -> None:
    """Triton says 400 and "Model version not ready" of what it has never seen; we, that it is not
    there."""
    told = (Code.INVALID_ARGUMENT, b'{"error":"Model version not ready"}')
    assert _refused(door, route, **path) == told
    code, body = _refused(main, route, **path)
    assert code is Code.NOT_FOUND
    assert "is not found" in json.loads(body)["error"]


def test_a_model_that_is_unloaded_is_not_ready_at_tritons_port(door: Asker) -> None:
    """Known is not ready."""
    door.served.manager.close()
    assert _refused(door, MODEL_READY, model="iris")[0] is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("version", ["abc", "1.0", "-1", "\u0661"])
def test_a_version_that_is_no_number_is_no_url_at_tritons_port(door: Asker, version: str) -> None:
    """A version in a path is decimal digits, or the path matches nothing: 404."""
    code, body = _refused(door, VERSION_READY, model="iris", version=version)
    assert (code, body) == (Code.NOT_FOUND, b'{"error":"Not Found"}')


def test_what_is_not_there_is_told_as_triton_does_at_its_port() -> None:
    """A wrong URL is "Not Found", a wrong method "Method Not Allowed"; the main port says more."""
    errors: list[tuple[InferdError, bytes]] = [
        (RouteNotFound("GET", "/v2/models"), b"Not Found"),
        (MethodNotAllowed("GET", ["POST"]), b"Method Not Allowed"),
    ]
    for error, text in errors:
        told = plugin.at("triton").encode_error(error, None).body
        assert told == b'{"error":"' + text + b'"}'
        assert plugin.encode_error(error, None).body != told


def test_the_dialect_is_itself_at_kserves_port() -> None:
    """Only Triton has words of its own."""
    assert plugin.at("kserve") is plugin
