"""protocols/mlflow: data frames and tensors in, predictions out, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import onnx
import pytest

from inferd import __version__
from inferd.calls import Readiness, ServerReady
from inferd.errors import (
    Code,
    InferdError,
    InvalidInput,
    MalformedRequest,
    ModelNotFound,
    NotReady,
    QueueFull,
    RunFailed,
    UnsupportedType,
)
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.mlflow import columns as columns_module
from inferd.protocols.mlflow import csv_table, plugin
from inferd.protocols.mlflow import invocations as module
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
INVOKE = ("POST", "/invocations")
NAMES = ["sepal length", "sepal width"]
CSV = {b"content-type": b"text/csv"}


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: columns with names, whole numbers, truths, and one text a row."""
    for name, shape, kind in (
        ("named", [None, 2], onnx_files.FLOAT),
        ("counts", [None, 2], onnx_files.INT64),
        ("truths", [None, 2], onnx.TensorProto.BOOL),
    ):
        path = onnx_files.identity(models / f"{name}.onnx", shape, kind)
        graph = onnx.load(path)
        onnx.helper.set_model_props(graph, {"inferd.features": json.dumps(NAMES)})
        onnx.save(graph, path)
    onnx_files.identity(models / "line.onnx", [None, 1], onnx_files.STRING)


def _mlflow(pipeline: Make, *names: str) -> Asker:
    return Asker(plugin, pipeline(*names))


def _predict(pipeline: Make, name: str, **fields: Any) -> Any:
    answer = _mlflow(pipeline, name).ask(INVOKE, body(**fields))
    assert list(answer) == ["predictions"]
    return answer["predictions"]


def _csv(pipeline: Make, name: str, text: str) -> Any:
    return _mlflow(pipeline, name).ask(INVOKE, text.encode(), CSV)["predictions"]


def _told(error: InferdError) -> Any:
    return json.loads(plugin.encode_error(error, Message(b"", {})).body)


ROWS = [[1, 2], [3, 4]]
SPLIT = {"columns": NAMES, "data": ROWS}
SPLIT_TURNED = {"columns": NAMES[::-1], "index": [7, "x"], "data": [[2, 1], [4, 3]]}
SPLIT_MORE = {"columns": ["id", *NAMES[::-1]], "data": [["a", 2, 1], ["b", 4, 3]]}
RECORDS = [{"sepal width": 2, "sepal length": 1}, {"sepal length": 3, "sepal width": 4, "id": 9}]
BY_NAME = {"sepal width": [2, 4], "sepal length": [1, 3]}


@pytest.mark.parametrize(
    "fields",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": SPLIT_TURNED},
        {"dataframe_split": SPLIT_MORE},
        {"dataframe_split": {"data": ROWS}},
        {"dataframe_split": {"columns": [0, 1], "data": ROWS}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"inputs": RECORDS},
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": BY_NAME},
        {"instances": BY_NAME | {"id": [1, 2]}},
        {"inputs": {"X": ROWS}},
        {"inputs": ROWS, "params": {"temperature": 1}, "client_request_id": "7"},
    ],
)
def test_every_form_of_json(pipeline: Make, fields: Any) -> None:
    """Frames and tensors, by name in any order or by position: the same predictions; columns that
    the model lacks are ignored, as MLflow ignores them."""
    assert _predict(pipeline, "named", **fields) == ROWS


def test_a_classifier_predicts_its_labels(pipeline: Make) -> None:
    """What the model's own predict gives, and its probabilities are not computed."""
    assert _predict(pipeline, "words", inputs=[[9, 0, 0, 1], [0, 0, 9, 1]]) == ["first", "third"]
    call = _mlflow(pipeline, "iris").decode("/invocations", body(inputs=[[1, 2, 3, 4]]))
    assert (tuple(call.outputs), call.rows) == (("label",), 1)


def test_params_reach_the_call(pipeline: Make) -> None:
    """What is no data is handed on with the request."""
    sent = body(inputs=[[1, 2, 3, 4]], params={"k": 2})
    assert _mlflow(pipeline, "iris").decode("/invocations", sent).parameters == {"k": 2}


def test_several_outputs_come_back_by_name(pipeline: Make) -> None:
    """As MLflow's onnx flavour gives them: tensors as lists by output."""
    first, second = [[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 1, 1, 1], [2, 2, 2, 2]]
    records = [{"INPUT0": a, "INPUT1": b} for a, b in zip(first, second, strict=True)]
    split = {
        "columns": ["INPUT1", "INPUT0"],
        "data": [list(p) for p in zip(second, first, strict=True)],
    }
    for fields in (
        {"inputs": {"INPUT1": second, "INPUT0": first}},
        {"instances": records},
        {"dataframe_records": records},
        {"dataframe_split": split},
    ):
        assert _predict(pipeline, "simple", **fields) == {
            "OUTPUT0": [[2, 3, 4, 5], [7, 8, 9, 10]],
            "OUTPUT1": [[0, 1, 2, 3], [3, 4, 5, 6]],
        }


def test_a_frame_is_answered_with_records(pipeline: Make) -> None:
    """Where each output is one value a row, a frame's rows come back as MLflow writes a frame, and
    tensors as tensors."""
    records = [{"older": -1.5, "same": "Ada"}, {"older": -2.0, "same": "Bob"}]
    split = {"columns": ["name", "age"], "data": [["Ada", 1.5], ["Bob", 2]]}
    assert _predict(pipeline, "columns", dataframe_split=split) == records
    assert _csv(pipeline, "columns", "age,name\n1.5,Ada\n2,Bob\n") == records
    inputs = {"age": [1.5, 2], "name": [["Ada"], ["Bob"]]}
    assert _predict(pipeline, "columns", inputs=inputs) == {
        "older": [-1.5, -2.0],
        "same": [["Ada"], ["Bob"]],
    }
    assert _predict(pipeline, "columns", inputs={"age": 1.5, "name": "Ada"})["older"] == [-1.5]


def test_one_value_a_row_needs_no_list(pipeline: Make) -> None:
    """A vector is as many rows to a model of one column."""
    assert _predict(pipeline, "line", inputs=["a", "b"]) == ["a", "b"]
    assert _predict(pipeline, "line", instances=["a"]) == ["a"]


def test_truths_of_a_frame_are_numbers(pipeline: Make) -> None:
    """A column of true and false is 1 and 0 to a model of numbers, as in a data frame."""
    split = {"columns": NAMES, "data": [[True, 2], [False, 4.5]]}
    assert _predict(pipeline, "named", dataframe_split=split) == [[1, 2], [0, 4.5]]
    records = [{"sepal length": True, "sepal width": 3}]
    assert _predict(pipeline, "named", dataframe_records=records) == [[1, 3]]


def test_what_is_no_number_is_a_bare_token(pipeline: Make) -> None:
    """A missing number goes in as null or NaN and comes back as NaN: MLflow writes with Python's
    own json."""
    sent = b'{"inputs":[[null,1],[NaN,Infinity]]}'
    payload = _mlflow(pipeline, "named").payload(INVOKE, sent)
    assert payload.body == b'{"predictions":[[NaN,1.0],[NaN,Infinity]]}'
    columns = b'{"inputs":{"X":[[null,1]]}}'
    assert b"[[NaN,1.0]]" in _mlflow(pipeline, "named").payload(INVOKE, columns).body


@pytest.mark.parametrize(
    ("name", "sent", "text"),
    [
        ("iris", b"{", "the body is not JSON"),
        ("iris", b"[]", "Expected `object`, got `array`"),
        ("iris", b"{}", "exactly one of the input fields dataframe_split, dataframe_records"),
        ("iris", b'{"columns":["a"],"data":[[1]]}', "got columns, data"),
        ("iris", b'{"inputs":[[1]],"instances":[[1]]}', "got inputs, instances"),
        ("iris", b'{"inputs":5}', "there is no list where one is needed"),
        ("iris", b'{"inputs":null}', "got `null` - at `$.inputs`"),
        ("iris", b'{"inputs":[[1,2,3,4]],"params":3}', "at `$.params`"),
        ("iris", b'{"inputs":[]}', "there is no row to predict"),
        ("iris", b'{"dataframe_records":[]}', "there is no row to predict"),
        ("iris", b'{"inputs":[1,2,3,4]}', "row 0 that is no list"),
        ("iris", b'{"inputs":[[1,2,3]]}', "got 3, expected 4"),
        ("iris", b'{"inputs":{"Y":[[1,2,3,4]]}}', "unknown input: got 'Y', expected 'X'"),
        ("iris", b'{"inputs":{"X":[[1,2,3,4],[1,2]]}}', "the lists of 'X' are not alike"),
        ("iris", b'{"inputs":{"X":[[1,2],[3]]}}', "the lists of 'X' are not alike"),
        ("iris", b'{"inputs":{"X":[[1,2,3,4],5]}}', "the lists of 'X' are not alike"),
        ("iris", b'{"inputs":{"X":' + b"[" * 99 + b"]" * 99 + b"}}", "nested too deep"),
        ("iris", b'{"inputs":{"X":[[1,2,3]]}}', "wrong shape: got [1,3], expected [-1,4]"),
        ("iris", b'{"inputs":{"X":[[1,2,3,"x"]]}}', "a string at position 3"),
        ("named", b'{"inputs":{"sepal length":[1]}}', "no 'sepal width'"),
        ("named", b'{"inputs":{"sepal length":[1],"sepal width":[1,2]}}', "got 2, expected 1"),
        ("named", b'{"inputs":{"sepal length":[1],"sepal width":["x"]}}', "for 'sepal width'"),
        ("named", b'{"dataframe_records":[{"sepal length":1}]}', "no 'sepal width'"),
        ("named", b'{"dataframe_records":[[1,2]]}', "row 0 is no object"),
        ("named", b'{"dataframe_records":{"a":1}}', "at `$.dataframe_records`"),
        ("iris", b'{"dataframe_records":[{"a":1},{"b":1}]}', "row 1 does not have the model's"),
        ("named", b'{"dataframe_split":[[1]]}', "at `$.dataframe_split`"),
        ("named", b'{"dataframe_split":{"columns":["a"]}}', "missing required field `data`"),
        ("named", b'{"dataframe_split":{"data":[[1,2]],"dtypes":[]}}', "unknown field `dtypes`"),
        ("named", b'{"dataframe_split":{"columns":["a"],"data":[[1]]}}', "got unknown 'a' and no"),
        ("named", b'{"dataframe_split":{"columns":["a","a"],"data":[[1,2]]}}', "stands twice"),
        ("named", b'{"dataframe_split":{"columns":[0,1],"data":[5]}}', "row 0 of 'data' is no"),
        (
            "named",
            b'{"dataframe_split":{"columns":[0,1],"data":[[1]]}}',
            "in row 0: got 1, expected 2",
        ),
        ("named", b'{"dataframe_split":{"data":[[1,2]],"index":[]}}', "'index' has not one value"),
        ("named", b'{"dataframe_split":{"data":[[1,"x"],[true,2]]}}', "a string for 'sepal width'"),
        ("simple", b'{"inputs":{"INPUT0":[[1,2,3,4]]}}', "inputs are missing"),
        ("simple", b'{"instances":[{"INPUT0":[1,2,3,4]}]}', "no 'INPUT1'"),
        ("simple", b'{"dataframe_split":{"columns":["INPUT0"],"data":[]}}', "wrong shape: got [0]"),
    ],
)
def test_wrong_json(pipeline: Make, name: str, sent: bytes, text: str) -> None:
    """What was wrong, what was got, what was expected, in MLflow's error document."""
    with pytest.raises((InvalidInput, MalformedRequest)) as raised:
        _mlflow(pipeline, name).payload(INVOKE, sent)
    told = _told(raised.value)
    assert list(told) == ["error_code", "message"]
    assert told["error_code"] == "BAD_REQUEST"
    assert text in told["message"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("named", "sepal length,sepal width\n1,2\n3.5,-4e0\n", [[1, 2], [3.5, -4]]),
        ("named", "sepal width,,sepal length\r\n2,x,1\r\n\r\n4,y,3", [[1, 2], [3, 4]]),
        ("named", '\ufeff"sepal length","sepal width"\n"1","2"\n', [[1, 2]]),
        ("counts", "sepal width,sepal length\n9007199254740993,1\n", [[1, 9007199254740993]]),
        ("truths", "sepal length,sepal width\nTrue,false\n", [[True, False]]),
        ("text", 'a,b\n"x,1","y""\nz"\n', [["x,1", 'y"\nz']]),
        ("iris", "0,1,2,3\n0,9,0,1\n", [1]),
    ],
)
def test_csv(pipeline: Make, name: str, text: str, expected: Any) -> None:
    """Columns by name, cells by the signature's datatypes, as pandas' to_csv writes them."""
    assert _csv(pipeline, name, text) == expected


def test_an_empty_cell_is_a_missing_number(pipeline: Make) -> None:
    """As pandas writes and reads it."""
    payload = _mlflow(pipeline, "named").payload(
        INVOKE, b"sepal length,sepal width\n1,\n,2\n", {b"content-type": b"Text/CSV; charset=UTF-8"}
    )
    assert payload.body == b'{"predictions":[[1.0,NaN],[NaN,2.0]]}'


@pytest.mark.parametrize(
    ("name", "sent", "text"),
    [
        ("named", b"", "the CSV is empty"),
        ("named", b"sepal length,sepal width\n", "there is no row"),
        ("named", b"sepal length,a\n1,2\n", "got unknown 'a' and no 'sepal width'"),
        ("named", b"sepal length,sepal width,sepal width\n1,2,3\n", "stands twice"),
        ("named", b"sepal length,sepal width\n1,2\n1\n", "values in row 1: got 1, expected 2"),
        ("named", b"sepal length,sepal width\n1,2\n1,x\n", "'sepal width' holds a value that does"),
        ("named", b"sepal length,sepal width\n1,2\n1,x\n", "got a text in row 1, expected numbers"),
        ("named", b"sepal length,sepal width\n1,1_0\n", "row 0, expected numbers"),
        (
            "counts",
            b"sepal length,sepal width\n1,2.5\n",
            "got a number in row 0, expected integers",
        ),
        ("counts", b"sepal length,sepal width\n1,1_0\n", "row 0, expected integers"),
        (
            "counts",
            b"sepal length,sepal width\n1,\n",
            "got nothing in row 0, expected integers, wh",
        ),
        ("counts", b"sepal length,sepal width\n1,9223372036854775808\n", "an integer out of range"),
        ("truths", b"sepal length,sepal width\ntrue,1\n", "row 0, expected true or false"),
        ("text", b"a,b\nx,\n", "expected strings, which cannot be missing"),
        ("iris", b"a,b\n1,2\n", "got 2, expected 4"),
        ("table", b"a,b\n1,2\n", "got unknown 'a', 'b' and no 'X'"),
        ("named", b"sepal length,sepal width\n1,\xff\n", "the body is not UTF-8"),
        ("named", b'sepal length,sepal width\n1,"2', "the body is not CSV: unexpected end of data"),
        ("text", b"a,b\n1," + b"x" * 200_000, "the body is not CSV: field larger"),
    ],
)
def test_wrong_csv(pipeline: Make, name: str, sent: bytes, text: str) -> None:
    """What was wrong with it, and in which row and column."""
    with pytest.raises((InvalidInput, MalformedRequest)) as raised:
        _mlflow(pipeline, name).payload(INVOKE, sent, CSV)
    assert text in _told(raised.value)["message"]


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (b"text/plain", "only supports the following content types: application/json, text/csv"),
        (b"application/vnd.apache.parquet", "got 'application/vnd.apache.parquet'"),
        (b"application/json; charset=latin-1", "only supports UTF-8: got latin-1"),
        (b"application/json; format=pandas-split", "Unrecognized content type parameters"),
    ],
)
def test_other_content_types(pipeline: Make, content_type: bytes, text: str) -> None:
    """Refused with MLflow's sentences."""
    with pytest.raises(UnsupportedType) as raised:
        _mlflow(pipeline, "iris").payload(INVOKE, b"{}", {b"content-type": content_type})
    assert text in _told(raised.value)["message"]


@pytest.mark.parametrize(
    "content_type", [b"", b"application/json;charset=utf-8", b"Application/JSON"]
)
def test_json_however_it_is_called(pipeline: Make, content_type: bytes) -> None:
    """A charset of UTF-8 changes nothing, nor does no content type at all."""
    headers = {b"content-type": content_type}
    answer = _mlflow(pipeline, "iris").ask(INVOKE, body(inputs=[[0, 9, 0, 1]]), headers)
    assert answer == {"predictions": [1]}


def test_several_models_and_no_default(pipeline: Make) -> None:
    """The URL names no model, so that the text says how one is chosen."""
    with pytest.raises(InvalidInput, match="--default-model"):
        _mlflow(pipeline, "iris", "words").payload(INVOKE, body(inputs=[[1, 2, 3, 4]]))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelNotFound("x", None, ()), "RESOURCE_DOES_NOT_EXIST"),
        (NotReady("no"), "TEMPORARILY_UNAVAILABLE"),
        (QueueFull("no"), "RESOURCE_EXHAUSTED"),
        (RunFailed("no"), "INTERNAL_ERROR"),
        (UnsupportedType("no"), "BAD_REQUEST"),
    ],
)
def test_errors_have_the_names_of_mlflow(error: InferdError, code: str) -> None:
    """Each kind of failure is called as in mlflow/exceptions.py, and never with a stack trace."""
    assert _told(error) == {"error_code": code, "message": str(error)}
    assert plugin.code(error, None) in Code


def test_ping_and_version(pipeline: Make) -> None:
    """Ping succeeds when every model can answer, by both methods; the version is a bare text."""
    mlflow = _mlflow(pipeline, "iris")
    for method in ("GET", "POST"):
        assert mlflow.payload((method, "/ping")).body == b"\n"
    version = mlflow.payload(("GET", "/version"))
    assert (version.body.decode(), version.content_type) == (
        __version__,
        b"text/plain; charset=utf-8",
    )
    with pytest.raises(NotReady, match="it is loading"):
        mlflow.operation("GET", "/ping").encode(ServerReady(), Readiness(False, ("it is loading",)))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large, and read and written in small steps."""
    monkeypatch.setattr(json_large, "PIECE", 200)
    for place in (module, json_large, columns_module):
        monkeypatch.setattr(place, "SLICE", 64)
    monkeypatch.setattr(module, "LARGE", 10)
    monkeypatch.setattr(csv_table, "CELLS", 20)


MANY = np.arange(200.0).reshape(-1, 2).tolist()


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": MANY},
        {"instances": MANY, "params": {"k": 1}},
        {"inputs": {"X": MANY}},
        {"params": {"k": 1}, "inputs": {"X": MANY}},
        {"inputs": {name: [row[at] for row in MANY] for at, name in enumerate(NAMES)}},
        {"dataframe_split": {"columns": NAMES, "data": MANY}},
        {
            "dataframe_split": {
                "index": list(range(1000, 1100)),
                "columns": NAMES[::-1],
                "data": [row[::-1] for row in MANY],
            }
        },
        {"dataframe_records": [dict(zip(NAMES, row, strict=True)) for row in MANY]},
        {"instances": [dict(zip(NAMES, row, strict=True)) for row in MANY]},
    ],
)
def test_large_bodies_are_read_in_pieces(pipeline: Make, fields: Any) -> None:
    """The same answer, however the body is cut."""
    assert _predict(pipeline, "named", **fields) == MANY


@pytest.mark.usefixtures("small_pieces")
def test_large_csv_is_read_in_pieces(pipeline: Make) -> None:
    """The same answer, and the right row in an error."""
    lines = [",".join(NAMES), *(f"{a},{b}" for a, b in MANY)]
    assert _csv(pipeline, "named", "\n".join(lines)) == MANY
    with pytest.raises(InvalidInput, match="a text in row 100"):
        _csv(pipeline, "named", "\n".join([*lines, "1,x"]))


@pytest.mark.usefixtures("small_pieces")
def test_large_answers_by_name(pipeline: Make) -> None:
    """Records and tensors are written in pieces, too."""
    ages = [float(age) for age in range(100)]
    names = [f"n{age}" for age in range(100)]
    split = {"columns": ["age", "name"], "data": [list(p) for p in zip(ages, names, strict=True)]}
    answer = _predict(pipeline, "columns", dataframe_split=split)
    assert answer == [{"older": -age, "same": name} for age, name in zip(ages, names, strict=True)]
    named = _predict(pipeline, "columns", inputs={"age": ages, "name": names})
    assert named == {"older": [-age for age in ages], "same": [[name] for name in names]}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"inputs": [*MANY, [1, "x"]]}, "in row 100"),
        ({"inputs": [*MANY, [1]]}, "in row 100"),
        ({"inputs": [*MANY, [True, "x"]]}, "in row 100"),
        ({"dataframe_split": {"columns": [0, 1], "data": [*MANY, [1]]}}, "in row 100"),
        ({"dataframe_records": [{"sepal length": 1}] * 99}, "row 0 does not have"),
        ({"inputs": MANY, "instances": 0}, "the JSON does not fit"),
        ({"inputs": {"X": MANY, "Y": 0}}, "the JSON does not fit"),
        ({"inputs": [[1, 2]], "params": {"k": MANY}}, "the JSON does not fit"),
        ({"inputs": []}, "no row"),
        ({"more": [[1, 2]] * 2}, "exactly one of"),
    ],
)
def test_large_bodies_that_are_wrong(pipeline: Make, fields: Any, text: str) -> None:
    """The same errors, with the row's own number."""
    with pytest.raises((InvalidInput, MalformedRequest), match=text):
        _predict(pipeline, "named", **fields)


@pytest.mark.parametrize(
    "name",
    ["iris", "words", "named", "columns", "image", "line", "text", "wide", "simple", "counts"],
)
def test_the_example_works(pipeline: Make, name: str) -> None:
    """What the OpenAPI page shows of each model is answered, and fits the schemas beside it."""
    mlflow = _mlflow(pipeline, name)
    page = mlflow.operation(*INVOKE).document(mlflow.served.manager.lookup(None))
    assert page is not None
    answer = mlflow.ask(INVOKE, json.dumps(page.example).encode())
    jsonschema.validate(page.example, page.request, jsonschema.Draft202012Validator)
    jsonschema.validate(answer, page.response, jsonschema.Draft202012Validator)
    for wrong in ({"inputs": [["no number", *range(9)]]}, {"dataframe_split": {"data": 5}}, {}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, page.request, jsonschema.Draft202012Validator)
    assert mlflow.operation(*INVOKE).document(None) is None
