"""protocols/tfserving/grpc: Predict, from message to message, without a socket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from inferd.errors import Code
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.tfserving import plugin
from inferd.protocols.tfserving.grpc.dtypes import NUMBERS, VALUES
from inferd.protocols.tfserving.grpc.predict import plan_of
from tests.unit import onnx_files
from tests.unit.asking import Asker
from tests.unit.test_tfserving_grpc_tensors import tensor as tensor_of
from tests.unit.test_tfserving_predict import KINDS, ROWS
from tests.unit.tfserving_rpc import RpcAsker, made, predict, rows

Make = Callable[..., Pipeline]
REST = ("POST", "/v1/models/{model}:predict")


@pytest.fixture(scope="module", autouse=True)
def more_models(models: Path) -> None:
    """Beside the others: one value a row of each datatype."""
    for name, kind in KINDS.items():
        onnx_files.identity(models / f"{name}.onnx", [None], kind)
    onnx_files.identity(models / "int16.onnx", [None], TensorProto.INT16)


class TestAnswers:
    """What is told of a request that is right."""

    def test_several_outputs(self, pipeline: Make) -> None:
        """All of them, by name, in typed fields."""
        answer = RpcAsker(pipeline("iris")).ask("Predict", predict("iris", {"X": rows()}))
        assert sorted(answer.outputs) == ["label", "scores"]
        label, scores = answer.outputs["label"], answer.outputs["scores"]
        assert list(label.int64_val) == [0, 1]
        assert [each.size for each in scores.tensor_shape.dim] == [2, 3]
        assert np.reshape(scores.float_val, (2, 3)).argmax(axis=1).tolist() == [0, 1]
        assert not label.tensor_content + scores.tensor_content

    def test_its_model_spec(self, pipeline: Make) -> None:
        """The version that answered, as a number, and the signature that was meant."""
        asker = RpcAsker(pipeline("iris"))
        for name in ("", "serving_default"):
            request = predict("iris", {"X": rows()})
            request.model_spec.signature_name = name
            spec = asker.ask("Predict", request).model_spec
            assert spec == made(
                "ModelSpec", name="iris", signature_name="serving_default", version={"value": 1}
            )

    def test_the_same_as_over_rest(self, pipeline: Make) -> None:
        """Row for row."""
        served = pipeline("iris")
        told = Asker(plugin, served).ask(REST, json.dumps({"inputs": ROWS}).encode(), model="iris")
        answer = RpcAsker(served).ask("Predict", predict("iris", {"X": rows()})).outputs
        assert list(answer["label"].int64_val) == told["outputs"]["label"]
        scores = np.array(told["outputs"]["scores"], np.float32)
        np.testing.assert_array_equal(
            np.reshape(np.array(list(answer["scores"].float_val), np.float32), (2, 3)), scores
        )

    def test_several_inputs(self, pipeline: Make) -> None:
        """In any order, each in its own encoding."""
        typed = tensor_of("INT32", [1, 4], int_val=[1])
        sent = {"INPUT1": typed, "INPUT0": np.array([[1, 2, 3, 4]], np.int32)}
        answer = RpcAsker(pipeline("simple")).ask("Predict", predict("simple", sent)).outputs
        assert list(answer["OUTPUT0"].int_val) == [2, 3, 4, 5]
        assert list(answer["OUTPUT1"].int_val) == [0, 1, 2, 3]

    def test_one_request_after_another(self, pipeline: Make) -> None:
        """What is remembered of one shape is not taken for another's."""
        asker = RpcAsker(pipeline("wide"))
        for shape in ((1, 2), (2, 1), (1, 2), (3, 3), (0, 2)):
            array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
            told = asker.ask("Predict", predict("wide", {"X": array})).outputs["Y"]
            assert [each.size for each in told.tensor_shape.dim] == list(shape)
            assert list(told.float_val) == array.ravel().tolist()

    @pytest.mark.parametrize(
        ("kind", "datatype", "sent"),
        [
            ("bool", "BOOL", [True, False]),
            ("int8", "INT8", [-128, 127]),
            ("int16", "INT16", [-32768, 32767]),
            ("int32", "INT32", [-1, 2**31 - 1]),
            ("int64", "INT64", [-1, 2**63 - 1]),
            ("uint8", "UINT8", [0, 255]),
            ("uint16", "UINT16", [65535]),
            ("uint32", "UINT32", [2**32 - 1]),
            ("uint64", "UINT64", [2**64 - 1]),
            ("half", "FP16", [0x3E00, 0x7C00]),
            ("float", "FP32", [0.5, float("inf")]),
            ("double", "FP64", [0.1]),
            ("string", "BYTES", [b"a", "ü".encode()]),
        ],
    )
    def test_every_datatype(
        self, pipeline: Make, kind: str, datatype: str, sent: list[Any]
    ) -> None:
        """Goes through a model that changes nothing."""
        field = VALUES[datatype].name
        tensor = tensor_of(datatype, [len(sent)], **{field: sent})
        answer = RpcAsker(pipeline(kind)).ask("Predict", predict(kind, {"X": tensor}))
        assert list(getattr(answer.outputs["Y"], field)) == sent
        assert answer.outputs["Y"].dtype == NUMBERS[datatype]

    def test_a_scalar(self, pipeline: Make) -> None:
        """Rank 0 in and out."""
        answer = RpcAsker(pipeline("scalar")).ask(
            "Predict", predict("scalar", {"X": np.array(2.5, np.float32)})
        )
        assert answer.outputs["Y"].HasField("tensor_shape")
        assert list(answer.outputs["Y"].tensor_shape.dim) == []
        assert list(answer.outputs["Y"].float_val) == [2.5]

    def test_what_else_a_request_says_is_ignored(self, pipeline: Make) -> None:
        """The options of streams that no method has: fields 5 to 7."""
        more = b"\x2a\x02\x08\x01\x32\x03abc\x3a\x00"
        sent = predict("iris", {"X": rows()}).SerializeToString() + more
        assert RpcAsker(pipeline("iris")).ask("Predict", sent).outputs["label"].int64_val == [0, 1]

    def test_a_large_body(self, pipeline: Make) -> None:
        """Comes as a bytearray."""
        asker = RpcAsker(pipeline("iris"))
        body = bytearray(predict("iris", {"X": rows()}).SerializeToString())
        call = asker.method("Predict").decode(Message(body, {}), asker.served.manager.lookup)  # type: ignore[arg-type]  # as its field says
        np.testing.assert_array_equal(call.inputs["X"], rows())  # type: ignore[attr-defined]  # an InferRequest


class TestVersions:
    """Which version a request means."""

    @pytest.mark.parametrize(
        ("choice", "code", "text"),
        [
            (
                {"version": {"value": 7}},
                Code.NOT_FOUND,
                "Servable not found for request: Specific(iris, 7)",
            ),
            (
                {"version": {"value": 0}},
                Code.NOT_FOUND,
                "Servable not found for request: Specific(iris, 0)",
            ),
            (
                {"version": {}},
                Code.NOT_FOUND,
                "Servable not found for request: Specific(iris, 0)",
            ),
            (
                {"version": {"value": -1}},
                Code.NOT_FOUND,
                "Servable not found for request: Specific(iris, -1)",
            ),
            (
                {"version_label": "x"},
                Code.INVALID_ARGUMENT,
                "Unrecognized servable version label: x",
            ),
            (
                {"version_label": ""},
                Code.INVALID_ARGUMENT,
                "Unrecognized servable version label: ",
            ),
        ],
    )
    def test_one_that_is_not_there(
        self, pipeline: Make, choice: dict[str, Any], code: Code, text: str
    ) -> None:
        """By number, 0 among them, or by label."""
        request = predict("iris", {"X": rows()})
        request.model_spec.MergeFrom(made("ModelSpec", **choice))
        assert RpcAsker(pipeline("iris")).refusal("Predict", request) == (code, text)

    def test_by_its_number(self, pipeline: Make) -> None:
        """The version is told as it was asked for."""
        request = predict("iris", {"X": rows()})
        request.model_spec.version.value = 1
        answer = RpcAsker(pipeline("iris")).ask("Predict", request)
        assert answer.model_spec.version.value == 1

    def test_by_a_label(self, pipeline: Make) -> None:
        """The answer has the number, and never the label."""
        asker = RpcAsker(pipeline("iris"))
        lookup = asker.served.manager.lookup
        asked: list[Any] = []

        def labelled(model: Any, version: Any = None, label: Any = None) -> Any:
            asked.append((model, version, label))
            return lookup(model, version)

        request = predict("iris", {"X": rows()})
        request.model_spec.version_label = "stable"
        method = asker.method("Predict")
        call = method.decode(Message(request.SerializeToString(), {}), labelled)
        assert asked == [("iris", None, "stable")]
        spec = made("PredictResponse").FromString(plan_of(call.handle).spec).model_spec  # type: ignore[attr-defined]  # an InferRequest
        assert spec.WhichOneof("version_choice") == "version"


class TestFilter:
    """``output_filter``: which outputs are told, in that order."""

    @pytest.mark.parametrize("asked", [["scores"], ["label"], ["scores", "label"]])
    def test_some(self, pipeline: Make, asked: list[str]) -> None:
        """Only what is asked for is computed and told."""
        asker = RpcAsker(pipeline("iris"))
        request = predict("iris", {"X": rows()}, output_filter=asked)
        call = asker.decode("Predict", request)
        assert list(call.outputs) == sorted(asked)
        assert list(call.wanted) == asked
        assert sorted(asker.ask("Predict", request).outputs) == sorted(asked)

    @pytest.mark.parametrize(
        ("asked", "text"),
        [
            (
                ["label", "foo"],
                "output tensor alias not found in signature: foo Outputs expected to be in the "
                "set {label,scores}.",
            ),
            (["label", "label"], "duplicate output tensor alias: label"),
        ],
    )
    def test_faults(self, pipeline: Make, asked: list[str], text: str) -> None:
        """What is not there, and what was named before."""
        request = predict("iris", {"X": rows()}, output_filter=asked)
        told = RpcAsker(pipeline("iris")).refusal("Predict", request)
        assert told == (Code.INVALID_ARGUMENT, text)


def test_many_shapes_are_forgotten(pipeline: Make) -> None:
    """What is remembered of one model's requests is bounded, in number and size."""
    asker = RpcAsker(pipeline("float"))
    plan = plan_of(asker.served.manager.lookup("float"))
    for size in range(plan.KEPT + 5):
        asker.decode("Predict", predict("float", {"X": np.zeros(size, np.float32)}))
    assert len(plan._known) <= plan.KEPT
    plan._known.clear()
    request = predict("float", {"X": np.zeros(1, np.float32)})
    request.inputs["X"].tensor_shape.dim[0].name = "n" * 1000
    asker.decode("Predict", request)
    assert plan._known == {}
