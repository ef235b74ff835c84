"""protocols/oip: Triton's generate extension, without a socket."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inferd.calls import InferRequest, InferResponse
from inferd.errors import (
    Code,
    InferdError,
    InvalidInput,
    MalformedRequest,
    MissingInput,
    ModelNotFound,
    RunFailed,
    WrongCount,
)
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import generate, plugin
from inferd.protocols.oip.generate import Generate, GenerateStream, deduced
from inferd.signature import Signature, TensorSpec
from inferd.tensors import MAX_NESTING
from inferd.wire import json_large
from tests.unit.asking import Asker, body
from tests.unit.toys import StreamingRuntime, ToyRuntime, version_of

Make = Callable[..., Pipeline]
GENERATE = ("POST", "/v2/models/{model}/generate")
VERSIONED = ("POST", "/v2/models/{model}/versions/{version}/generate")
STREAM = ("POST", "/v2/models/{model}/generate_stream")
ROW = [1.0, 2.0, 3.0, 4.0]


def _oip(pipeline: Make, *names: str) -> Asker:
    return Asker(plugin, pipeline(*names))


def _told(asked: Asker, sent: bytes, **path: str) -> tuple[Code, str]:
    """The code and the text of the error that a request is answered with."""
    with pytest.raises(InferdError) as caught:
        asked.payload(GENERATE, sent, {}, **path)
    message = Message(sent, path)
    text = json.loads(asked.dialect.encode_error(caught.value, message).body)["error"]
    return asked.dialect.code(caught.value, message), text


def test_fields_are_inputs_and_the_answer_has_outputs_as_fields(pipeline: Make) -> None:
    """Flat lists both ways, with the model's name and version, and the id where there was one."""
    oip = _oip(pipeline, "simple")
    sent = body(INPUT0=[1, 2, 3, 4], INPUT1=[1, 1, 1, 1], id="42")
    assert list(oip.ask(GENERATE, sent, model="simple").items()) == [
        ("OUTPUT0", [2, 3, 4, 5]),
        ("OUTPUT1", [0, 1, 2, 3]),
        ("id", "42"),
        ("model_name", "simple"),
        ("model_version", "1"),
    ]
    without = body(INPUT0=[1, 2, 3, 4], INPUT1=[1, 1, 1, 1])
    answer = oip.ask(VERSIONED, without, model="simple", version="1")
    assert list(answer) == ["OUTPUT0", "OUTPUT1", "model_name", "model_version"]


def test_one_element_is_a_scalar_both_ways(pipeline: Make) -> None:
    """A value stands for a list of one, and an output of one element is told as that."""
    oip = _oip(pipeline, "columns", "scalar")
    for sent in (body(age=41.5, name="Ada"), body(age=[41.5], name=[["Ada"]])):
        answer = oip.ask(GENERATE, sent, model="columns")
        assert (answer["older"], answer["same"]) == (-41.5, "Ada")
    assert oip.ask(GENERATE, body(X=2.5), model="scalar")["Y"] == 2.5


def test_parameters_may_stand_beside_the_inputs_or_in_an_object(pipeline: Make) -> None:
    """Every other field is a parameter, and so is one of ``parameters``, unless it is an input."""
    oip = _oip(pipeline, "iris")
    sent = body(temperature=0.5, parameters={"X": ROW, "stop": "end", "n": 3})
    call = oip.decode(GENERATE[1], sent, model="iris")
    assert isinstance(call, InferRequest)
    assert call.parameters == {"temperature": 0.5, "stop": "end", "n": 3}
    assert call.inputs["X"].tolist() == [ROW]
    assert call.outputs == ("label", "scores")


def test_priority_and_timeout_are_for_the_queue(pipeline: Make) -> None:
    """They mean what they mean in other requests."""
    served = pipeline("iris")
    message = Message(body(X=ROW, timeout=500_000, priority=2), {"model": "iris"})
    asked = Generate().decode(message, served.manager.lookup)
    assert isinstance(asked, InferRequest)
    assert (asked.priority, asked.timeout_us) == (2, 500_000)


@pytest.mark.parametrize(
    ("shape", "count", "batched", "got"),
    [
        ((-1, 4), 4, True, (1, 4)),
        ((-1, -1), 6, True, (1, 6)),
        ((-1, -1, 2, -1), 6, True, (1, 1, 2, 3)),
        ((-1, -1, 2), 6, True, (1, 3, 2)),
        ((-1,), 1, True, (1,)),
        ((-1,), 7, False, (7,)),
        ((2, -1), 0, False, (2, 0)),
        ((), 1, False, ()),
        ((0, -1), 0, False, (0, 1)),
    ],
)
def test_the_shape_is_one_row_and_the_innermost_free_dimension_has_the_rest(
    shape: tuple[int, ...], count: int, batched: bool, got: tuple[int, ...]
) -> None:
    """Fixed dimensions divide the number of elements, other free ones are 1, and so is the
    batch's."""
    assert deduced(TensorSpec("X", "FP32", shape), count, batched) == got


@pytest.mark.parametrize(
    ("shape", "count", "batched", "text"),
    [
        ((-1, 4), 8, True, "got 8, expected 4"),
        ((-1,), 2, True, "got 2, expected 1"),
        ((2, 3), 5, False, "got 5, expected 6"),
        ((-1, 2, -1), 3, True, "got 3, expected a multiple of 2"),
        ((0, -1), 3, False, "got 3, expected 0"),
    ],
)
def test_elements_that_fill_no_row_are_refused(
    shape: tuple[int, ...], count: int, batched: bool, text: str
) -> None:
    """What does not come out even is the caller's mistake."""
    with pytest.raises(InvalidInput, match=text):
        deduced(TensorSpec("X", "FP32", shape), count, batched)


def test_an_ordinary_error_comes_before_the_model_is_asked(pipeline: Make) -> None:
    """Unknown models and missing inputs are told as for an inference."""
    oip = _oip(pipeline, "simple")
    code, text = _told(oip, body(INPUT0=[1] * 4), model="X")
    assert (code, text) == (Code.NOT_FOUND, "Request for unknown model: 'X' is not found")
    code, text = _told(oip, body(INPUT0=[1] * 4), model="simple")
    assert code is Code.INVALID_ARGUMENT
    assert text.startswith("expected 2 inputs but got 1 inputs for model 'simple'.")
    with pytest.raises(WrongCount):
        oip.ask(GENERATE, body(INPUT0=[1] * 4, INPUT1=[1]), model="simple")
    with pytest.raises(MissingInput):
        oip.ask(GENERATE, b"{}", model="simple")
    with pytest.raises(ModelNotFound):
        oip.ask(VERSIONED, b"{}", model="simple", version="2")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b'{"X":',
        body(X=["a"] * 4),
        body(X="a"),
        body(X=None),
        body(X={"a": 1}),
        body(X=[[1.0, 2.0], 3.0, 4.0]),
        body(X=[True] * 4),
        body(X=ROW, id=7),
        body(X=ROW, parameters=[1]),
        body(X=ROW, priority=-1),
    ],
)
def test_what_has_the_wrong_type_is_malformed(pipeline: Make, sent: bytes) -> None:
    """Triton's JSON library reports it as the server's fault, 500; here, it is 400."""
    served = pipeline("iris")
    assert _told(Asker(plugin, served), sent, model="iris")[0] is Code.INVALID_ARGUMENT
    door = Asker(plugin.at("triton"), served)
    assert _told(door, sent, model="iris")[0] is Code.INTERNAL


@pytest.mark.parametrize("name", ["parameters", "other"])
def test_a_parameter_is_a_string_a_number_or_a_truth(pipeline: Make, name: str) -> None:
    """The same rule as for an inference's."""
    value = {"other": ["a"]} if name == "parameters" else ["a"]
    code, text = _told(_oip(pipeline, "iris"), body(**{"X": ROW, name: value}), model="iris")
    assert code is Code.INVALID_ARGUMENT
    assert text.startswith("parameter 'other' has invalid type.")


def test_lists_may_be_as_deep_as_in_an_inference_and_no_deeper(pipeline: Make) -> None:
    """Too deep is the caller's fault, not a fault of the server's reading."""
    deep: Any = ROW
    for _ in range(MAX_NESTING + 1):
        deep = [deep]
    door = Asker(plugin.at("triton"), pipeline("iris"))
    code, text = _told(door, body(X=deep), model="iris")
    assert code is Code.INVALID_ARGUMENT
    assert "depth" in text


HALF = Signature((TensorSpec("X", "FP16", (-1,)),), (TensorSpec("Y", "FP32", (-1,)),), batch_axis=0)
HALF_OUT = Signature(
    (TensorSpec("X", "FP32", (-1,)),), (TensorSpec("Y", "FP16", (-1,)),), batch_axis=0
)


@pytest.mark.parametrize(
    ("signature", "text"),
    [(HALF, "receiving FP16 .* input X"), (HALF_OUT, "sending FP16 .* output Y")],
)
def test_half_precision_is_no_json_at_tritons_port(signature: Signature, text: str) -> None:
    """FP16 does not go through JSON there, either way; here it does."""
    version = version_of(ToyRuntime(signature))
    message = Message(body(X=1.5), {"model": "toy"})
    with pytest.raises(InvalidInput, match=text):
        Generate(strict=True).decode(message, lambda *_: version)
    Generate().decode(message, lambda *_: version)


def _response(values: Any, request_id: str = "") -> InferResponse:
    version = version_of(StreamingRuntime())
    request = InferRequest(version, {}, ("Y",), 1, {}, request_id)
    return InferResponse(request, {"Y": np.array(values, np.float32)})


def test_a_part_of_a_stream_is_one_event() -> None:
    """``data:``, the document, an empty line; the type says that they are events."""
    response = _response([[1, float("nan")]], "i")
    payload = GenerateStream().encode(response.request, response)
    assert payload.content_type == b"text/event-stream; charset=utf-8"
    assert payload.body == (
        b'data: {"Y":[1.0,NaN],"id":"i","model_name":"toy","model_version":"1"}\n\n'
    )


def test_an_error_in_a_stream_is_an_event_too() -> None:
    """After the first part the status is told, and the error comes in its place in the stream."""
    call = _response([[1, 2]]).request
    error = RunFailed("it broke", cure="Look.")
    assert GenerateStream().encode_failure(call, error) == b'data: {"error":"it broke. Look."}\n\n'
    assert Generate().encode_failure(call, error) is None


def test_a_stream_has_no_last_word() -> None:
    """There is no ``[DONE]``: without parts, the body is empty."""
    operation = GenerateStream()
    assert operation.encode_end(_response([[1, 2]]).request) == b""
    assert (operation.streams, Generate().streams) == (True, False)
    assert operation.content_type == b"text/event-stream; charset=utf-8"


def test_a_model_that_answers_whole_is_one_event(pipeline: Make) -> None:
    """generate_stream is for every model."""
    payload = _oip(pipeline, "iris").payload(STREAM, body(X=ROW), model="iris")
    assert payload.body.startswith(b"data: {")
    assert payload.body.endswith(b"}\n\n")
    event = json.loads(payload.body[6:])
    assert event["label"] == 2
    assert event["model_name"] == "iris"


def test_an_answer_with_line_breaks_is_still_one_event(pipeline: Make) -> None:
    """A line break inside a string is escaped, so that it does not end the event."""
    payload = _oip(pipeline, "text").payload(STREAM, body(X=["a\nb", "c\r\n\nNaN"]), model="text")
    assert payload.body.count(b"\n") == 2
    assert json.loads(payload.body[6:])["Y"] == ["a\nb", "c\r\n\nNaN"]


LONG = [float(at) / 8 for at in range(40)]


@pytest.mark.parametrize(
    "sent",
    [
        body(X=LONG),
        body(X=[LONG[:20], LONG[20:]], id="x", n=1),
        body(parameters={"X": LONG}),
        body(X=[*LONG[:-1], "a"]),
        body(X={"long list": 0}, Y=LONG),
        body(X={"long list": 0.0}),
        body(X={"long list": False}),
        body(X=LONG, long=LONG),
        body(X=ROW, id=LONG),
        b'{"X":[9.5,0.25,,0.5]}',
        b'{"X":{"long list":0},"X":' + json.dumps(LONG).encode() + b"}",
        b'{"X":' + json.dumps(LONG).encode() + b',"X":{"long list":0.0}}',
        b"[" + json.dumps(LONG).encode() + b"]",
        b'{"X":[1,2,NaN]}',
    ],
)
def test_a_large_body_is_answered_as_a_small_one(
    pipeline: Make, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in pieces or whole: the same answer, or a refusal."""
    monkeypatch.setattr(json_large, "WINDOW", 16)
    monkeypatch.setattr(json_large, "PIECE", 8)
    oip = _oip(pipeline, "wide")
    outcomes: list[Any] = []
    for limit in (1 << 20, 0):
        monkeypatch.setattr(generate, "LARGE", limit)
        try:
            outcomes.append(oip.payload(GENERATE, sent, model="wide").body)
        except (InvalidInput, MalformedRequest):
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


def test_a_large_answer_is_written_as_a_small_one(
    pipeline: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of the data make the same document."""
    oip = _oip(pipeline, "wide")
    small = oip.payload(GENERATE, body(X=LONG), model="wide").body
    monkeypatch.setattr(generate, "SLICE", 0)
    monkeypatch.setattr(json_large, "SLICE", 2)
    assert oip.payload(GENERATE, body(X=LONG), model="wide").body == small


def test_the_page_shows_fields_and_an_example_that_works(pipeline: Make) -> None:
    """Without a model there is nothing to show."""
    oip = _oip(pipeline, "iris", "columns", "text", "simple")
    for name in ("iris", "columns", "text", "simple"):
        handle = oip.served.manager.lookup(name)
        for route in (GENERATE, STREAM):
            operation = oip.operation(*route)
            assert operation.document(None) is None
            page = operation.document(handle)
            assert page is not None
            assert page.request is not None
            assert page.request["required"] == list(handle.signature.input_names)
            answer = oip.ask(GENERATE, body(**page.example), model=name)
            assert set(page.response["required"]) <= set(answer)


def test_a_version_in_the_url_changes_nothing_else_at_tritons_port(pipeline: Make) -> None:
    """A stream is one there, too, with its type, its errors and its page."""
    door = Asker(plugin.at("triton"), pipeline("iris"))
    path = "/v2/models/{model}/versions/{version}/generate_stream"
    operation, call = door.operation("POST", path), _response([[1, 2]]).request
    assert (operation.streams, operation.content_type) == (True, generate.EVENTS)
    assert operation.encode_end(call) == b""
    assert operation.encode_failure(call, RunFailed("a")) == b'data: {"error":"a"}\n\n'
    assert operation.document(door.served.manager.lookup("iris")) is not None
    sent = door.payload(("POST", path), body(X=ROW), {}, model="iris", version="1")
    assert json.loads(sent.body[6:])["model_version"] == "1"
