"""protocols/tfserving/grpc: Examples by Classify, Regress and MultiInference, without a socket."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from inferd.calls import InferResponse
from inferd.errors import Code
from inferd.pipeline import Pipeline
from inferd.protocols.tfserving import examples, plugin
from inferd.protocols.tfserving.grpc.results import result
from inferd.protocols.tfserving.signatures import CLASSIFY, PREDICT, REGRESS, ExamplesPlan
from inferd.wire.proto import message
from tests.unit import onnx_files
from tests.unit.asking import Asker
from tests.unit.tfserving_rpc import RpcAsker, made

Make = Callable[..., Pipeline]
FEATURES = ["a", "b", "c", "d"]
LABELS = ["x", "100 %", "z"]
ROW = dict(zip(FEATURES, [9.0, 0.0, 0.0, 1.0], strict=True))
OTHER = {**ROW, "a": 0.0, "c": 9.0}
INVALID = Code.INVALID_ARGUMENT


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: features and classes with names; and a regression."""
    path = models / "species.onnx"
    onnx_files.classifier(path)
    graph = onnx.load(path)
    told = {"inferd.features": json.dumps(FEATURES), "inferd.classes": json.dumps(LABELS)}
    onnx.helper.set_model_props(graph, told)
    onnx.save(graph, path)
    onnx_files.identity(models / "line.onnx", [None, 1])
    onnx_files.identity(models / "doubles.onnx", [None, 1], TensorProto.DOUBLE)


def example(features: Mapping[str, Any]) -> Any:
    """An Example; a value alone is a list of one, and its kind that of its first value."""
    sent = message("tensorflow.Example")()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        feature = sent.features.feature[name]
        if not values:
            continue
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(values[0])]
        getattr(feature, kind).value.extend(values)
    return sent


def put_in(sent: Any, examples: list[Mapping[str, Any]], context: Mapping[str, Any] | None) -> Any:
    """Examples, as the Input of a request."""
    listed = sent.example_list if context is None else sent.example_list_with_context
    listed.SetInParent()
    listed.examples.extend([example(each) for each in examples])
    if context is not None:
        listed.context.CopyFrom(example(context))


def asks(
    kind: str,
    model: str,
    examples: list[Mapping[str, Any]],
    *,
    signature: str = "",
    context: Mapping[str, Any] | None = None,
) -> Any:
    """A ClassificationRequest or a RegressionRequest."""
    request = made(f"{kind}Request", model_spec={"name": model, "signature_name": signature})
    put_in(request.input, examples, context)
    return request


def infers(
    tasks: list[tuple[str, str]], examples: list[Mapping[str, Any]], model: str = "species"
) -> Any:
    """A MultiInferenceRequest of signatures and methods."""
    request = made("MultiInferenceRequest")
    for signature, method in tasks:
        spec = {"name": model, "signature_name": signature}
        request.tasks.add(model_spec=spec, method_name=method)
    put_in(request.input, examples, None)
    return request


def classes(answer: Any) -> list[list[tuple[str, float]]]:
    """What a ClassificationResult says."""
    return [[(each.label, each.score) for each in row.classes] for row in answer.classifications]


class TestClassify:
    """For each Example the classes' names and scores."""

    def test_the_same_as_over_rest(self, pipeline: Make) -> None:
        """Names, scores and their order."""
        served = pipeline("species")
        document = json.dumps({"examples": [ROW, OTHER]}).encode()
        route = ("POST", "/v1/models/{model}:classify")
        told = Asker(plugin, served).ask(route, document, model="species")["results"]
        request = asks("Classification", "species", [ROW, OTHER])
        answer = RpcAsker(served).ask("Classify", request)
        assert [[label for label, _ in row] for row in classes(answer.result)] == [LABELS] * 2
        scores = [[score for _, score in row] for row in classes(answer.result)]
        assert scores == np.array([[s for _, s in row] for row in told], np.float32).tolist()

    @pytest.mark.parametrize(
        ("asked", "told"),
        [("", "serving_default"), ("serving_default", "serving_default"), ("classify", "classify")],
    )
    def test_its_model_spec(self, pipeline: Make, asked: str, told: str) -> None:
        """By the default signature, or its own."""
        request = asks("Classification", "species", [ROW], signature=asked)
        answer = RpcAsker(pipeline("species")).ask("Classify", request)
        assert answer.model_spec == made(
            "ModelSpec", name="species", version={"value": 1}, signature_name=told
        )

    def test_a_row_without_names(self, pipeline: Make) -> None:
        """Where the features have no names, the input's is that of a whole row; an unknown class
        has the empty label."""
        request = asks("Classification", "iris", [{"X": [9.0, 0.0, 0.0, 1.0]}])
        (row,) = classes(RpcAsker(pipeline("iris")).ask("Classify", request).result)
        assert [label for label, _ in row] == ["", "", ""]
        assert row[0][1] > 0.99

    def test_what_all_share(self, pipeline: Make) -> None:
        """A context is a part of every Example, whose own value counts, as when their bytes are
        joined."""
        asker = RpcAsker(pipeline("species"))
        shared, own = {"a": 9.0, "b": 5.0, "unknown": b"x"}, {"b": 0.0, "c": 0.0, "d": 1.0}
        joined = example(shared).SerializeToString() + example(own).SerializeToString()
        assert message("tensorflow.Example").FromString(joined) == example({**shared, **own})
        request = asks("Classification", "species", [own] * 2, context=shared)
        plain = asks("Classification", "species", [ROW] * 2)
        assert asker.ask("Classify", request) == asker.ask("Classify", plain)

    def test_a_context_that_stands_for_too_much(
        self, pipeline: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An Example of two bytes has all that is shared, but for what no feature is called."""
        monkeypatch.setattr(examples, "MOST_SHARED", 8)
        asker = RpcAsker(pipeline("species"))
        for count in (2, 3):
            shared = {**ROW, "unknown": [1.0] * 99}
            request = asks("Classification", "species", [{}] * count, context=shared)
            if count == 2:
                assert len(asker.ask("Classify", request).result.classifications) == count
            else:
                assert asker.refusal("Classify", request) == (
                    INVALID,
                    "the context stands for too many values: got 4 values for each of 3 Examples, "
                    "expected at most 8 values. Send fewer Examples in one request, or their "
                    "features with them.",
                )

    def test_a_long_text_stands_for_more(
        self, pipeline: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A model would copy it for each Example."""
        monkeypatch.setattr(examples, "MOST_SHARED", 8)
        asker = RpcAsker(pipeline("columns"))
        for name, fits in ((b"x" * 7, True), (b"x" * 99, False)):
            request = asks("Regression", "columns", [{"age": 2.5}] * 3, context={"name": name})
            if fits:
                assert len(asker.ask("Regress", request).result.regressions) == 3
            else:
                assert "too many values" in asker.refusal("Regress", request)[1]

    def test_integers_are_numbers(self, pipeline: Make) -> None:
        """A whole number does for a feature that is a fraction."""
        asker = RpcAsker(pipeline("species"))
        whole = asks("Classification", "species", [{"a": 9, "b": 0, "c": 0, "d": 1}])
        plain = asks("Classification", "species", [ROW])
        assert asker.ask("Classify", whole) == asker.ask("Classify", plain)

    @pytest.mark.parametrize(
        ("method", "sent", "code", "text"),
        [
            ("Classify", [], INVALID, "Input is empty."),
            ("Classify", [{"a": 1.0}], INVALID, "Feature: b is required but could not be found"),
            ("Classify", [ROW, {**ROW, "d": []}], INVALID, "could not be found in example 1."),
            ("Classify", [{**ROW, "d": [1.0, 2.0]}], INVALID, "Key: d.  Number of values !="),
            ("Classify", [ROW, {**ROW, "d": b"x"}], INVALID, "a string for 'd' in row 1"),
            ("Classify", [{**ROW, "d": b"\xff"}], INVALID, "Feature: d is not text"),
            ("Regress", [ROW], Code.FAILED_PRECONDITION, "No regression inputs found in Signat"),
        ],
    )
    def test_faults(
        self, pipeline: Make, method: str, sent: list[Any], code: Code, text: str
    ) -> None:
        """Each in TensorFlow Serving's words, or with the feature and the row."""
        kind = {"Classify": "Classification", "Regress": "Regression"}[method]
        told = RpcAsker(pipeline("species")).refusal(method, asks(kind, "species", sent))
        assert told[0] is code
        assert text in told[1]

    @pytest.mark.parametrize(
        ("method", "kind"), [("Classify", "Classification"), ("Regress", "Regression")]
    )
    def test_what_comes_first(self, pipeline: Make, method: str, kind: str) -> None:
        """The ModelSpec, the model, the signature, and then the Examples."""
        asker = RpcAsker(pipeline("species"))
        request = made(f"{kind}Request")
        assert asker.refusal(method, request) == (INVALID, "Missing ModelSpec")
        request.model_spec.signature_name = "foo"
        assert asker.refusal(method, request) == (INVALID, "ModelSpec has no name specified.")
        request.model_spec.name = "nobody"
        assert asker.refusal(method, request) == (
            Code.NOT_FOUND,
            "Servable not found for request: Latest(nobody)",
        )
        request.model_spec.name = "species"
        assert asker.refusal(method, request) == (
            INVALID,
            "No signature was found with the name: foo",
        )
        if method == "Classify":
            request.model_spec.signature_name = ""
            assert asker.refusal(method, request) == (INVALID, "Input is empty.")
            request.input.example_list_with_context.context.SetInParent()
            assert asker.refusal(method, request) == (INVALID, "Input is empty.")


class TestRegress:
    """For each Example a value."""

    def test_a_value_each(self, pipeline: Make) -> None:
        """Of one column or none, as float32."""
        asker = RpcAsker(pipeline("line", "doubles", "columns"))
        for model, sent, expected in (
            ("line", [{"X": 2.5}, {"X": [3.0]}], [2.5, 3.0]),
            ("doubles", [{"X": 0.25}], [0.25]),
            ("columns", [{"age": 2.5, "name": b"Ada"}], [-2.5]),
        ):
            answer = asker.ask("Regress", asks("Regression", model, sent))  # type: ignore[arg-type]  # as it is
            assert [each.value for each in answer.result.regressions] == expected
            assert answer.model_spec.name == model


class TestMultiInference:
    """Several signatures of one model with the same Examples."""

    def test_several_tasks(self, pipeline: Make) -> None:
        """Each has its own result, as if it were asked alone, and one run answers all."""
        asker = RpcAsker(pipeline("species"))
        request = infers([("classify", CLASSIFY), ("", CLASSIFY)], [ROW, OTHER])
        call = asker.decode("MultiInference", request)
        assert call.outputs == ("scores",)
        assert call.rows == 2
        answer = asker.ask("MultiInference", request)
        for told, name in zip(answer.results, ("classify", ""), strict=True):
            alone = asker.ask(
                "Classify", asks("Classification", "species", [ROW, OTHER], signature=name)
            )
            assert told.classification_result == alone.result
            assert told.model_spec == alone.model_spec

    def test_a_regression(self, pipeline: Make) -> None:
        """Has the other field."""
        request = infers([("regress", REGRESS)], [{"X": 2.5}], "line")
        (told,) = RpcAsker(pipeline("line")).ask("MultiInference", request).results
        assert told.WhichOneof("result") == "regression_result"
        assert [each.value for each in told.regression_result.regressions] == [2.5]
        assert told.model_spec.signature_name == "regress"

    @pytest.mark.parametrize(
        ("tasks", "code", "text"),
        [
            ([], INVALID, "ModelSpec has no name specified."),
            (
                [("classify", CLASSIFY), ("classify", CLASSIFY)],
                INVALID,
                "Duplicate evaluation of signature: classify",
            ),
            (
                [("", CLASSIFY), ("serving_default", CLASSIFY)],
                INVALID,
                "Duplicate evaluation of signature: serving_default",
            ),
            (
                [("classify", CLASSIFY), ("s", CLASSIFY)],
                INVALID,
                "Requested signature not found in model graph: s",
            ),
            (
                [("classify", PREDICT)],
                Code.UNIMPLEMENTED,
                "Unsupported signature method_name: tensorflow/serving/predict",
            ),
            ([("classify", "")], Code.UNIMPLEMENTED, "Unsupported signature method_name: "),
        ],
    )
    def test_faults(
        self, pipeline: Make, tasks: list[tuple[str, str]], code: Code, text: str
    ) -> None:
        """Each in TensorFlow Serving's words."""
        told = RpcAsker(pipeline("species")).refusal("MultiInference", infers(tasks, [ROW]))
        assert told == (code, text)

    def test_faults_of_the_models(self, pipeline: Make) -> None:
        """All tasks name the model that the first one names; its version is the first one's."""
        asker = RpcAsker(pipeline("species"))
        request = infers([("classify", CLASSIFY), ("", CLASSIFY)], [ROW])
        request.tasks[1].model_spec.version.value = 9
        assert len(asker.ask("MultiInference", request).results) == 2
        request.tasks[1].model_spec.name = "line"
        assert asker.refusal("MultiInference", request) == (
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        )
        request.tasks[1].model_spec.name = ""
        assert asker.refusal("MultiInference", request) == (
            INVALID,
            "Found ModelSpec with an empty model name.",
        )
        request.tasks[0].model_spec.name = "nobody"
        assert asker.refusal("MultiInference", request)[0] is Code.NOT_FOUND
        assert asker.refusal("MultiInference", infers([("", CLASSIFY)], [])) == (
            INVALID,
            "Input is empty.",
        )


NAMES = st.lists(st.text(max_size=200), max_size=4)


@given(NAMES, st.integers(0, 3), st.data())
def test_any_scores_are_written(names: list[str], count: int, data: st.DataObject) -> None:
    """What is written by hand is what protobuf reads."""
    numbers = st.floats(width=32, allow_nan=False)
    rows = data.draw(
        st.lists(
            st.lists(numbers, min_size=len(names), max_size=len(names)),
            min_size=count,
            max_size=count,
        )
    )
    plan = ExamplesPlan(CLASSIFY, (), False, "y", tuple(names))
    scores = np.array(rows, np.float32).reshape(count, len(names))
    told = made("ClassificationResult").FromString(result(plan, scores))
    assert classes(told) == [list(zip(names, row, strict=True)) for row in scores.tolist()]


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_any_values_are_written(values: list[float]) -> None:
    """The same for a regression."""
    plan = ExamplesPlan(REGRESS, (), False, "y", ())
    told = made("RegressionResult").FromString(result(plan, np.array(values, np.float32)))
    assert [each.value for each in told.regressions] == values


def test_another_number_of_scores_has_no_labels(pipeline: Make) -> None:
    """Names are never given to other columns than their own."""
    asker = RpcAsker(pipeline("species"))
    call = asker.decode("Classify", asks("Classification", "species", [ROW]))
    response = InferResponse(call, {"scores": np.array([[0.25, 0.75]])})
    body = asker.method("Classify").encode(call, response).body
    told = made("ClassificationResponse").FromString(body)
    assert classes(told.result) == [[("", 0.25), ("", 0.75)]]
