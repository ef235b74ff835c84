"""protocols/oip: parameters, the forms of outputs, what is refused at Triton's door only, and what
kind of failure each error is there."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from inferd.calls import InferRequest
from inferd.config import Settings
from inferd.errors import (
    BatchMismatch,
    Cancelled,
    Code,
    DeadlineExceeded,
    InferdError,
    InvalidInput,
    MalformedRequest,
    ModelNotFound,
    NotReady,
    PayloadTooLarge,
    QueueFull,
    RunFailed,
    Unsupported,
    UnsupportedEncoding,
    WrongDatatype,
    WrongShape,
)
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip import rest
from inferd.protocols.oip.parameters import request_parameters
from inferd.protocols.oip.rest import Infer
from inferd.protocols.oip.texts import triton_code, triton_text
from inferd.tensors import MAX_NESTING
from tests.unit import onnx_files
from tests.unit.oip_models import Sent, answered, decoded, read, request, tensor, write_identities


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, and one of two outputs."""
    folder = tmp_path_factory.mktemp("forms")
    made = Pipeline(Settings(), cores=1)
    made.load([*write_identities(folder), onnx_files.adder(folder / "simple.onnx")])
    yield made
    made.close()


ROW = np.array([[1, 2, 3, 4]], np.int32)
PAIR = [tensor(ROW, "INT32", name="INPUT0"), tensor(ROW, "INT32", name="INPUT1")]


def output(name: str, **parameters: Any) -> dict[str, Any]:
    """An output that is asked for."""
    return {"name": name, "parameters": parameters}


def asking(**fields: Any) -> Sent:
    """A document that asks the model of two outputs."""
    inputs = [
        {"name": name, "shape": [1, 4], "datatype": "INT32", "data": [1, 2, 3, 4]}
        for name in ("INPUT0", "INPUT1")
    ]
    return Sent(json.dumps({"inputs": inputs, **fields}).encode(), {})


@pytest.mark.parametrize(
    ("fields", "in_memory"),
    [
        ({}, []),
        ({"parameters": {"binary_data_output": True}}, ["OUTPUT0", "OUTPUT1"]),
        ({"parameters": {"binary_data_output": False}}, []),
        ({"parameters": {"binary_data_output": True}, "outputs": [output("OUTPUT1")]}, ["OUTPUT1"]),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [output("OUTPUT0", binary_data=False), output("OUTPUT1")],
            },
            ["OUTPUT1"],
        ),
        ({"outputs": [output("OUTPUT1", binary_data=True), output("OUTPUT0")]}, ["OUTPUT1"]),
        ({"outputs": [output("OUTPUT1", binary_data=None)]}, []),
        ({"outputs": [{"name": "OUTPUT1", "parameters": None}]}, []),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_an_outputs_own_word_stands_before_the_requests(
    served: Pipeline, fields: Any, in_memory: list[str], strict: bool
) -> None:
    """Where neither says anything, it is JSON."""
    asked = decoded(served, "simple", asking(**fields), strict=strict)
    outputs = dict.fromkeys(asked.outputs, ROW)
    told = read(answered(asked, **outputs)).get_response()["outputs"]
    assert [each["name"] for each in told if "data" not in each] == in_memory
    assert [each["name"] for each in told] == list(asked.outputs)


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": [output("OUTPUT0", binary_data=1)]},
        {"outputs": [output("OUTPUT0", binary_data="true")]},
        {"outputs": [output("OUTPUT0", classification=-1)]},
        {"outputs": [output("OUTPUT0", classification=True)]},
        {"outputs": [output("OUTPUT0", classification=1.5)]},
        {"outputs": [output("OUTPUT0", classification=1 << 70)]},
        {"outputs": ["OUTPUT0"]},
        {"parameters": {"binary_data_output": 1}},
        {"parameters": {"binary_data_output": None}},
        {"parameters": {"priority": -1}},
        {"parameters": {"priority": True}},
        {"parameters": {"timeout": 1.5}},
        {"parameters": {"timeout": 1 << 64}},
        {"parameters": {"sequence_id": -1}},
        {"parameters": {"sequence_id": 1.5}},
        {"parameters": {"sequence_start": 1}},
        {"parameters": []},
        {"id": 1},
    ],
)
def test_a_wrong_kind_of_value_is_malformed(served: Pipeline, fields: Any) -> None:
    """A fault of the document, which Triton calls its own."""
    with pytest.raises(MalformedRequest) as raised:
        decoded(served, "simple", asking(**fields))
    assert triton_code(raised.value) is Code.INTERNAL


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"parameters": {"foo": {}}},
            "parameter 'foo' has invalid type. It should be either 'int'",
        ),
        ({"parameters": {"foo": [1]}}, "parameter 'foo' has invalid type"),
        ({"parameters": {"foo": None}}, "parameter 'foo' has invalid type"),
        ({"parameters": {"triton_x": 1}}, "parameter keys starting with 'triton_' are reserved"),
        (
            {"outputs": [output("OUTPUT0", shared_memory_region="r")]},
            "shared memory is not written",
        ),
    ],
)
def test_what_is_read_and_not_meant_is_invalid(served: Pipeline, fields: Any, text: str) -> None:
    """In Triton's words."""
    with pytest.raises(InvalidInput) as raised:
        decoded(served, "simple", asking(**fields))
    assert text in str(raised.value)


def test_parameters_of_any_right_kind_are_kept() -> None:
    """Both the server's and the model's own; none at all are none."""
    told = {"a": 1, "b": 1.5, "c": True, "d": "x", "sequence_id": "s", "sequence_end": False}
    told |= {"priority": (1 << 64) - 1, "sequence_start": True}
    assert request_parameters(told) == told
    assert request_parameters({"sequence_id": 7}) == {"sequence_id": 7}
    assert request_parameters(None) == request_parameters({}) == {}


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("told", "priority", "timeout"),
    [({}, 0, 0), ({"timeout": 1_500_000}, 0, 1_500_000), ({"priority": 2, "timeout": 0}, 2, 0)],
)
def test_priority_and_timeout_are_for_the_queue(
    served: Pipeline, told: dict[str, int], priority: int, timeout: int, binary: bool
) -> None:
    """Both are told to it as they are; 0 and nothing are the same. Also when it comes again."""
    wanted = [triton.InferRequestedOutput("OUTPUT0", binary_data=binary)]
    sent = request(PAIR, outputs=wanted, **told)
    infer = Infer()
    for _ in range(2):
        message = Message(sent.body, {"model": "simple"}, sent.headers)
        asked = infer.decode(message, served.manager.lookup)
        assert isinstance(asked, InferRequest)
        assert (asked.priority, asked.timeout_us) == (priority, timeout)
        assert (asked.outputs, asked.deadline) == (("OUTPUT0",), float("inf"))


def test_an_output_named_twice_counts_once_on_the_main_port(served: Pipeline) -> None:
    """As the last says; at Triton's door it is refused."""
    sent = asking(outputs=[output("OUTPUT0", binary_data=True), output("OUTPUT0")])
    asked = decoded(served, "simple", sent)
    (told,) = read(answered(asked, OUTPUT0=ROW)).get_response()["outputs"]
    assert told["data"] == [1, 2, 3, 4]
    with pytest.raises(InvalidInput, match="output 'OUTPUT0' already exists in request"):
        decoded(served, "simple", sent, strict=True)


def test_fp16_as_json_is_for_the_main_port(served: Pipeline) -> None:
    """Both ways; at Triton's door only as memory."""
    half = np.array([[1.5]], np.float16)
    as_json, in_memory = tensor(half, "FP16", binary=False), tensor(half, "FP16")
    wanted = [triton.InferRequestedOutput("Y", binary_data=False)]
    asked = decoded(served, "FP16", request([as_json], wanted))
    assert read(answered(asked, Y=half)).get_response()["outputs"][0]["data"] == [1.5]
    told = "receiving FP16 data via JSON is not supported. Please use the binary data format for in"
    with pytest.raises(InvalidInput, match=told):
        decoded(served, "FP16", request([as_json]), strict=True)
    told = "sending FP16 data via JSON is not supported. Please use the binary data format for outp"
    with pytest.raises(InvalidInput, match=told):
        decoded(served, "FP16", request([in_memory], wanted), strict=True)
    classes = [triton.InferRequestedOutput("Y", binary_data=False, class_count=1)]
    assert decoded(served, "FP16", request([in_memory], classes), strict=True).rows == 1
    assert decoded(served, "FP16", request([in_memory]), strict=True).rows == 1


@pytest.mark.parametrize("large", [False, True])
def test_values_that_do_not_fit_are_a_fault_of_the_document(
    served: Pipeline, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton could not parse them; ours says which and why besides; however large the body is."""
    if large:
        monkeypatch.setattr(rest, "LARGE", 0)
    for data, told in (
        (
            [1],
            "Shape does not match true shape of 'data' field: 'X' has the wrong number of values",
        ),
        ([1, "a"], "got a string at position 1, expected integers"),
        ([1, 1 << 40], "got an integer out of range"),
    ):
        fields = {"name": "X", "shape": [1, 2], "datatype": "INT32", "data": data}
        body = json.dumps({"inputs": [fields]}).encode()
        with pytest.raises(MalformedRequest, match="Unable to parse 'data': ") as raised:
            decoded(served, "INT32", Sent(body, {}))
        assert told in str(raised.value)


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 500, 100_000])
def test_nesting_too_deep_is_told_in_tritons_words(served: Pipeline, levels: int) -> None:
    """Whether the parser gives up or what reads the values: the caller's fault, in both."""
    data = b"[" * levels + b"1" + b"]" * levels
    body = b'{"inputs":[{"name":"X","shape":[1,1],"datatype":"INT32","data":%b}]}' % data
    with pytest.raises(InferdError) as raised:
        decoded(served, "INT32", Sent(body, {}))
    assert raised.value.code is triton_code(raised.value) is Code.INVALID_ARGUMENT
    assert triton_text(raised.value, "INT32") == (
        "JSON nesting depth exceeds maximum allowed limit (100)"
    )


def test_a_model_that_answers_in_parts_is_refused_before_it_is_run(served: Pipeline) -> None:
    """In Triton's words, and where to ask it is told."""
    version = served.manager.lookup("simple")
    version.streams = True
    try:
        with pytest.raises(Unsupported, match="doesn't support models with decoupled transaction"):
            decoded(served, "simple", asking())
    finally:
        version.streams = False


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (MalformedRequest("x"), Code.INTERNAL, "x"),
        (InvalidInput("x"), Code.INVALID_ARGUMENT, "x"),
        (RunFailed("x"), Code.INTERNAL, "x"),
        (NotReady("x"), Code.UNAVAILABLE, "x"),
        (QueueFull("x"), Code.UNAVAILABLE, "Exceeds maximum queue size"),
        (DeadlineExceeded("x"), Code.UNAVAILABLE, "Request timeout expired"),
        (Cancelled("x"), Code.INVALID_ARGUMENT, "x"),
        (PayloadTooLarge("x"), Code.INVALID_ARGUMENT, "x"),
        (UnsupportedEncoding("x"), Code.UNIMPLEMENTED, "x"),
        (Unsupported("x"), Code.UNIMPLEMENTED, "x"),
        (
            ModelNotFound("m", None, ()),
            Code.NOT_FOUND,
            "Request for unknown model: 'm' is not found",
        ),
        (WrongDatatype("X", "FP99", "FP32"), Code.INVALID_ARGUMENT, "invalid datatype for input X"),
        (
            WrongDatatype("X", "BF16", "FP32"),
            Code.INVALID_ARGUMENT,
            "inference input 'X' data-type is 'BF16', but model 'M' expects 'FP32'",
        ),
        (
            WrongShape("X", (1, -4), (-1, 4)),
            Code.INTERNAL,
            "unexpected shape for input 'X' for model 'M'. Expected [-1,4], got [1,-4]",
        ),
        (
            WrongShape("X", (1, 3), (-1, 4)),
            Code.INVALID_ARGUMENT,
            "unexpected shape for input 'X' for model 'M'. Expected [-1,4], got [1,3]",
        ),
        (
            WrongShape("X", (), (-1, 4)),
            Code.INVALID_ARGUMENT,
            "input 'X' has no shape but model requires batch dimension for 'M'",
        ),
        (
            BatchMismatch("X", 1, 2),
            Code.INVALID_ARGUMENT,
            "input 'X' batch size does not match other inputs for 'M'",
        ),
    ],
)
def test_each_failure_has_tritons_kind_and_words(error: InferdError, code: Code, text: str) -> None:
    """The kinds that it lacks are made of those that it has."""
    assert triton_code(error) is code
    assert triton_text(error, "M") == text
