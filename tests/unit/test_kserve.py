"""protocols/kserve: instances in, predictions out, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import onnx
import pytest

from inferd.errors import InvalidInput, MalformedRequest, NotReady
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.kserve import plugin
from inferd.protocols.kserve import predict as module
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
PREDICT = ("POST", "/v1/models/{model}:predict")
STATE = ("GET", "/v1/models/{model}")
MODELS = ("GET", "/v1/models")
NAMES = ["sepal length", "sepal width"]


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: one whose columns have names, and one of one text a row."""
    path = onnx_files.identity(models / "named.onnx", [None, 2])
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"inferd.features": json.dumps(NAMES)})
    onnx.save(graph, path)
    onnx_files.identity(models / "line.onnx", [None, 1], onnx_files.STRING)


def _kserve(pipeline: Make, *names: str) -> Asker:
    return Asker(plugin, pipeline(*names))


def _predict(pipeline: Make, name: str, **fields: Any) -> Any:
    return _kserve(pipeline, name).ask(PREDICT, body(**fields), model=name)


def _refused(pipeline: Make, name: str, sent: bytes) -> str:
    return _kserve(pipeline, name).refusal(PREDICT, sent, model=name)


def test_instances_are_answered_with_what_the_model_predicts(pipeline: Make) -> None:
    """Rows in, the model's own labels out, and nothing beside them."""
    answer = _predict(pipeline, "words", instances=[[9, 0, 0, 1], [0, 0, 9, 1]])
    assert answer == {"predictions": ["first", "third"]}
    assert _predict(pipeline, "iris", instances=[[0, 9, 0, 1]]) == {"predictions": [1]}


def test_only_the_prediction_is_computed(pipeline: Make) -> None:
    """The probabilities, which V1 does not tell, are not asked of the model."""
    call = _kserve(pipeline, "iris").decode(
        PREDICT[1], body(instances=[[1, 2, 3, 4]]), model="iris"
    )
    assert tuple(call.outputs) == ("label",)
    assert (call.rows, call.inputs["X"].shape) == (1, (1, 4))


def test_inputs_are_read_as_instances_and_go_before_them(pipeline: Make) -> None:
    """As in KServe's get_predict_input."""
    assert _predict(pipeline, "iris", inputs=[[0, 9, 0, 1]]) == {"predictions": [1]}
    both = _predict(pipeline, "iris", instances=[[9, 0, 0, 1]], inputs=[[0, 9, 0, 1]])
    assert both == {"predictions": [1]}


@pytest.mark.parametrize(
    "instances",
    [
        [{"sepal width": 2, "sepal length": 1}, {"sepal length": 3, "sepal width": 4}],
        [[{"sepal width": 2, "sepal length": 1}, {"sepal length": 3, "sepal width": 4}]],
        [
            {"sepal width": {"0": 2}, "sepal length": {"0": 1}},
            {"sepal width": [4], "sepal length": [3]},
        ],
        [{"sepal width": {"a": 2, "b": 4}, "sepal length": {"b": 3, "a": 1}}],
        [[1, 2], [3, 4]],
    ],
)
def test_every_form_of_a_record(pipeline: Make, instances: Any) -> None:
    """Records, lists of records, and tables by column as KServe's servers take them, in any order
    of the names."""
    assert _predict(pipeline, "named", instances=instances) == {"predictions": [[1, 2], [3, 4]]}


def test_texts_are_rows_of_one_value(pipeline: Make) -> None:
    """An instance that is a text needs no list around it, as in KServe."""
    assert _predict(pipeline, "line", instances=["a", "b"]) == {"predictions": ["a", "b"]}


def test_rows_may_be_tensors(pipeline: Make) -> None:
    """An instance is shaped as the model's input is."""
    image = [[1, 2, 3], [4, 5, 6]]
    assert _predict(pipeline, "image", instances=[image]) == {"predictions": [image]}


def test_what_is_no_number_is_null(pipeline: Make) -> None:
    """A missing number goes in as null or NaN, and comes back as null, as KServe's JSON has it."""
    sent = b'{"instances":[[null,1],[NaN,2],[Infinity,3]]}'
    payload = _kserve(pipeline, "named").payload(PREDICT, sent, model="named")
    assert payload.body == b'{"predictions":[[null,1.0],[null,2.0],[null,3.0]]}'


@pytest.mark.parametrize(
    ("name", "sent", "text"),
    [
        ("iris", b"{", "Unrecognized request format: the body is not JSON"),
        ("iris", b"{}", "the body has no 'instances': expected"),
        ("iris", b'{"instances":5}', "Expected `array"),
        ("iris", b'{"instances":[]}', "there is no instance"),
        ("iris", b'{"instances":[1,2,3,4]}', "row 0 that is no list"),
        ("iris", b'{"instances":[[1,2,3]]}', "wrong number of values in row 0: got 3, expected 4"),
        ("iris", b'{"instances":[[1,2,3,4],[1,2,"x",4]]}', "got a string at position 2 in row 1"),
        ("iris", b'{"instances":[{"a":1}]}', "the names of this model's features are not known"),
        ("named", b'{"instances":[{"sepal width":1}]}', "got no 'sepal length'"),
        ("named", b'{"instances":[[{"sepal width":1}],5]}', "not every instance is a list of"),
        ("named", b'{"instances":[{"a":[1]},5]}', "not every instance is a table"),
        ("named", b'{"instances":[{"a":[1],"b":2}]}', "column 'b' of a table is one value"),
        ("named", b'{"instances":[{"a":[1],"b":[1,2]}]}', "column 'b' of a table has other rows"),
        ("named", b'{"instances":[{"a":[]}]}', "there is no instance"),
        ("named", b'{"instances":[[],[]]}', "got 0, expected 2"),
    ],
)
def test_wrong_instances(pipeline: Make, name: str, sent: bytes, text: str) -> None:
    """What was wrong, what was got, what was expected."""
    assert text in _refused(pipeline, name, sent)


def test_a_model_that_is_not_there(pipeline: Make) -> None:
    """KServe's sentence, before the body is looked at."""
    kserve = _kserve(pipeline, "iris")
    told = "Model with name nobody does not exist."
    assert kserve.refusal(PREDICT, b"{", model="nobody") == told
    assert kserve.refusal(STATE, b"", model="nobody") == told


def test_a_model_that_is_not_ready() -> None:
    """KServe's sentence, and our reason after it."""
    error = NotReady("it is loading")
    payload = plugin.encode_error(error, Message(b"", {"model": "iris"}))
    assert json.loads(payload.body) == {"error": "Model with name iris is not ready. it is loading"}
    assert json.loads(plugin.encode_error(error, None).body) == {"error": "it is loading"}


def test_models_and_their_state(pipeline: Make) -> None:
    """Their names, and that one can answer."""
    kserve = _kserve(pipeline, "iris", "words")
    assert kserve.ask(MODELS) == {"models": ["iris", "words"]}
    assert kserve.ask(STATE, model="iris") == {"name": "iris", "ready": True}


def test_its_own_port_has_a_root(pipeline: Make) -> None:
    """At KServe's own port, and there alone, ``/`` says that the process is alive, and V2 lists the
    models."""
    door = plugin.at("kserve")
    at_door = Asker(door, pipeline("iris"))
    assert at_door.ask(("GET", "/")) == {"status": "alive"}
    assert at_door.ask(("GET", "/v2/models")) == {"models": ["iris"]}
    assert at_door.ask(PREDICT, body(instances=[[0, 9, 0, 1]]), model="iris") == {
        "predictions": [1]
    }
    assert door.name == plugin.name
    assert plugin.at("triton") is plugin
    assert "/" not in [route.path for route in plugin.routes]


@pytest.mark.parametrize("field", ["instances", "inputs"])
def test_large_bodies_are_read_in_pieces(
    pipeline: Make, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer, however the body is cut, for rows and for records."""
    monkeypatch.setattr(json_large, "PIECE", 200)
    monkeypatch.setattr(module, "LARGE", 10)
    monkeypatch.setattr(module, "SLICE", 64)
    rows = np.arange(200.0).reshape(-1, 2).tolist()
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    for sent in (rows, records, [records], rows[:1]):
        expected = {"predictions": rows if sent is not rows[:1] and len(sent) != 1 else rows[:1]}
        if sent == [records]:
            expected = {"predictions": rows}
        assert _predict(pipeline, "named", **{field: sent}) == expected


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"instances": [[1, 2]] * 99 + [[1, "x"]]}, InvalidInput, "in row 99"),
        ({"instances": []}, InvalidInput, "there is no instance"),
        ({"instances": [[1, 2]] * 99, "inputs": 0}, MalformedRequest, "one long list"),
        ({"instances": [[1, 2]], "more": [[1, 2]] * 99}, MalformedRequest, "one long list"),
        ({"more": [[1, 2]] * 99}, MalformedRequest, "no 'instances'"),
        ({"instances": [{"a": []}] * 99}, InvalidInput, "there is no instance"),
    ],
)
def test_large_bodies_that_are_wrong(
    pipeline: Make,
    fields: Any,
    error: type[Exception],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same errors, with the row's own number."""
    monkeypatch.setattr(json_large, "PIECE", 200)
    monkeypatch.setattr(module, "LARGE", 10)
    with pytest.raises(error, match=text):
        _predict(pipeline, "named", **fields)


@pytest.mark.parametrize(
    "name", ["iris", "words", "named", "columns", "image", "line", "text", "wide"]
)
def test_the_example_works(pipeline: Make, name: str) -> None:
    """What the OpenAPI page shows is answered, and in the form it shows."""
    kserve = _kserve(pipeline, name)
    handle = kserve.served.manager.lookup(name)
    page = kserve.operation(*PREDICT).document(handle)
    assert page is not None
    answer = kserve.ask(PREDICT, json.dumps(page.example).encode(), model=name)
    jsonschema.validate(page.example, page.request, jsonschema.Draft202012Validator)
    jsonschema.validate(answer, page.response, jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"instances": [[]]}, page.request, jsonschema.Draft202012Validator)
    assert len(answer["predictions"]) == 1


def test_no_model_has_no_page() -> None:
    """Where no model is known, there is nothing to show of one."""
    assert [route.operation.document(None) is None for route in plugin.routes] == [
        False,
        True,
        True,
    ]
