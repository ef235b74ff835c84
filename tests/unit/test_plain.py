"""protocols/plain: a row in, a prediction out, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from inferd.calls import Readiness, ServerReady
from inferd.errors import (
    InvalidInput,
    MalformedRequest,
    ModelNotFound,
    NotReady,
)
from inferd.pipeline import Pipeline
from inferd.protocols.plain import plugin
from inferd.protocols.plain import predict as module
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
PREDICT = ("POST", "/predict")
NAMED = ("POST", "/v1/predict/{model}")
FEATURES = ["sepal length", "sepal width", "petal length", "petal width"]


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: one input whose columns have names."""
    for name, shape, features in (
        ("named", [None, 4], FEATURES),
        ("ambiguous", [None, 2], ["features", "other"]),
    ):
        path = models / f"{name}.onnx"
        onnx_files.identity(path, shape)
        graph = onnx.load(path)
        onnx.helper.set_model_props(graph, {"inferd.features": json.dumps(features)})
        onnx.save(graph, path)


def _plain(pipeline: Make, *names: str, **settings: Any) -> Asker:
    return Asker(plugin, pipeline(*names, **settings))


def test_a_row_has_a_prediction_and_probabilities(pipeline: Make) -> None:
    """One bare row is answered with single values."""
    answer = _plain(pipeline, "iris").ask(PREDICT, body(features=[9, 0, 0, 1]))
    assert list(answer) == ["prediction", "probability", "model_version"]
    assert (answer["prediction"], answer["model_version"]) == (0, "1")
    assert sum(answer["probability"]) == pytest.approx(1)
    assert answer["probability"][0] > 0.99


def test_rows_have_lists_of_them(pipeline: Make) -> None:
    """A list of rows is answered with lists, also a list of one row."""
    plain = _plain(pipeline, "iris")
    answer = plain.ask(PREDICT, body(features=[[9, 0, 0, 1], [0, 9, 0, 1]]))
    assert list(answer) == ["predictions", "probabilities", "model_version"]
    assert answer["predictions"] == [0, 1]
    assert [len(row) for row in answer["probabilities"]] == [3, 3]
    assert plain.ask(PREDICT, body(features=[[9, 0, 0, 1]]))["predictions"] == [0]


@pytest.mark.parametrize("name", ["maps", "words", "word_maps"])
def test_classifiers_answer_alike_however_they_were_exported(pipeline: Make, name: str) -> None:
    """Maps or matrix, numbers or names: the same fields."""
    label = 2 if name == "maps" else "third"
    answer = _plain(pipeline, name).ask(PREDICT, body(features=[0, 0, 9, 1]))
    assert answer["prediction"] == label
    assert answer["probability"][2] > 0.99


def test_a_model_without_probabilities_has_none(pipeline: Make) -> None:
    """Anything but a classifier predicts with its first output, and one column is one value."""
    plain = _plain(pipeline, "columns")
    assert plain.ask(PREDICT, body(features=[1.5, "Ada"])) == {
        "prediction": -1.5,
        "model_version": "1",
    }
    rows = [[1.5, "Ada"], {"name": "Bob", "age": 2}]
    assert plain.ask(PREDICT, body(features=rows)) == {
        "predictions": [-1.5, -2.0],
        "model_version": "1",
    }
    assert plain.ask(PREDICT, body(features=[rows[1]]))["predictions"] == [-2.0]


RECORDS: list[Any] = [{"age": 1.5, "name": "Ada"}, {"name": "Bob", "age": 2}]


@pytest.mark.parametrize(
    "sent",
    [RECORDS, {"features": RECORDS}, [[1.5, "Ada"], [2, "Bob"]], [[1.5, "Ada"], RECORDS[1]]],
)
def test_many_records_are_answered_as_many_rows(pipeline: Make, sent: Any) -> None:
    """A list, bare or as the features, of rows or of records in any order: the same answer."""
    answer = _plain(pipeline, "columns").ask(PREDICT, json.dumps(sent).encode())
    assert answer == {"predictions": [-1.5, -2.0], "model_version": "1"}


@pytest.mark.parametrize("sent", [RECORDS[1], {"features": RECORDS[1]}, [2, "Bob"]])
def test_one_record_is_answered_as_one_row(pipeline: Make, sent: Any) -> None:
    """What is no list of rows is one row, and answered as one."""
    answer = _plain(pipeline, "columns").ask(PREDICT, json.dumps(sent).encode())
    assert answer == {"prediction": -2.0, "model_version": "1"}


@pytest.mark.parametrize("path", ["/predict", "/v1/predict", "/v1/predict/{model}"])
def test_a_record_by_the_names_of_features(pipeline: Make, path: str) -> None:
    """A model of one input whose columns have names takes records by them, at every URL."""
    plain = _plain(pipeline, "named")
    row, route = [9, None, 0.25, 1], ("POST", path)
    record = dict(reversed(list(zip(FEATURES, row, strict=True))))
    ordered = plain.payload(route, body(features=row), model="named").body
    for sent in (record, {"features": record}, row):
        assert plain.payload(route, json.dumps(sent).encode(), model="named").body == ordered
    listed = plain.payload(route, body(features=[row]), model="named").body
    assert plain.payload(route, json.dumps([record]).encode(), model="named").body == listed


def test_a_bare_record_may_hold_what_json_cannot_write(pipeline: Make) -> None:
    """NaN and the infinities are read in every form of a body."""
    plain = _plain(pipeline, "named")
    expected = plain.payload(PREDICT, b'{"features":[NaN,1,2,3]}').body
    record = b'{"petal width":3,"petal length":2,"sepal width":1,"sepal length":NaN}'
    assert plain.payload(PREDICT, record).body == expected
    assert plain.payload(PREDICT, b"[NaN,1,2,3]").body == expected


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (
            {"age": 1},
            "row 0 does not have the model's names: got no 'name', expected 'age', 'name'",
        ),
        ([RECORDS[0], {"age": 1, "nam": "x"}], "row 1 does not have the model's names"),
        ({"age": 1, "nam": "x"}, "got unknown 'nam' and no 'name', expected 'age', 'name'."),
        ({"age": 1, "nam": "x"}, "Did you mean 'name' by 'nam'?"),
        ({**RECORDS[0], "x": 1}, "got unknown 'x', expected 'age', 'name'"),
        ({"features": {**RECORDS[0], "x": 1}}, "got unknown 'x', expected 'age', 'name'"),
        ({}, "got no 'age', 'name'"),
        ({"features": {}}, "got no 'age', 'name'"),
        ({"age": 1, "name": None}, "got null for 'name' in row 0, expected strings, which cannot"),
        ([[1, "a"], [True, "b"]], "got true or false for 'age' in row 1, expected numbers (1 for"),
        ({"age": [1], "name": "a"}, "got a list for 'age' in row 0, expected numbers"),
        ([["red", 2.5]], "got a string for 'age' in row 0, expected numbers"),
    ],
)
def test_a_fault_of_a_record_is_told_by_its_names(pipeline: Make, sent: Any, text: str) -> None:
    """What is unknown, missing or of a wrong kind is named, with the row and the cure."""
    assert text in _plain(pipeline, "columns").refusal(PREDICT, json.dumps(sent).encode())


def test_a_column_called_features_is_the_documented_form(pipeline: Make) -> None:
    """Where a record has a column of that name, it is sent as the features."""
    plain = _plain(pipeline, "ambiguous")
    record = {"features": 2, "other": 3}
    assert plain.ask(PREDICT, body(features=record))["prediction"] == [2.0, 3.0]
    assert "Expected `object | array`" in plain.refusal(PREDICT, body(**record))


def test_missing_numbers_go_in_and_come_out(pipeline: Make) -> None:
    """null is NaN on the way in; NaN is a bare token on the way out."""
    plain = _plain(pipeline, "wide")
    assert plain.payload(PREDICT, b'{"features":[null,1]}').body == (
        b'{"prediction":[NaN,1.0],"model_version":"1"}'
    )
    assert plain.payload(PREDICT, b'{"features":[NaN,Infinity]}').body == (
        b'{"prediction":[NaN,Infinity],"model_version":"1"}'
    )
    assert plain.payload(PREDICT, b'{"features":[[NaN,1]]}').body == (
        b'{"predictions":[[NaN,1.0]],"model_version":"1"}'
    )


def test_an_image_is_many_rows_of_one(pipeline: Make) -> None:
    """The values of a row fill the inner shape, flat as one row or nested in a list of rows."""
    plain = _plain(pipeline, "image")
    image = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert plain.ask(PREDICT, body(features=[image]))["predictions"] == [image]
    assert plain.ask(PREDICT, body(features=[*image[0], *image[1]]))["prediction"] == image


def test_a_model_is_chosen_by_name_or_by_default(pipeline: Make) -> None:
    """The URL names one; without it the only or the default model answers."""
    row = body(features=[0, 9, 0, 1])
    several = _plain(pipeline, "iris", "words")
    assert several.ask(NAMED, row, model="words")["prediction"] == "second"
    assert several.refusal(PREDICT, row).startswith("several models are served")
    with pytest.raises(ModelNotFound):
        several.ask(NAMED, row, model="x")
    default = _plain(pipeline, "iris", "words", default_model="iris")
    assert default.ask(PREDICT, row)["prediction"] == 1
    assert default.ask(("POST", "/v1/predict"), row)["prediction"] == 1


@pytest.mark.parametrize(
    ("sent", "kind", "text"),
    [
        (b"", MalformedRequest, "the body is not JSON"),
        (b"{", MalformedRequest, "the body is not JSON"),
        (b"1", MalformedRequest, "Expected `object | array`, got `int`"),
        (b"[]", InvalidInput, "'features' is empty"),
        (b"{}", MalformedRequest, "the body has no 'features'"),
        (b'{"feature":[1,2,3,4]}', MalformedRequest, "the body has no 'features'"),
        (b'{"features":1}', MalformedRequest, "Expected `object | array`, got `int`"),
        (b'{"features":null}', MalformedRequest, "Expected `object | array`, got `null`"),
        (b'{"features":[]}', InvalidInput, "'features' is empty"),
        (b'{"features":[1,2]}', InvalidInput, "got 2, expected 4"),
        (b'{"features":[[1,2,3,4],[1]]}', InvalidInput, "in row 1: got 1, expected 4"),
        (b'{"features":[[1,2,3,4],5]}', InvalidInput, "got row 1 that is no list"),
        (
            b'{"features":[1,2,3,"4"]}',
            InvalidInput,
            "a string at position 3 in row 0, expected num",
        ),
        (b'{"features":[[1,2,3,4],[1,"2",3,4]]}', InvalidInput, "a string at position 1 in row 1"),
        (b'{"features":[1,2,3,[4]]}', InvalidInput, "got a list at position 3"),
        (b'{"features":[true,2,3,4]}', InvalidInput, "expected numbers (1 for true, 0 for false)"),
        (b'{"features":{"X":1}}', InvalidInput, "the names of this model's features are not known"),
        (b'{"features":[{"X":1}]}', InvalidInput, "row 0 is an object"),
    ],
)
def test_a_fault_is_told_with_got_and_expected(
    pipeline: Make, sent: bytes, kind: type[Exception], text: str
) -> None:
    """Every fault is the caller's, and its text helps to mend it."""
    plain = _plain(pipeline, "iris")
    with pytest.raises(kind):
        plain.ask(PREDICT, sent)
    assert text in plain.refusal(PREDICT, sent)


def test_health_and_readiness(pipeline: Make) -> None:
    """Two words about health; what is not ready says why."""
    plain = _plain(pipeline, "iris")
    assert plain.ask(("GET", "/health")) == {"status": "healthy"}
    assert plain.ask(("GET", "/ready")) == {"status": "ready"}
    ready = plain.operation("GET", "/ready")
    with pytest.raises(NotReady, match="not ready: a; b"):
        ready.encode(ServerReady(), Readiness(False, ("a", "b")))


class TestLarge:
    """Bodies that are read in pieces are answered as if they had been read whole."""

    @pytest.fixture(autouse=True)
    def small_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every body is large, and every piece tiny."""
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(json_large, "WINDOW", 16)
        monkeypatch.setattr(json_large, "PIECE", 8)

    def _both(self, plain: Asker, sent: bytes) -> tuple[Any, Any]:
        outcomes: list[Any] = []
        for limit in (1 << 20, 0):
            self.monkeypatch.setattr(module, "LARGE", limit)
            try:
                outcomes.append(plain.payload(PREDICT, sent).body)
            except (InvalidInput, MalformedRequest) as error:
                outcomes.append(type(error))
        return outcomes[0], outcomes[1]

    @pytest.mark.parametrize(
        "sent",
        [
            body(features=[[9, 0, 0, 1]] * 9),
            body(features=[[float(at), 0.5, 1e3, -7] for at in range(40)]),
            b'{"a":"[[", "features":[[1,2,3,null],[NaN,2,3,4]]}',
            body(features=[[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3]]),
            body(features=[[1, 2, 3, 4], [1, 2, 3, "4"]]),
            b'{"features":[[1,2,3,4],,[1,2,3,4]]}',
            b'{"features":[[1,2,3,4],[1,2,3,4],]}',
            b'{"features":[[1,2,3,4],[1,2,3,4]}',
            b'{"features":[[1,2,3,4],[1,2,3,4]]',
            b'{"features":-[[1,2,3,4],[1,2,3,4]]}',
            b" \n [[1,2,3,4],[1,2,3,null]]",
            b"[[1,2,3,4],[1,2,3]]",
            b"[[1,2,3,4],[1,2,3,4],]",
            b"[[1,2,3,4]],[[1,2,3,4]]",
            b"[]",
            b"[                          ]",
            b'{"features":[                          ]}',
        ],
    )
    def test_rows(self, pipeline: Make, sent: bytes) -> None:
        """Many rows: the same bytes, or the same kind of refusal."""
        small, large = self._both(_plain(pipeline, "iris"), sent)
        assert small == large

    @pytest.mark.parametrize(
        "sent", [body(features=[9.25, 0.5, 0.125, 1]), body(features=[9, 0, 0, 1], note="x" * 99)]
    )
    def test_one_bare_row(self, pipeline: Make, sent: bytes) -> None:
        """A single row of many features may be as long as many rows."""
        small, large = self._both(_plain(pipeline, "iris"), sent)
        assert small == large

    @pytest.mark.parametrize(
        "sent",
        [
            [dict(zip(FEATURES, [9, 0, at, 1], strict=True)) for at in range(20)],
            [dict(zip(FEATURES[::-1], [9, 0, None, 1], strict=True)), [1, 2, 3, 4]] * 5,
            [dict.fromkeys(FEATURES, 1)] * 9 + [{"sepal length": 1}],
            dict.fromkeys(FEATURES, 1),
            {**dict.fromkeys(FEATURES, 1), "petal width": [1, 2, 3, 4, 5, 6, 7, 8]},
            [1, 2, 3, 4],
            [12345678, 12345678, 12345678, 12345678, 12345678],
            [],
        ],
    )
    @pytest.mark.parametrize("bare", [True, False])
    def test_records(self, pipeline: Make, sent: Any, bare: bool) -> None:
        """Records, bare or as the features: the same bytes, or a refusal all the same."""
        document = json.dumps(sent if bare else {"features": sent}).encode()
        small, large = self._both(_plain(pipeline, "named"), document)
        refused = [isinstance(outcome, type) for outcome in (small, large)]
        assert small == large or all(refused)

    def test_a_long_list_elsewhere(self, pipeline: Make) -> None:
        """A list that is long where none is expected is refused, and nothing crashes."""
        self.monkeypatch.setattr(module, "LARGE", 0)
        for sent in (body(x=[1] * 99), body(features=0, x=[1] * 99), body(features=1)):
            with pytest.raises((InvalidInput, MalformedRequest)):
                _plain(pipeline, "iris").ask(PREDICT, sent)

    def test_columns(self, pipeline: Make) -> None:
        """Rows for several inputs, as lists and as objects."""
        rows: list[Any] = [[1.5, 'a"],['], {"name": "b\\", "age": 2}] * 5
        small, large = self._both(_plain(pipeline, "columns"), body(features=rows))
        assert small == large
        assert json.loads(large)["predictions"] == [-1.5, -2.0] * 5

    def test_an_unfit_row_is_told_with_its_own_number(self, pipeline: Make) -> None:
        """Rows are counted over all pieces."""
        self.monkeypatch.setattr(module, "LARGE", 0)
        rows = [[1, 2, 3, 4]] * 30 + [[1, 2]]
        text = _plain(pipeline, "iris").refusal(PREDICT, body(features=rows))
        assert "in row 30: got 2, expected 4" in text


def test_the_page_shows_the_row_that_a_model_takes(pipeline: Make) -> None:
    """Names, kinds and an example that is answered; nothing without a model."""
    plain = _plain(pipeline, "columns", "iris", "words", "named", default_model="columns")
    operation = plain.operation(*NAMED)
    assert operation.document(None) is None
    for name in ("columns", "iris", "words", "named"):
        page = operation.document(plain.served.manager.lookup(name))
        assert page is not None
        assert "prediction" in plain.ask(NAMED, body(**page.example), model=name)
        assert name in page.summary
    for path in ("/health", "/ready"):
        assert plain.operation("GET", path).document(None) is not None


def test_the_page_shows_rows_and_records(pipeline: Make) -> None:
    """Where features have names, the record is shown with their kinds, and its examples work."""
    plain = _plain(pipeline, "columns")
    page = plain.operation(*NAMED).document(plain.served.manager.lookup("columns"))
    assert page is not None
    assert page.request is not None
    assert page.example == {"features": [41.5, "Ada"]}
    wrapped, record, records = page.request["anyOf"]
    one, many, *_ = wrapped["properties"]["features"]["anyOf"]
    assert one["description"] == "In this order: age, name"
    assert one["items"] == {"anyOf": [{"type": "number"}, {"type": "string"}]}
    assert one["maxItems"] == many["items"]["maxItems"] == 2
    assert record["properties"] == {"age": {"type": "number"}, "name": {"type": "string"}}
    assert record["required"] == ["age", "name"]
    assert record["examples"] == [{"age": 41.5, "name": "Ada"}]
    for form, field in ((record, "prediction"), (records, "predictions")):
        (example,) = form["examples"]
        assert field in plain.ask(PREDICT, json.dumps(example).encode())


def test_the_page_shows_no_record_without_names(pipeline: Make) -> None:
    """Where the names are not known, rows are all there is."""
    plain = _plain(pipeline, "iris")
    page = plain.operation(*NAMED).document(plain.served.manager.lookup("iris"))
    assert page is not None
    assert page.request is not None
    titles = [form["title"] for form in page.request["properties"]["features"]["anyOf"]]
    assert titles == ["one row", "many rows"]


def test_an_error_can_be_told_without_a_message() -> None:
    """A request that could not be read is answered all the same."""
    payload = plugin.encode_error(MalformedRequest("it is no request"), None)
    assert json.loads(payload.body) == {"error": "it is no request"}
