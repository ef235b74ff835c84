"""protocols/oip/grpc: shapes, versions and models that cannot be, bytes that are no message, and
the code of each error."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from inferd.config import Settings
from inferd.errors import (
    Cancelled,
    Code,
    DeadlineExceeded,
    InferdError,
    MalformedRequest,
    ModelNotFound,
    NotReady,
    PayloadTooLarge,
    QueueFull,
    RunFailed,
)
from inferd.pipeline import Pipeline
from tests.unit import onnx_files
from tests.unit.oip_grpc import CONTENTS, Grpc, changed, pair, share, want, with_parameter
from tests.unit.oip_models import write_identities

ARGUMENT = Code.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, and one of two inputs."""
    folder = tmp_path_factory.mktemp("refusals")
    made = Pipeline(Settings(), cores=1)
    made.load([*write_identities(folder), onnx_files.adder(folder / "simple.onnx")])
    yield made
    made.close()


@pytest.fixture(params=[False, True], ids=["main", "triton"])
def asker(served: Pipeline, request: pytest.FixtureRequest) -> Grpc:
    """The main port, and Triton's own."""
    return Grpc(served, strict=request.param)


@pytest.mark.parametrize(
    "shape",
    [[1 << 62, 1 << 62], [(1 << 63) - 1, 1], [1 << 40, 1], [-1, -1], [-(1 << 63), 1], [1, -4]],
)
@pytest.mark.parametrize("datatype", ["FP32", "BYTES", "BOOL"])
def test_a_shape_that_no_array_can_have_is_refused_before_any_is_made(
    asker: Grpc, shape: list[int], datatype: str
) -> None:
    """Whatever holds the values."""
    for raw in (True, False):
        request = pb.ModelInferRequest(model_name=datatype)
        tensor = request.inputs.add(name="X", datatype=datatype, shape=shape)
        if raw:
            request.raw_input_contents.append(b"\0" * 16)
        else:
            getattr(tensor.contents, CONTENTS[datatype]).append(b"" if datatype == "BYTES" else 1)
        assert asker.refusal("ModelInfer", request)[0] is ARGUMENT


def test_a_dimension_beside_one_of_nothing_may_be_too_large(asker: Grpc) -> None:
    """No element, and yet no array."""
    request = pb.ModelInferRequest(model_name="FP32", raw_input_contents=[b""])
    request.inputs.add(name="X", datatype="FP32", shape=[0, (1 << 63) - 1])
    code, _ = asker.refusal("ModelInfer", request)
    assert code is ARGUMENT


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (
            "abc",
            "failed to get model version from specified version string 'abc' (details: stol), "
            "version should be an integral value > 0",
        ),
        (
            "9" * 30,
            f"failed to get model version from specified version string '{'9' * 30}' (details: "
            "stol), version should be an integral value > 0",
        ),
        ("-1", "invalid model version specified '-1' , version should be an integral value > 0"),
    ],
)
@pytest.mark.parametrize(
    "name", ["ModelInfer", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"]
)
def test_a_version_that_is_no_number_is_a_wrong_argument_at_tritons_port(
    served: Pipeline, name: str, told: str, text: str
) -> None:
    """Of every method that takes one."""
    request: Any
    if name == "ModelInfer":
        request = pair(model_version=told)
    else:
        request = getattr(pb, f"{name}Request")(name="simple", version=told)
    assert Grpc(served, strict=True).refusal(name, request) == (ARGUMENT, text)


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        ("X", "", "Request for unknown model: 'X' is not found"),
        ("", "", "Request for unknown model: '' is not found"),
        ("simple", "9", "Request for unknown model: 'simple' version 9 is not found"),
    ],
)
def test_a_model_that_is_not_there(asker: Grpc, name: str, version: str, text: str) -> None:
    """The same words as over REST."""
    told = (Code.NOT_FOUND, text)
    request = pb.ModelInferRequest(model_name=name, model_version=version)
    assert asker.refusal("ModelInfer", request) == told
    for method in ("ModelMetadata", "ModelConfig"):
        asked = getattr(pb, f"{method}Request")(name=name, version=version)
        assert asker.refusal(method, asked) == told


@pytest.mark.parametrize("body", [b"\xff", b"\x0a", b"\x0a\x01\xff", b"\x3a\x7f"])
def test_what_is_no_message_is_malformed(served: Pipeline, body: bytes) -> None:
    """The caller's fault; to gRPC's own servers, and so at Triton's port, theirs."""
    text = "the message cannot be read as inference.ModelInferRequest"
    assert Grpc(served).refusal("ModelInfer", body) == (ARGUMENT, text)
    assert Grpc(served, strict=True).refusal("ModelInfer", body) == (Code.INTERNAL, text)


@pytest.mark.parametrize(
    ("error", "main", "triton", "text"),
    [
        (
            QueueFull("full"),
            Code.RESOURCE_EXHAUSTED,
            Code.UNAVAILABLE,
            "Exceeds maximum queue size",
        ),
        (
            DeadlineExceeded("late"),
            Code.DEADLINE_EXCEEDED,
            Code.UNAVAILABLE,
            "Request timeout expired",
        ),
        (NotReady("closed"), Code.UNAVAILABLE, Code.UNAVAILABLE, "closed"),
        (RunFailed("it failed"), Code.INTERNAL, Code.INTERNAL, "it failed"),
        (Cancelled("gone"), Code.CANCELLED, Code.CANCELLED, "gone"),
        (PayloadTooLarge("large"), Code.PAYLOAD_TOO_LARGE, Code.PAYLOAD_TOO_LARGE, "large"),
        (MalformedRequest("what?"), Code.INVALID_ARGUMENT, Code.INTERNAL, "what?"),
        (
            ModelNotFound("m", None, ["a"]),
            Code.NOT_FOUND,
            Code.NOT_FOUND,
            "Request for unknown model: 'm' is not found",
        ),
    ],
)
def test_each_error_has_its_code(
    served: Pipeline, error: InferdError, main: Code, triton: Code, text: str
) -> None:
    """gRPC's own where they tell more; Triton's at its port."""
    assert Grpc(served).rpc.status(error) == (main, text)
    assert Grpc(served, strict=True).rpc.status(error) == (triton, text)


def test_a_name_of_any_length_is_told_short(asker: Grpc) -> None:
    """A caller's own words may be megabytes."""
    long = "n" * 100_000

    def misplaced(request: Any) -> None:
        request.inputs[1].name = long
        request.raw_input_contents.pop()

    def shared(request: Any) -> None:
        request.inputs[0].name = long
        share(request.inputs[0])

    def twice(request: Any) -> None:
        request.inputs[0].name = long
        request.inputs[0].contents.int_contents.extend([1, 2, 3, 4])

    def of_no_kind(request: Any) -> None:
        request.ClearField("raw_input_contents")
        request.inputs[0].name = request.inputs[0].datatype = long
        request.inputs[0].contents.int_contents.extend([1, 2, 3, 4])

    for change in (
        misplaced,
        shared,
        twice,
        of_no_kind,
        lambda r: setattr(r.inputs[0], "name", long),
        lambda r: setattr(r.inputs[0], "datatype", long),
        lambda r: setattr(r, "model_name", long),
        lambda r: setattr(r, "model_version", long),
        lambda r: want(r, long),
        lambda r: with_parameter(r, long),
    ):
        assert len(asker.refusal("ModelInfer", changed(change))[1]) < 500


@settings(deadline=None)  # the first message of all loads protobuf
@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_request_or_an_error_of_ours(served: Pipeline, body: bytes) -> None:
    """Of every method, in both forms; an error can be told."""
    for strict in (False, True):
        asker = Grpc(served, strict=strict)
        for name, method in asker.rpc.methods.items():
            try:
                call = asker.decode(name, body)
            except InferdError as error:
                code, text = asker.rpc.status(error)
                assert isinstance(code, Code)
                assert text
            else:
                assert isinstance(call, method.call)


@settings(deadline=None)  # the first message of all loads protobuf
@given(data=st.data())
def test_a_damaged_request_is_a_request_or_an_error_of_ours(
    served: Pipeline, data: st.DataObject
) -> None:
    """Any byte changed, inserted or left out, after a right one was learnt."""
    asker = Grpc(served)
    whole = pair(request_id="7").SerializeToString()
    asker.decode("ModelInfer", pair().SerializeToString())
    at = data.draw(st.integers(0, len(whole)))
    new = data.draw(st.binary(max_size=3))
    body = whole[:at] + new + whole[at + data.draw(st.integers(0, 3)) :]
    try:
        call = asker.decode("ModelInfer", body)
    except InferdError:
        return
    assert set(call.inputs) == {"INPUT0", "INPUT1"}
    read = pb.ModelInferRequest.FromString(body)
    assert call.id == read.id
    assert [array.tobytes() for array in call.inputs.values()] == list(read.raw_input_contents)
