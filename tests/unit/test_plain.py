"""protocols/plain: a row in, a prediction out, without a socket."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from inferd.calls import Readiness, ServerReady
from inferd.errors import (
    InvalidInput,
    MalformedRequest,
    ModelNotFound,
    NotReady,
    UnsupportedEncoding,
)
from inferd.pipeline import Pipeline
from inferd.protocols.plain import plugin
from inferd.protocols.plain import predict as module
from inferd.wire import json_large
from tests.unit.asking import Asker, body

Make = Callable[..., Pipeline]
PREDICT = ("POST", "/predict")
NAMED = ("POST", "/v1/predict/{model}")


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
        (b"[]", MalformedRequest, "Expected `object`, got `array`"),
        (b"{}", MalformedRequest, "missing required field `features`"),
        (b'{"features":1}', MalformedRequest, "Expected `array`, got `int`"),
        (b'{"features":[]}', InvalidInput, "'features' is empty"),
        (b'{"features":[1,2]}', InvalidInput, "got 2, expected 4"),
        (b'{"features":[[1,2,3,4],[1]]}', InvalidInput, "in row 1: got 1, expected 4"),
        (b'{"features":[[1,2,3,4],5]}', InvalidInput, "got row 1 that is no list"),
        (b'{"features":[1,2,3,"4"]}', InvalidInput, "got a string at position 3, expected numbers"),
        (b'{"features":[1,2,3,[4]]}', InvalidInput, "got a list at position 3"),
        (b'{"features":[true,2,3,4]}', InvalidInput, "got true or false at position 0"),
        (b'{"features":[{"X":1}]}', InvalidInput, "got row 0 that is no list"),
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


def test_a_body_in_another_encoding_is_not_spoken(pipeline: Make) -> None:
    """A compressed body is refused by name; identity is none."""
    plain = _plain(pipeline, "iris")
    row = body(features=[9, 0, 0, 1])
    assert plain.ask(PREDICT, row, {b"content-encoding": b"Identity"})["prediction"] == 0
    with pytest.raises(UnsupportedEncoding, match="expected identity"):
        plain.ask(PREDICT, row, {b"content-encoding": b"gzip"})


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
    plain = _plain(pipeline, "columns", "iris", "words", default_model="columns")
    operation = plain.operation(*NAMED)
    assert operation.document(None) is None
    for name in ("columns", "iris", "words"):
        page = operation.document(plain.served.manager.lookup(name))
        assert page is not None
        assert "prediction" in plain.ask(NAMED, body(**page.example), model=name)
        assert name in page.summary
    page = operation.document(plain.served.manager.lookup("columns"))
    assert page is not None
    assert page.example == {"features": [41.5, "Ada"]}
    one, many = page.request["properties"]["features"]["anyOf"]  # type: ignore[index]
    assert one["description"] == "In this order: age, name"
    assert one["items"] == {"anyOf": [{"type": "number"}, {"type": "string"}]}
    assert one["maxItems"] == many["items"]["maxItems"] == 2
    for path in ("/health", "/ready"):
        assert plain.operation("GET", path).document(None) is not None


def test_an_error_can_be_told_without_a_message() -> None:
    """A request that could not be read is answered all the same."""
    payload = plugin.encode_error(MalformedRequest("it is no request"), None)
    assert json.loads(payload.body) == {"error": "it is no request"}
