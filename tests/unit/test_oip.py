"""protocols/oip: the Open Inference Protocol in JSON, in Triton's words, without a socket."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from inferd import __version__
from inferd.calls import Readiness, ServerReady
from inferd.errors import (
    InvalidInput,
    MalformedRequest,
    ModelNotFound,
    NotReady,
)
from inferd.pipeline import Pipeline
from inferd.protocols.oip import answers, plugin
from inferd.protocols.oip import rest as module
from inferd.protocols.oip.metadata import EXTENSIONS
from inferd.wire import json_large
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
INFER = ("POST", "/v2/models/{model}/infer")
VERSIONED = ("POST", "/v2/models/{model}/versions/{version}/infer")
DATA = [9.0, 0.0, 0.0, 1.0]


def _oip(pipeline: Make, *names: str, **settings: Any) -> Asker:
    return Asker(plugin, pipeline(*names, **settings))


def tensor(name: str = "X", **changes: Any) -> dict[str, Any]:
    """A tensor of the iris model."""
    return {"name": name, "shape": [1, 4], "datatype": "FP32", "data": DATA} | changes


def whole(name: str = "INPUT0", **changes: Any) -> dict[str, Any]:
    """A tensor of the model that adds and subtracts."""
    return tensor(name, datatype="INT32", data=[1, 2, 3, 4]) | changes


PAIR = [whole(), whole("INPUT1", data=[1, 1, 1, 1])]


def test_an_answer_has_the_outputs_in_the_models_order(pipeline: Make) -> None:
    """Names, version, and flat data of each output."""
    answer = _oip(pipeline, "simple").ask(INFER, body(inputs=PAIR[::-1]), model="simple")
    assert json.dumps(answer) == json.dumps(
        {
            "model_name": "simple",
            "model_version": "1",
            "outputs": [
                {"name": "OUTPUT0", "datatype": "INT32", "shape": [1, 4], "data": [2, 3, 4, 5]},
                {"name": "OUTPUT1", "datatype": "INT32", "shape": [1, 4], "data": [0, 1, 2, 3]},
            ],
        }
    )


def test_the_id_comes_back_where_there_was_one(pipeline: Make) -> None:
    """It stands first; an empty one is none."""
    oip = _oip(pipeline, "iris")
    for sent, fields in [("42", ["id", "model_name"]), ("", ["model_name", "model_version"])]:
        answer = oip.ask(INFER, body(id=sent, inputs=[tensor()]), model="iris")
        assert list(answer)[:2] == fields
        assert answer.get("id", "") == sent


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        (["OUTPUT1"], ["OUTPUT1"]),
        (["OUTPUT1", "OUTPUT0"], ["OUTPUT0", "OUTPUT1"]),
        (["OUTPUT0", "OUTPUT0"], ["OUTPUT0"]),
        ([], ["OUTPUT0", "OUTPUT1"]),
    ],
)
def test_only_the_wanted_outputs_come_in_the_models_order(
    pipeline: Make, wanted: list[str], got: list[str]
) -> None:
    """No list, or an empty one, is all outputs."""
    sent = body(inputs=PAIR, outputs=[{"name": name} for name in wanted])
    answer = _oip(pipeline, "simple").ask(INFER, sent, model="simple")
    assert [each["name"] for each in answer["outputs"]] == got


@pytest.mark.parametrize("data", [DATA * 2, [DATA, DATA], [[[v] for v in DATA * 2]]])
def test_data_may_be_flat_or_nested_in_any_way(pipeline: Make, data: list[Any]) -> None:
    """Nesting is not held against the shape, as in Triton."""
    sent = body(inputs=[tensor(shape=[2, 4], data=data)])
    answer = _oip(pipeline, "iris").ask(INFER, sent, model="iris")
    assert answer["outputs"][0]["data"] == [0, 0]
    assert answer["outputs"][1]["shape"] == [2, 3]


@pytest.mark.parametrize("name", ["iris", "maps", "words", "text"])
def test_no_rows_are_answered_with_no_rows(pipeline: Make, name: str) -> None:
    """A dimension of zero is legal."""
    oip = _oip(pipeline, name)
    (spec,) = oip.served.manager.lookup(name).signature.inputs
    sent = tensor(shape=[0, spec.shape[1]], datatype=spec.datatype, data=[])
    answer = oip.ask(INFER, body(inputs=[sent]), model=name)
    assert {(each["shape"][0], len(each["data"])) for each in answer["outputs"]} == {(0, 0)}


def test_strings_go_in_and_come_out(pipeline: Make) -> None:
    """BYTES are JSON strings."""
    texts = ["a", '\u20ac"\\', "", "null"]
    sent = body(inputs=[tensor(shape=[2, 2], datatype="BYTES", data=texts)])
    answer = _oip(pipeline, "text").ask(INFER, sent, model="text")
    assert answer["outputs"][0]["data"] == texts


def test_numbers_are_written_shortest_and_nan_bare(pipeline: Make) -> None:
    """FP32 is widened to double, as in Triton."""
    sent = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[0.1,1,NaN,-Infinity]}]}'
    written = _oip(pipeline, "wide").payload(INFER, sent, model="wide").body
    assert b'"data":[0.10000000149011612,1.0,NaN,-Infinity]' in written


def test_a_scalar_has_an_empty_shape(pipeline: Make) -> None:
    """A tensor without dimensions has one value."""
    sent = body(inputs=[tensor(shape=[], data=[2.5])])
    (output,) = _oip(pipeline, "scalar").ask(INFER, sent, model="scalar")["outputs"]
    assert (output["shape"], output["data"]) == ([], [2.5])


NO_DATA = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. But no field is set"
)
FAULTS = [
    ([*PAIR, whole("FOO")], "unexpected inference input 'FOO' for model 'simple'"),
    ([PAIR[0], PAIR[0]], "input 'INPUT0' already exists in request"),
    (
        PAIR[:1],
        "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but "
        "missing required input(s) ['INPUT1']. Please provide all required input(s).",
    ),
    (
        [whole(datatype="FP32"), PAIR[1]],
        "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'",
    ),
    (
        [PAIR[0], whole("INPUT1", shape=[1, 3])],
        "unexpected shape for input 'INPUT1' for model 'simple'. Expected [-1,4], got [1,3]",
    ),
    (
        [PAIR[0], whole("INPUT1", shape=[2, 4], data=[1] * 8)],
        "input 'INPUT1' batch size does not match other inputs for 'simple'",
    ),
    ([whole(data=None), PAIR[1]], NO_DATA),
    (
        [whole(data=[1, 2, 3]), PAIR[1]],
        "'INPUT0' has the wrong number of values: got 3, expected 4",
    ),
    ([whole(data=[1, 2, 3, 4.0]), PAIR[1]], "got a fraction at position 3, expected integers"),
    ([whole(data=[1, 2, 3, "4"]), PAIR[1]], "got a string at position 3, expected integers"),
    ([whole(data=[1, 2, 3, True]), PAIR[1]], "got true or false at position 3"),
    ([whole(data=[1, 2, 3, 2**31]), PAIR[1]], "got an integer out of range, expected INT32"),
    ([whole(data=[1, [2, 3, 4]]), PAIR[1]], "lists and values stand side by side"),
    ([whole(shape=[-1, 4]), PAIR[1]], "unexpected shape for input 'INPUT0'"),
    ([whole(shape=[2**40, 4]), whole("INPUT1", shape=[2**40, 4])], "got 4, expected 4398046511104"),
]


@pytest.mark.parametrize(("inputs", "text"), FAULTS)
def test_a_request_that_does_not_fit_is_told_in_tritons_words(
    pipeline: Make, inputs: list[Any], text: str
) -> None:
    """Clients that match on Triton's texts find them; where it has none, ours."""
    assert text in _oip(pipeline, "simple").refusal(INFER, body(inputs=inputs), model="simple")


def test_an_unknown_output_is_told_in_tritons_words(pipeline: Make) -> None:
    """What is asked for must exist."""
    sent = body(inputs=PAIR, outputs=[{"name": "FOO"}])
    text = _oip(pipeline, "simple").refusal(INFER, sent, model="simple")
    assert text == "unexpected inference output 'FOO' for model 'simple'"


def test_unknown_models_and_versions_are_told_in_tritons_words(pipeline: Make) -> None:
    """Both for inference and for metadata."""
    oip = _oip(pipeline, "simple")
    sent = body(inputs=PAIR)
    for method, tail in (("POST", "/infer"), ("GET", ""), ("GET", "/ready")):
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        assert oip.refusal((method, model + tail), sent, model="X") == (
            "Request for unknown model: 'X' is not found"
        )
        told = oip.refusal((method, version + tail), sent, model="simple", version="9")
        assert told == "Request for unknown model: 'simple' version 9 is not found"
    assert oip.ask(VERSIONED, sent, model="simple", version="1")["model_version"] == "1"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b'{"inputs":{}}',
        b'{"inputs":[1]}',
        body(inputs=[tensor()], id=1),
        body(inputs=[tensor(shape="1")]),
        body(inputs=[tensor(shape=[1.5])]),
        body(inputs=[tensor(data=1)]),
        body(inputs=[{"name": "X"}]),
        body(inputs=[tensor()], outputs=["Y"]),
    ],
)
def test_what_is_no_document_is_malformed(pipeline: Make, sent: bytes) -> None:
    """The place in the document is told."""
    oip = _oip(pipeline, "iris")
    with pytest.raises(MalformedRequest):
        oip.ask(INFER, sent, model="iris")
    assert "JSON" in oip.refusal(INFER, sent, model="iris")


def test_shared_memory_is_not_spoken(pipeline: Make) -> None:
    """The part of the protocol is named, and what to send instead."""
    oip = _oip(pipeline, "iris")
    sent = tensor(parameters={"shared_memory_region": "r"})
    del sent["data"]
    with pytest.raises(InvalidInput, match="shared memory is not read: expected 'data'"):
        oip.ask(INFER, body(inputs=[sent]), model="iris")
    with pytest.raises(InvalidInput, match="But no field is set"):
        oip.ask(INFER, body(inputs=[tensor(data=None, parameters={"x": 1})]), model="iris")


def test_parameters_reach_the_request(pipeline: Make) -> None:
    """What a caller says beside the tensors is kept for the stages behind."""
    oip = _oip(pipeline, "iris")
    call = oip.decode(INFER[1], body(inputs=[tensor()], parameters={"a": 1}), model="iris")
    assert call.parameters == {"a": 1}
    assert oip.decode(INFER[1], body(inputs=[tensor()]), model="iris").parameters == {}


def test_metadata_of_server_and_model(pipeline: Make) -> None:
    """What the server is, and what a model takes and gives."""
    oip = _oip(pipeline, "iris", "columns")
    told = oip.ask(("GET", "/v2"))
    assert told == {"name": "inferd", "version": __version__, "extensions": [*EXTENSIONS]}
    model = "/v2/models/{model}"
    answer = oip.ask(("GET", model), model="iris")
    assert list(answer) == ["name", "versions", "platform", "inputs", "outputs"]
    assert (answer["name"], answer["versions"], answer["platform"]) == ("iris", ["1"], "onnx")
    assert answer["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]
    assert [each["datatype"] for each in answer["outputs"]] == ["INT64", "FP32"]
    again = oip.ask(("GET", model + "/versions/{version}"), model="iris", version="1")
    assert again == answer
    assert oip.ask(("GET", model + "/ready"), model="iris") == {"name": "iris", "ready": True}


def test_health(pipeline: Make) -> None:
    """Live and ready; what is not ready says why."""
    oip = _oip(pipeline, "iris")
    assert oip.ask(("GET", "/v2/health/live")) == {"live": True}
    assert oip.ask(("GET", "/v2/health/ready")) == {"ready": True}
    ready = oip.operation("GET", "/v2/health/ready")
    with pytest.raises(NotReady, match="not ready: a"):
        ready.encode(ServerReady(), Readiness(False, ("a",)))


def test_a_model_that_fails_is_told_without_its_inside(pipeline: Make) -> None:
    """The position beyond the table is the model's own fault."""
    sent = body(inputs=[tensor(shape=[1], datatype="INT64", data=[7])])
    text = _oip(pipeline, "table").refusal(INFER, sent, model="table")
    assert text == "model 'table' failed on this request. The server's log says why."


@pytest.mark.parametrize("shape", [[0, 2**62], [0, 2**63], [0, 2**70], [2**70, 2**70]])
def test_a_shape_that_nothing_can_hold_is_the_callers_fault(
    pipeline: Make, shape: list[int]
) -> None:
    """A dimension is only a number until memory is made for it."""
    with pytest.raises((InvalidInput, MalformedRequest)):
        _oip(pipeline, "wide").ask(INFER, body(inputs=[tensor(shape=shape, data=[])]), model="wide")


def test_the_page_shows_tensors_and_an_example(pipeline: Make) -> None:
    """The example is answered by the model that it is shown for; without a model there is none."""
    oip = _oip(pipeline, "iris", "columns", "text", "simple")
    for route in plugin.routes:
        if "{model}" in route.path:
            assert route.operation.document(None) is None, route.path
    for name in ("iris", "columns", "text", "simple"):
        handle = oip.served.manager.lookup(name)
        for path in (INFER, VERSIONED):
            page = oip.operation(*path).document(handle)
            assert page is not None
            answer = oip.ask(INFER, body(**page.example), model=name)
            assert [o["name"] for o in answer["outputs"]] == list(handle.signature.output_names)


def test_an_error_can_be_told_without_a_message() -> None:
    """A request that could not be read has no model."""
    payload = plugin.encode_error(ModelNotFound("m", None, ()), None)
    assert json.loads(payload.body) == {"error": "Request for unknown model: 'm' is not found"}


LONG = [float(at) / 8 for at in range(40)]


@pytest.mark.parametrize(
    "sent",
    [
        body(inputs=[tensor(shape=[10, 4], data=LONG)]),
        body(inputs=[tensor(shape=[10, 4], data=[LONG[at : at + 4] for at in range(0, 40, 4)])]),
        body(id="i", inputs=[tensor()], outputs=[{"name": "label"}], parameters={"a": [1] * 9}),
        body(inputs=[tensor(shape=[0, 4], data=[])]),
        body(inputs=[tensor(shape=[10, 4], data=LONG[:-1])]),
        body(inputs=[tensor(shape=[9, 4], data=LONG)]),
        body(inputs=[tensor(shape=[10, 4], data=[*LONG[:-1], "a"])]),
        body(inputs=[tensor(shape=[1, 4], data=None)]),
        body(inputs=[tensor(shape=[1, 4], data=0)]),
        body(inputs=[tensor(shape=[10, 4], data=LONG), tensor("Z", data=0)]),
        body(inputs=[tensor(shape=[1, 4, *LONG], data=DATA)]),
        b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":-[9.5,0.5,0.5,1]}]}',
        b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[9.5,0.25,,0.5]}]}',
        b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[9.5,NaN,0.25,0.5]}]}',
        b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[9.5,0.25,1.5,0.5]}]',
    ],
)
def test_a_large_body_is_answered_as_a_small_one(
    pipeline: Make, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in pieces or whole: the same bytes, or a refusal."""
    monkeypatch.setattr(json_large, "WINDOW", 16)
    monkeypatch.setattr(json_large, "PIECE", 8)
    oip = _oip(pipeline, "iris")
    outcomes: list[Any] = []
    for limit in (1 << 20, 0):
        monkeypatch.setattr(module, "LARGE", limit)
        try:
            outcomes.append(oip.payload(INFER, sent, model="iris").body)
        except (InvalidInput, MalformedRequest):
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", ["iris", "words", "simple", "text"])
def test_a_large_answer_is_written_as_a_small_one(
    pipeline: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of the data make the same document."""
    oip = _oip(pipeline, name)
    page = oip.operation(*INFER).document(oip.served.manager.lookup(name))
    assert page is not None
    sent = body(id="x", **page.example)
    small = oip.payload(INFER, sent, model=name).body
    monkeypatch.setattr(answers, "SLICE", 0)
    monkeypatch.setattr(json_large, "SLICE", 2)
    assert oip.payload(INFER, sent, model=name).body == small
