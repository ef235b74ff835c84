"""protocols/tfserving: Examples to scores and values, without a socket; and the classes' names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

from inferd.artifact import Artifact
from inferd.calls import InferRequest, InferResponse
from inferd.compiling.compiler import Options, compile_fitted
from inferd.errors import InferdError, InvalidInput
from inferd.estimators.fitted import Fitted
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message, PerHandle
from inferd.protocols.tfserving import body, examples, plugin
from inferd.protocols.tfserving.examples import read_example
from inferd.runtimes.base import FittedRuntime
from inferd.runtimes.onnx.runtime import OnnxRuntime
from inferd.runtimes.remote.runtime import RemoteRuntime
from inferd.wire import json_large
from tests.unit import onnx_files
from tests.unit.asking import Asker

Make = Callable[..., Pipeline]
CLASSIFY = ("POST", "/v1/models/{model}:classify")
REGRESS = ("POST", "/v1/models/{model}:regress")
FEATURES = ["a", "b", "c", "d"]
ROW = dict(zip(FEATURES, [9.0, 0.0, 0.0, 1.0], strict=True))


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: features and classes with names; and a regression."""
    path = models / "species.onnx"
    onnx_files.classifier(path)
    graph = onnx.load(path)
    told = {"inferd.features": json.dumps(FEATURES), "inferd.classes": '["x", "100 %", "z"]'}
    onnx.helper.set_model_props(graph, told)
    onnx.save(graph, path)
    onnx_files.identity(models / "line.onnx", [None, 1])
    onnx_files.identity(models / "doubles.onnx", [None, 1], TensorProto.DOUBLE)


@pytest.fixture
def ask(pipeline: Make) -> Callable[..., Any]:
    """Asks a model; an error is its text."""

    def asked(model: str, route: tuple[str, str], sent: Any) -> Any:
        asker = Asker(plugin, pipeline(model))
        document = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        try:
            return json.loads(asker.payload(route, document, model=model).body)
        except InferdError as error:
            return json.loads(plugin.encode_error(error, None).body)["error"]

    return asked


Ask = Callable[..., Any]


class TestClassify:
    """``:classify``: for each Example the classes' names and scores."""

    def test_names_and_scores(self, ask: Ask) -> None:
        """In the order of the classes, by the names that the model holds."""
        answer = ask("species", CLASSIFY, {"examples": [ROW, {**ROW, "a": 0.0, "c": 9.0}]})
        assert list(answer) == ["results"]
        assert [[label for label, _ in row] for row in answer["results"]] == [
            ["x", "100 %", "z"]
        ] * 2
        scores = np.array([[score for _, score in row] for row in answer["results"]])
        assert scores.argmax(axis=1).tolist() == [0, 2]

    def test_a_row_without_names(self, ask: Ask) -> None:
        """Where the features have no names, the input's is that of a whole row; an unknown class
        has the empty label."""
        (row,) = ask("iris", CLASSIFY, {"examples": [{"X": [9.0, 0.0, 0.0, 1.0]}]})["results"]
        assert [label for label, _ in row] == ["", "", ""]
        assert row[0][1] > 0.99

    @pytest.mark.parametrize("name", ["serving_default", "classify", ""])
    def test_its_signatures(self, ask: Ask, name: str) -> None:
        """The default one, and its own."""
        sent = {"signature_name": name, "examples": [ROW]}
        assert len(ask("species", CLASSIFY, sent)["results"]) == 1

    def test_what_all_share(self, ask: Ask) -> None:
        """A context is a part of every Example, whose own value counts."""
        shared = {"a": 9.0, "b": 5.0, "unknown": "x"}
        sent = {"context": shared, "examples": [{"b": 0.0, "c": 0.0, "d": 1.0}] * 2}
        plain = {"examples": [ROW] * 2}
        assert ask("species", CLASSIFY, sent) == ask("species", CLASSIFY, plain)

    def test_what_stands_for_too_much(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        """An Example of two bytes has all that is shared."""
        monkeypatch.setattr(examples, "MOST_SHARED", 8)
        fits, more = ({"context": ROW, "examples": [{}] * count} for count in (2, 3))
        assert len(ask("species", CLASSIFY, fits)["results"]) == 2
        assert "the context stands for too many values" in ask("species", CLASSIFY, more)

    def test_integers_are_numbers(self, ask: Ask) -> None:
        """A whole number or a list of one is as good as a fraction."""
        whole = {"examples": [{"a": 9, "b": [0], "c": [0.0], "d": True}]}
        assert ask("species", CLASSIFY, whole) == ask("species", CLASSIFY, {"examples": [ROW]})

    @pytest.mark.parametrize(
        ("route", "sent", "text"),
        [
            (
                CLASSIFY,
                {},
                "JSON Value: {} When method is classify, key 'examples' is expected and was not",
            ),
            (REGRESS, {}, "When method is classify, key 'examples' is expected and was not found"),
            (CLASSIFY, {"examples": 1}, "Expecting 'examples' value to be an list/array"),
            (CLASSIFY, {"examples": []}, "'examples' value is an empty array"),
            (CLASSIFY, {"examples": [[1]]}, "Example must be JSON object but got JSON Array"),
            (CLASSIFY, {"context": 1, "examples": [ROW]}, "Example must be JSON object but got"),
            (
                CLASSIFY,
                {"signature_name": "foo", "examples": [ROW]},
                "No signature was found with the name: foo",
            ),
            (REGRESS, {"examples": [ROW]}, "No regression inputs found in SignatureDef"),
            (CLASSIFY, {"signature_name": 1}, "'signature_name' key must be a string value."),
            (CLASSIFY, {"examples": [{"a": 1.0}]}, "Feature: b is required but could not be found"),
            (CLASSIFY, {"examples": [ROW, {**ROW, "d": []}]}, "could not be found in example 1."),
            (CLASSIFY, {"examples": [{**ROW, "d": [1.0, 2.0]}]}, "Key: d.  Number of values !="),
            (CLASSIFY, {"examples": [ROW, {**ROW, "d": "x"}]}, "a string for 'd' in row 1"),
        ],
    )
    def test_faults(self, ask: Ask, route: tuple[str, str], sent: Any, text: str) -> None:
        """Each in TensorFlow Serving's words, or with the feature and the row."""
        assert text in ask("species", route, sent)

    def test_examples_are_read_before_the_model_is_looked_for(self, pipeline: Make) -> None:
        """What is wrong with them is told of an unknown model, too."""
        asker = Asker(plugin, pipeline("species"))
        assert "empty array" in asker.refusal(CLASSIFY, b'{"examples":[]}', model="nobody")
        assert asker.refusal(CLASSIFY, b'{"examples":[{}]}', model="nobody") == (
            "Servable not found for request: Latest(nobody)"
        )


class TestRegress:
    """``:regress``: for each Example a value."""

    def test_a_value_each(self, ask: Ask) -> None:
        """Of one column or none, as float32."""
        assert ask("line", REGRESS, {"examples": [{"X": 2.5}, {"X": [3.0]}]}) == {
            "results": [2.5, 3.0]
        }
        assert ask("doubles", REGRESS, {"examples": [{"X": 1 / 3}]}) == {"results": [0.333333343]}
        sent = {"examples": [{"age": 2.5, "name": {"b64": "QWRh"}}]}
        assert ask("columns", REGRESS, sent) == {"results": [-2.5]}

    def test_who_does_not_regress(self, ask: Ask) -> None:
        """A model of several values a row has neither signature."""
        for route in (CLASSIFY, REGRESS):
            assert "inputs found in SignatureDef" in ask("wide", route, {"examples": [{"X": 1.0}]})
        for name in ("simple", "scalar", "fixed"):
            assert "No regression" in ask(name, REGRESS, {"examples": [{"X": 1.0}]})


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ([10, 10.0], "Unexpected element type in feature: names expecting type: int64"),
        ([1.5, "a"], "Unexpected element type in feature: names expecting type: float"),
        (["a", 1], "Unexpected element type in feature: names expecting type: bytes"),
        ([None], "Feature: names has element with unexpected JSON type: Null"),
        (None, "Feature: names has element with unexpected JSON type: Null"),
        ([[1]], "Feature: names has element with unexpected JSON type: Array"),
        ({"x": 1}, "Feature: names has element with unexpected JSON type: Object"),
        (1 << 63, "Feature: names has uint64_t element. Only int64_t is supported."),
        ({"b64": "?"}, "Unable to base64 decode"),
    ],
)
def test_a_feature_is_of_one_kind(sent: Any, text: str) -> None:
    """Kinds are told by the tokens and may not be mixed; what no list holds is named."""
    with pytest.raises(InvalidInput) as caught:
        read_example({"names": sent})
    assert text in str(caught.value)


def test_features_are_lists() -> None:
    """A value alone is a list of one; true and false are whole numbers."""
    sent = {"a": [1, True, False], "b": 1.5, "c": ["x", {"b64": "eQ=="}], "d": []}
    assert read_example(sent) == {"a": [1, 1, 0], "b": [1.5], "c": ["x", "y"], "d": []}


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=4,
        ),
    )
)
def test_any_example_is_read_or_refused(sent: Any) -> None:
    """What is read has lists of one kind each."""
    try:
        found = read_example(sent)
    except InvalidInput:
        return
    assert found.keys() == sent.keys()
    assert all(len(set(map(type, values))) < 2 for values in found.values())


def test_large_bodies_are_answered_alike(pipeline: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples that are read in pieces get the answers of those that are read whole."""
    asker = Asker(plugin, pipeline("species"))
    monkeypatch.setattr(json_large, "PIECE", 8)
    for sent in ([{**ROW, "a": float(at)} for at in range(9)], [ROW, {**ROW, "d": "x"}], []):
        told: list[Any] = []
        for limit in (1 << 20, 0):
            monkeypatch.setattr(body, "LARGE", limit)
            document = json.dumps({"examples": sent}).encode()
            try:
                told.append(asker.payload(CLASSIFY, document, model="species").body)
            except InferdError as error:
                told.append(str(error))
        assert told[0] == told[1]


def test_another_number_of_scores_has_no_labels(pipeline: Make) -> None:
    """Names are never given to other columns than their own."""
    asker = Asker(plugin, pipeline("species"))
    call = asker.decode(CLASSIFY[1], json.dumps({"examples": [ROW]}).encode(), model="species")
    assert isinstance(call, InferRequest)
    response = InferResponse(call, {"scores": np.array([[0.25, 0.75]])})
    told = asker.operation(*CLASSIFY).encode(call, response).body
    assert told == b'{"results":[[["",0.25],["",0.75]]]}'


def test_its_documents_are_true(pipeline: Make) -> None:
    """The example of a model is answered; a model without the signature has no page."""
    for model, route in (
        ("species", CLASSIFY),
        ("iris", CLASSIFY),
        ("words", CLASSIFY),
        ("line", REGRESS),
        ("columns", REGRESS),
        ("table", REGRESS),
    ):
        served = pipeline(model)
        asker = Asker(plugin, served)
        page = asker.operation(*route).document(served.manager.lookup(model))
        assert page is not None
        document = json.dumps(page.example, allow_nan=False).encode()
        assert len(asker.ask(route, document, model=model)["results"]) == 1
        other = CLASSIFY if route is REGRESS else REGRESS
        assert asker.operation(*other).document(served.manager.lookup(model)) is None
        assert asker.operation(*other).document(None) is None


def test_what_is_made_for_a_handle_goes_with_it() -> None:
    """It is made once, and not kept beyond the handle."""

    class Handle:
        pass

    kept = PerHandle(lambda handle: [handle is not None])
    handle: Any = Handle()
    assert kept(handle) is kept(handle)
    del handle
    assert kept._made == {}


class TestClasses:
    """The names of classes, from the model to its handle."""

    ROWS, LABELS = np.eye(3).repeat(4, axis=0), np.repeat(["b", "a", "c"], 4)

    def test_of_a_classifier(self) -> None:
        """As its labels are written, in the order of its probabilities."""
        assert Fitted.of(LogisticRegression().fit(self.ROWS, self.LABELS)).classes() == (
            "a",
            "b",
            "c",
        )
        numbered = LogisticRegression().fit(self.ROWS, np.repeat([5, 1, 3], 4))
        assert Fitted.of(numbered).classes() == ("1", "3", "5")

    def test_of_what_has_none(self) -> None:
        """A regression, a clustering and a classifier of several labels have no such names."""
        two = np.repeat([[0, 1], [1, 0], [1, 1]], 4, axis=0)
        for model in (
            LinearRegression().fit(self.ROWS, np.arange(12)),
            KMeans(2, n_init=1).fit(self.ROWS),
            MultiOutputClassifier(LogisticRegression()).fit(self.ROWS, two),
        ):
            assert Fitted.of(model).classes() == ()

    def test_they_are_compiled_in(self, tmp_path: Path) -> None:
        """The compiled file has them, and so has its runtime here and in another process."""
        fitted = Fitted.of(LogisticRegression().fit(self.ROWS, self.LABELS))
        compiled = compile_fitted(fitted, Options())
        assert compiled.onnx is not None
        path = tmp_path / "model.onnx"
        path.write_bytes(compiled.onnx)
        artifact = Artifact(path)
        assert OnnxRuntime.open(artifact).classes() == fitted.classes()
        remote = RemoteRuntime.start(artifact, "onnx", 1)
        assert remote.classes() == fitted.classes()
        remote.close()

    def test_a_fitted_runtime_has_its_models(self) -> None:
        """And a runtime that knows nothing has none."""

        class Own(FittedRuntime):
            name = "own"

            @classmethod
            def recognises(cls, artifact: Artifact) -> bool:
                return False

            @classmethod
            def open(cls, artifact: Artifact) -> "Own":
                raise NotImplementedError

        own = Own(Fitted.of(LogisticRegression().fit(self.ROWS, self.LABELS)))
        assert own.classes() == ("a", "b", "c")

    def test_a_file_without_them(self, models: Path) -> None:
        """Has none, as a damaged list has."""
        assert OnnxRuntime.open(Artifact(models / "iris.onnx")).classes() == ()


def test_the_message_that_asks_has_one_place() -> None:
    """A version in the URL is that of the Examples' model, too."""
    message = Message(b'{"examples":[{"X":1.0}]}', {"model": "m", "version": "9" * 30})
    (operation,) = [r.operation for r in plugin.routes if r.path.endswith("{version}:regress")]
    with pytest.raises(InvalidInput, match=r"Failed to convert version: 9+ to numeric\."):
        operation.decode(message, lambda *_: pytest.fail("it was looked for"))
