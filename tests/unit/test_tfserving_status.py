"""protocols/tfserving: status, metadata, places, and the words for errors."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from inferd.calls import ModelStates, VersionState, VersionStates
from inferd.errors import (
    Code,
    InferdError,
    InvalidInput,
    MethodNotAllowed,
    ModelNotFound,
    NotReady,
    QueueFull,
    RouteNotFound,
    UnknownLabel,
)
from inferd.models.state import State
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.tfserving import plugin
from inferd.protocols.tfserving.status import STATES
from inferd.protocols.tfserving.texts import ServableNotFound, find, tf_text
from tests.unit.asking import Asker

Make = Callable[..., Pipeline]
DOOR = plugin.at("tfserving")
STATUS = ("GET", "/v1/models/{model}")
OF_VERSION = ("GET", "/v1/models/{model}/versions/{version}")
OF_LABEL = ("GET", "/v1/models/{model}/labels/{label}")
METADATA = ("GET", "/v1/models/{model}/metadata")
ONE = {
    "version": "1",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}


class TestStatus:
    """``GET /v1/models/{model}``."""

    def test_a_model_that_serves(self, pipeline: Make) -> None:
        """One entry a version, its number a string, with what protobuf writes of defaults."""
        asker = Asker(DOOR, pipeline("iris"))
        assert asker.ask(STATUS, model="iris") == {"model_version_status": [ONE]}
        assert asker.ask(OF_VERSION, model="iris", version="1") == {"model_version_status": [ONE]}

    def test_a_label_changes_nothing(self, pipeline: Make) -> None:
        """All versions are told, even for a label that is not there (get_model_status_impl.cc)."""
        asker = Asker(DOOR, pipeline("iris"))
        assert asker.ask(OF_LABEL, model="iris", label="x") == {"model_version_status": [ONE]}

    def test_the_main_port_says_more(self, pipeline: Make) -> None:
        """KServe's clients read name and ready at the same URL."""
        asker = Asker(plugin, pipeline("iris"))
        assert asker.ask(STATUS, model="iris") == {
            "model_version_status": [ONE],
            "name": "iris",
            "ready": True,
        }

    def test_every_state_has_a_name(self) -> None:
        """In TensorFlow Serving's words, newest first; why one failed is for the log."""
        assert set(STATES) == {state.value for state in State}
        states = VersionStates(
            (
                VersionState("m", "3", "loading", ""),
                VersionState("m", "2", "failed", "/srv/m is damaged"),
                VersionState("m", "1", "gone", ""),
                VersionState("m", "0", "odd", ""),
            )
        )
        operation = Asker(plugin, None).operation(*STATUS)  # type: ignore[arg-type]  # not asked
        told = operation.encode(ModelStates(model="m"), states).body
        assert told == (
            b'{"model_version_status":['
            b'{"version":"3","state":"LOADING","status":{"error_code":"OK","error_message":""}},'
            b'{"version":"2","state":"END","status":{"error_code":"INTERNAL",'
            b'"error_message":"the version could not be loaded; the server\'s log says why"}},'
            b'{"version":"1","state":"END","status":{"error_code":"OK","error_message":""}},'
            b'{"version":"0","state":"UNKNOWN","status":{"error_code":"OK","error_message":""}}'
            b'],"name":"m","ready":false}'
        )

    def test_what_is_unknown(self, pipeline: Make) -> None:
        """A model and a version that were never there have texts of their own."""
        asker = Asker(plugin, pipeline("iris"))
        assert asker.refusal(STATUS, b"", model="foo") == "Could not find any versions of model foo"
        assert asker.refusal(OF_VERSION, b"", model="iris", version="99") == (
            "Could not find version 99 of model iris"
        )

    def test_without_a_model(self, pipeline: Make) -> None:
        """The door of TensorFlow Serving has no list of models."""
        asker = Asker(DOOR, pipeline("iris"))
        assert asker.refusal(("GET", "/v1/models"), b"") == "Missing model name in request."


class TestMetadata:
    """``GET /v1/models/{model}/metadata``."""

    def test_the_golden_shape(self, pipeline: Make) -> None:
        """As half_plus_two_model_metadata.json has it: snake case, numbers of 64 bits as strings,
        signature_def twice."""
        asker = Asker(DOOR, pipeline("wide"))
        tensor = {
            "dtype": "DT_FLOAT",
            "tensor_shape": {
                "dim": [{"size": "-1", "name": ""}, {"size": "-1", "name": ""}],
                "unknown_rank": False,
            },
        }
        assert asker.ask(METADATA, model="wide") == {
            "model_spec": {"name": "wide", "signature_name": "", "version": "1"},
            "metadata": {
                "signature_def": {
                    "signature_def": {
                        "serving_default": {
                            "inputs": {"X": {**tensor, "name": "X:0"}},
                            "outputs": {"Y": {**tensor, "name": "Y:0"}},
                            "method_name": "tensorflow/serving/predict",
                            "defaults": {},
                        }
                    }
                }
            },
        }

    @pytest.mark.parametrize(
        ("model", "name", "inputs", "outputs"),
        [
            ("iris", "serving_default", {"X": "DT_FLOAT"}, {"label": "DT_INT64"}),
            ("iris", "classify", {"inputs": "DT_STRING"}, {"scores": "DT_FLOAT"}),
            ("columns", "regress", {"inputs": "DT_STRING"}, {"outputs": "DT_FLOAT"}),
            ("columns", "serving_default", {"name": "DT_STRING"}, {"same": "DT_STRING"}),
        ],
    )
    def test_the_signatures_of_kinds(
        self, pipeline: Make, model: str, name: str, inputs: Any, outputs: Any
    ) -> None:
        """Everything predicts; a classifier classifies and a regressor regresses, by Examples."""
        answer = Asker(plugin, pipeline(model)).ask(METADATA, model=model)
        signature = answer["metadata"]["signature_def"]["signature_def"][name]
        for side, expected in (("inputs", inputs), ("outputs", outputs)):
            found = {alias: each["dtype"] for alias, each in signature[side].items()}
            assert found | expected == found
        verb = {"serving_default": "predict"}.get(name, name)
        assert signature["method_name"] == f"tensorflow/serving/{verb}"

    def test_what_is_unknown(self, pipeline: Make) -> None:
        """It is looked up as what is run."""
        asker = Asker(plugin, pipeline("iris"))
        assert asker.refusal(METADATA, b"", model="foo") == (
            "Servable not found for request: Latest(foo)"
        )


class TestPlaces:
    """A version or a label in the URL, of every verb."""

    BODY = b'{"instances":[[9,0,0,1]]}'
    BY_VERSION = ("POST", "/v1/models/{model}/versions/{version}:predict")
    BY_LABEL = ("POST", "/v1/models/{model}/labels/{label}:predict")

    def test_they_are_found(self, pipeline: Make) -> None:
        """The version itself, and what a label stands for."""
        served = pipeline("iris")
        served.manager.label("iris", "stable", "1")
        asker = Asker(plugin, served)
        for route, place in ((self.BY_VERSION, {"version": "1"}), (self.BY_LABEL, LABEL)):
            answer = asker.ask(route, self.BODY, {}, model="iris", **place)
            assert answer["predictions"][0]["label"] == 0

    @pytest.mark.parametrize(
        ("place", "code", "text"),
        [
            (
                {"model": "iris", "version": "99"},
                Code.NOT_FOUND,
                "Servable not found for request: Specific(iris, 99)",
            ),
            (
                {"model": "iris", "label": "x"},
                Code.INVALID_ARGUMENT,
                "Unrecognized servable version label: x",
            ),
            (
                {"model": "nobody", "label": "x"},
                Code.INVALID_ARGUMENT,
                "Unrecognized servable version label: x",
            ),
            (
                {"model": "iris", "version": "18446744073709551615"},
                Code.INVALID_ARGUMENT,
                "Failed to convert version: 18446744073709551615 to numeric.",
            ),
            (
                {"model": "a b/:", "version": "v-1"},
                Code.INVALID_ARGUMENT,
                "Malformed request: POST /v1/models/a%20b%2F%3A/versions/v-1:predict",
            ),
        ],
    )
    def test_what_is_unknown(
        self, pipeline: Make, place: Mapping[str, str], code: Code, text: str
    ) -> None:
        """Each has its own text and kind, at the door of TensorFlow Serving."""
        asker = Asker(DOOR, pipeline("iris"))
        route = self.BY_LABEL if "label" in place else self.BY_VERSION
        assert asker.refusal(route, self.BODY, **place) == text
        with pytest.raises(InferdError) as caught:
            asker.ask(route, self.BODY, {}, **place)
        assert DOOR.code(caught.value, None) is code

    def test_the_main_port_knows_other_versions(self, pipeline: Make) -> None:
        """A version that is no number is looked for as any other."""
        asker = Asker(plugin, pipeline("iris"))
        assert asker.refusal(self.BY_VERSION, self.BODY, model="iris", version="v-1") == (
            "Servable not found for request: Specific(iris, v-1)"
        )


LABEL = {"label": "stable"}


class TestErrors:
    """One table for every transport, and what the door says otherwise."""

    def test_the_words(self) -> None:
        """Ours become TensorFlow Serving's where it has any."""
        assert tf_text(ModelNotFound("m", "2", ())) == "Could not find version 2 of model m"
        assert tf_text(ServableNotFound("m", None, ())) == (
            "Servable not found for request: Latest(m)"
        )
        assert tf_text(UnknownLabel("m", "x", ())) == "Unrecognized servable version label: x"
        assert tf_text(QueueFull("too many wait")).startswith("The batch scheduling queue to which")
        assert tf_text(NotReady("it loads")) == "it loads"

    def test_what_has_no_route(self) -> None:
        """Under /v1/ it is malformed at the door; elsewhere and on the main port it is not."""
        unknown, wrong = RouteNotFound("PUT", "/v1/x?y"), MethodNotAllowed("PUT", ["GET"], "/v1/x")
        for error, target in ((unknown, "/v1/x?y"), (wrong, "/v1/x")):
            told = DOOR.encode_error(error, None).body
            assert told == b'{"error":"Malformed request: PUT %b"}' % target.encode()
            assert DOOR.code(error, None) is Code.INVALID_ARGUMENT
            assert plugin.code(error, None) is error.code
            assert b"Malformed" not in plugin.encode_error(error, None).body
        elsewhere = RouteNotFound("GET", "/v2")
        assert DOOR.code(elsewhere, None) is Code.NOT_FOUND
        assert b"Malformed" not in DOOR.encode_error(elsewhere, None).body

    def test_a_full_queue(self) -> None:
        """Is 'unavailable' at the door, as its batching says."""
        full = QueueFull("too many wait")
        assert DOOR.code(full, None) is Code.UNAVAILABLE
        assert plugin.code(full, None) is Code.RESOURCE_EXHAUSTED

    def test_what_is_not_ready_stays_so(self) -> None:
        """A model that is there and loads is no unknown one."""

        def lookup(model: str | None, version: str | None = None, label: str | None = None) -> Any:
            raise NotReady("it loads")

        with pytest.raises(NotReady):
            find(lookup, "m", None, "x")

    def test_a_label_of_an_unknown_model(self) -> None:
        """Is an unknown label, whatever the lookup says first (server_core.cc)."""

        def lookup(model: str | None, version: str | None = None, label: str | None = None) -> Any:
            raise ModelNotFound(str(model), None, ())

        with pytest.raises(UnknownLabel):
            find(lookup, "m", None, "x")

    def test_another_door_is_not_its_own(self) -> None:
        """It stands in for one server alone."""
        assert plugin.at("other") is plugin
        assert DOOR.at("tfserving") is DOOR


def test_every_route_has_a_page(pipeline: Make) -> None:
    """Status and metadata of a model are described, with their real names."""
    handle = pipeline("iris").manager.lookup("iris")
    for form in (plugin, DOOR):
        for route in (STATUS, METADATA):
            page = Asker(form, None).operation(*route).document(handle)  # type: ignore[arg-type]  # not asked
            assert page is not None
            assert page.response["required"]
    assert Asker(plugin, None).operation(*STATUS).document(None) is None  # type: ignore[arg-type]  # as above
    assert Asker(plugin, None).operation(*METADATA).document(None) is None  # type: ignore[arg-type]  # as above


def test_no_version_is_asked_for_where_no_model_is(pipeline: Make) -> None:
    """What the door refuses for want of a model asks nobody."""
    operation = Asker(DOOR, pipeline("iris")).operation("GET", "/v1/models")
    with pytest.raises(InvalidInput):
        operation.decode(Message(b"", {}), lambda *_: pytest.fail("it was looked for"))
    assert operation.encode(ModelStates(), VersionStates(())).body == b"{}"
