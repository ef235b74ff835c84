"""protocols/tfserving/grpc: how Predict refuses, in TensorFlow Serving's words and codes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inferd.errors import Code, MalformedRequest
from inferd.pipeline import Pipeline
from tests.unit.test_tfserving_grpc_tensors import tensor as tensor_of
from tests.unit.tfserving_rpc import RpcAsker, made, predict, rows

Make = Callable[..., Pipeline]
TWO = {"u1": rows(), "u2": rows()}


class TestFaults:
    """Each in TensorFlow Serving's words, with its code."""

    @pytest.mark.parametrize(
        ("inputs", "text"),
        [
            (
                TWO,
                "input size does not match signature: 2!=1 len({u1,u2}) != len({X}). "
                "Sent extra: {u1,u2}. Missing but required: {X}.",
            ),
            (
                {},
                "input size does not match signature: 0!=1 len({}) != len({X}). "
                "Sent extra: {}. Missing but required: {X}.",
            ),
            (
                {"x": rows()},
                "Signature input alias: X(feed name: X:0) not found in request and no default "
                "value provided. Inputs expected to be in the request {x}, or default input "
                "alias set: ",
            ),
            (
                {"X": np.zeros((1, 4), bool)},
                "input 'X': Expects arg[0] to be float but bool is provided",
            ),
            (
                {"X": np.zeros((1, 4))},
                "input 'X': Expects arg[0] to be float but double is provided",
            ),
            (
                {"X": np.zeros((1, 3), np.float32)},
                "input 'X' has the wrong shape: got [1,3], expected [-1,4]",
            ),
            (
                {"X": np.zeros(4, np.float32)},
                "input 'X' has the wrong shape: got [4], expected [-1,4]",
            ),
            (
                {"X": tensor_of("FP32", [2, 4], tensor_content=b"abc")},
                "tensor parsing error: X: got 3 bytes of tensor_content, expected 32",
            ),
            (
                {"X": tensor_of("FP32", [1 << 40, 4], float_val=[1])},
                "tensor parsing error: X: got 1 values for 4398046511104 elements, expected all "
                "of them, or the last to stand for at most 1048576 bytes",
            ),
            (
                {"X": tensor_of("FP32", [-1, 4], float_val=[1])},
                "tensor parsing error: X: got a negative dimension, expected a shape",
            ),
        ],
    )
    def test_of_the_inputs(self, pipeline: Make, inputs: dict[str, Any], text: str) -> None:
        """Names, datatypes, shapes, values."""
        asker = RpcAsker(pipeline("iris"))
        for _ in range(2):
            told = asker.refusal("Predict", predict("iris", inputs))
            assert told == (Code.INVALID_ARGUMENT, text)
            asker.ask("Predict", predict("iris", {"X": rows()}))

    def test_of_several_inputs(self, pipeline: Make) -> None:
        """The place of an argument, and rows that are not as many."""
        one, two = np.zeros((1, 4), np.int32), np.zeros((2, 4), np.int32)
        asker = RpcAsker(pipeline("simple"))
        sent = {"INPUT0": one, "INPUT1": one.astype(np.float32)}
        assert (
            "Expects arg[1] to be int32 but float is provided"
            in (asker.refusal("Predict", predict("simple", sent))[1])
        )
        sent = {"INPUT0": one, "INPUT1": two}
        assert "another number of rows" in asker.refusal("Predict", predict("simple", sent))[1]

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("foo", 'Serving signature key "foo" not found.'),
            ("classify", 'Serving signature "classify" takes Examples; ask Classify'),
        ],
    )
    def test_of_the_signature(self, pipeline: Make, name: str, text: str) -> None:
        """A precondition that failed, unlike over REST."""
        request = predict("iris", {})
        request.model_spec.signature_name = name
        told = RpcAsker(pipeline("iris")).refusal("Predict", request)
        assert told == (Code.FAILED_PRECONDITION, text)

    def test_of_the_model(self, pipeline: Make) -> None:
        """No ModelSpec, one without a name, and one of a model that is not there."""
        asker = RpcAsker(pipeline("iris"))
        invalid = Code.INVALID_ARGUMENT
        request = made("PredictRequest")
        assert asker.refusal("Predict", request) == (invalid, "Missing ModelSpec")
        request.model_spec.SetInParent()
        assert asker.refusal("Predict", request) == (invalid, "ModelSpec has no name specified.")
        request.model_spec.name = "x"
        assert asker.refusal("Predict", request) == (
            Code.NOT_FOUND,
            "Servable not found for request: Latest(x)",
        )

    def test_which_error_comes_first(self, pipeline: Make) -> None:
        """The model, the signature, the inputs' names, the filter, the inputs' values."""
        asker = RpcAsker(pipeline("iris"))
        bad = tensor_of("FP32", [1, 4], float_val=[1] * 9)
        request = predict("x", {"u": bad, "v": bad}, output_filter=["foo"])
        request.model_spec.signature_name = "foo"
        assert "Latest(x)" in asker.refusal("Predict", request)[1]
        request.model_spec.name = "iris"
        assert 'key "foo"' in asker.refusal("Predict", request)[1]
        request.model_spec.signature_name = ""
        assert "input size" in asker.refusal("Predict", request)[1]
        del request.inputs["u"]
        assert "input alias: X" in asker.refusal("Predict", request)[1]
        request = predict("iris", {"X": bad}, output_filter=["foo"])
        assert "output tensor alias" in asker.refusal("Predict", request)[1]
        del request.output_filter[:]
        assert "tensor parsing error: X" in asker.refusal("Predict", request)[1]

    @pytest.mark.parametrize("body", [b"\xff", b"\x0a\x05ab", b"\x0a\x03\x0a\x01\xff"])
    def test_of_the_message(self, pipeline: Make, body: bytes) -> None:
        """What is no message of the method's."""
        with pytest.raises(MalformedRequest, match=r"expected a tensorflow\.serving\.Predict"):
            RpcAsker(pipeline("iris")).ask("Predict", body)

    def test_a_model_that_fails(self, pipeline: Make) -> None:
        """Is told without anything of its inside."""
        sent = predict("table", {"X": np.array([9], np.int64)})
        code, text = RpcAsker(pipeline("table")).refusal("Predict", sent)
        assert code is Code.INTERNAL
        assert text.startswith("model 'table' failed on this request")
