"""protocols/oip: the repository's index, and what is refused: loading, settings, shared memory."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inferd.artifact import Artifact
from inferd.calls import ModelStates, VersionState, VersionStates
from inferd.errors import Code, InferdError, LoadError, MalformedRequest, NotFound
from inferd.models.manager import Manager
from inferd.models.state import State
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import plugin
from inferd.protocols.oip.repository import STATES, Index, Listed
from inferd.spec import Batching, ModelSpec
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
INDEX, NAMED_INDEX = ("POST", "/v2/repository/index"), ("POST", "/v2/repository/{repository}/index")
READY = [{"name": "iris", "version": "1", "state": "READY"}]


@pytest.fixture
def main(pipeline: Make) -> Asker:
    """The main port."""
    return Asker(plugin, pipeline("iris"))


@pytest.fixture
def door(pipeline: Make) -> Asker:
    """Triton's own port."""
    return Asker(plugin.at("triton"), pipeline("iris"))


def _refused(asked: Asker, route: tuple[str, str], **path: str) -> tuple[Code, str]:
    with pytest.raises(InferdError) as caught:
        asked.payload(route, b"{}", {}, **path)
    message = Message(b"{}", path)
    told = json.loads(asked.dialect.encode_error(caught.value, message).body)["error"]
    return asked.dialect.code(caught.value, message), told


@pytest.mark.parametrize("sent", [b"", b"{}", b'{"ready":false}', b'{"ready":true}'])
def test_the_index_names_every_version_and_its_state(main: Asker, sent: bytes) -> None:
    """The body may be left out; the repository's name is ignored."""
    assert main.ask(INDEX, sent) == READY
    assert main.ask(NAMED_INDEX, sent, repository="whatever") == READY


def test_only_what_is_ready_where_that_is_asked() -> None:
    """``ready`` leaves the rest out."""
    states = ("loading", "ready", "draining", "gone", "failed")
    versions = tuple(VersionState("m", str(at), state) for at, state in enumerate(states))
    index, answer = Index(), VersionStates(versions)
    every = json.loads(index.encode(Listed(), answer).body)
    assert [each["state"] for each in every] == [
        "LOADING",
        "READY",
        "UNLOADING",
        "UNAVAILABLE",
        "UNAVAILABLE",
    ]
    assert every[3]["reason"] == "unloaded"
    assert every[:2] == [
        {"name": "m", "version": "0", "state": "LOADING"},
        {"name": "m", "version": "1", "state": "READY"},
    ]
    assert json.loads(index.encode(Listed(ready=True), answer).body) == every[1:2]


def test_every_state_of_a_version_has_tritons_word() -> None:
    """None is forgotten."""
    assert set(STATES) == {state.value for state in State}


def test_why_a_version_failed_is_the_operators_to_read(main: Asker) -> None:
    """A reason may name a path: the index and readiness point to the log."""
    manager: Manager = main.served.manager
    artifact = Artifact(Path("/srv/secret/model.onnx"))
    version = manager.begin(ModelSpec("bad", "1", artifact, Batching()))
    manager.give_up(version, LoadError("/srv/secret/model.onnx is damaged"))
    told = json.dumps(main.ask(INDEX))
    assert ("secret" in told, "the server's log says why" in told) == (False, True)
    assert manager.states("bad", None).versions[0].reason == "/srv/secret/model.onnx is damaged"
    ready = main.refusal(("GET", "/v2/health/ready"), b"")
    assert ready == "not ready: model 'bad' version '1' is failed: the server's log says why"


@pytest.mark.parametrize("sent", [b"[]", b"{", b'{"ready":1}'])
def test_a_wish_that_is_none_is_malformed(main: Asker, sent: bytes) -> None:
    """What is not understood is not guessed."""
    with pytest.raises(MalformedRequest):
        main.ask(INDEX, sent)


@pytest.mark.parametrize("what", ["load", "unload"])
def test_loading_is_refused_as_where_model_control_is_off(
    main: Asker, door: Asker, what: str
) -> None:
    """Triton's modes none and poll answer so; with a repository's name it is not implemented."""
    for asked in (main, door):
        code, text = _refused(asked, ("POST", "/v2/repository/models/{model}/" + what), model="m")
        assert code is Code.UNAVAILABLE
        assert text == "explicit model load / unload is not allowed if polling is enabled"
        route = ("POST", "/v2/repository/{repository}/models/{model}/" + what)
        code, text = _refused(asked, route, repository="r", model="m")
        assert code is Code.UNIMPLEMENTED
        assert text == "'repository_name' specification is not supported"


def test_nothing_is_traced_and_that_is_not_changed_from_outside(main: Asker, door: Asker) -> None:
    """The settings are strings, and the level a list; a model that is not there has none, which
    Triton calls a wrong argument."""
    of_model = "/v2/models/{model}/trace/setting"
    told = main.ask(("GET", "/v2/trace/setting"))
    assert told == {
        "trace_level": ["OFF"],
        "trace_rate": "1000",
        "trace_count": "-1",
        "log_frequency": "0",
        "trace_file": "",
        "trace_mode": "triton",
    }
    assert main.ask(("GET", of_model), model="iris") == told
    assert _refused(main, ("GET", of_model), model="nope")[0] is Code.NOT_FOUND
    text = "Request for unknown model : nope"
    assert _refused(door, ("GET", of_model), model="nope") == (Code.INVALID_ARGUMENT, text)
    assert _refused(main, ("POST", "/v2/trace/setting"))[0] is Code.INVALID_ARGUMENT


def test_the_log_tells_its_levels_and_is_not_changed_from_outside(main: Asker) -> None:
    """As in Triton, without the name of a file."""
    told = main.ask(("GET", "/v2/logging"))
    assert list(told) == [
        "log_file",
        "log_info",
        "log_warning",
        "log_error",
        "log_verbose_level",
        "log_format",
    ]
    assert (told["log_file"], told["log_error"], told["log_format"]) == ("", True, "default")
    code, text = _refused(main, ("POST", "/v2/logging"))
    assert code is Code.INVALID_ARGUMENT
    assert "--log-level" in text


@pytest.mark.parametrize("kind", ["system", "cuda"])
def test_shared_memory_of_clients_is_not_offered(main: Asker, door: Asker, kind: str) -> None:
    """As in a Triton that was not told to allow it: nothing is registered, and forgetting nothing
    is no error."""
    base = f"/v2/{kind}sharedmemory"
    region: dict[str, Any] = {"region": "x"}
    assert main.ask(("GET", f"{base}/status")) == []
    assert _refused(main, ("GET", base + "/region/{region}/status"), **region) == (
        Code.NOT_FOUND,
        f"Unable to find {kind} shared memory region: 'x'",
    )
    code, _ = _refused(main, ("POST", base + "/region/{region}/register"), **region)
    assert code is Code.UNIMPLEMENTED
    for tail, path in (("/unregister", {}), ("/region/{region}/unregister", region)):
        assert main.payload(("POST", base + tail), b"", {}, **path).body == b"{}"
        assert door.payload(("POST", base + tail), b"", {}, **path).body == b""


def test_a_region_that_is_not_there_is_named_in_short(main: Asker) -> None:
    """A caller's own words are not sent back by the megabyte."""
    with pytest.raises(NotFound) as caught:
        main.ask(("GET", "/v2/systemsharedmemory/region/{region}/status"), region="x" * 10_000)
    assert len(str(caught.value)) < 200


def test_the_index_is_a_question_about_states(main: Asker) -> None:
    """Whoever answers states answers it."""
    call = main.decode(INDEX[1], body(ready=True))
    assert isinstance(call, Listed)
    assert isinstance(call, ModelStates)
    assert (call.model, call.version, call.ready) == (None, None, True)
