"""protocols/oip/grpc: a request that is recognised by its bytes is the one that protobuf reads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient.grpc import service_pb2 as pb

from inferd.calls import Handle, InferRequest
from inferd.config import Settings
from inferd.errors import InferdError, InvalidInput, ModelNotFound
from inferd.pipeline import Pipeline
from inferd.protocols.base import Message
from inferd.protocols.oip.binary import SMALL
from inferd.protocols.oip.grpc.infer import ModelInfer
from inferd.protocols.oip.grpc.plans import Plans
from tests.unit import onnx_files
from tests.unit.oip_grpc import as_memory, given_input, pair
from tests.unit.oip_models import Array, write_identities

NUMBERS = ("FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64")
ROW = np.array([[1.5, -2.0]], np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A model of each datatype, and one of two inputs."""
    folder = tmp_path_factory.mktemp("plans")
    made = Pipeline(Settings(), cores=1)
    made.load([*write_identities(folder), onnx_files.adder(folder / "simple.onnx")])
    yield made
    made.close()


class Method:
    """ModelInfer before the models."""

    def __init__(self, served: Pipeline, *, strict: bool = False) -> None:
        self.infer, self.lookup = ModelInfer(strict=strict), served.manager.lookup

    def decode(self, body: bytes) -> InferRequest:
        """The call that *body* becomes."""
        call = self.infer.decode(Message(body, {}), self.lookup)
        assert isinstance(call, InferRequest)
        return call

    def recognised(self, body: bytes) -> InferRequest | None:
        """The same, where it is not read as a message."""
        return self.infer._plans.follow(body, self.lookup)


def one(array: Array = ROW, datatype: str = "FP32", **more: Any) -> bytes:
    """A request for a model of one input."""
    request = as_memory(datatype, given_input(array, datatype), **more)
    body: bytes = request.SerializeToString()
    return body


def same(got: InferRequest, other: InferRequest) -> None:
    """Equal in all that the engine looks at."""
    assert list(got.inputs) == list(other.inputs)
    for name, array in got.inputs.items():
        assert array.dtype == other.inputs[name].dtype
        assert array.shape == other.inputs[name].shape
        assert array.tobytes() == other.inputs[name].tobytes()
        assert array.flags.aligned
        assert array.flags.c_contiguous
    assert got.handle is other.handle
    assert (got.outputs, got.rows, got.parameters, got.id, got.priority) == (
        other.outputs,
        other.rows,
        other.parameters,
        other.id,
        other.priority,
    )


@settings(deadline=None)  # the first message of all loads protobuf
@given(
    datatype=st.sampled_from(NUMBERS),
    shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=6),
    ids=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=70), min_size=6, max_size=6
    ),
    version=st.sampled_from(["", "1"]),
    parameters=st.sampled_from([None, {"a": 1, "b": "c"}]),
)
def test_what_is_recognised_is_what_would_be_read(
    served: Pipeline,
    datatype: str,
    shapes: list[tuple[int, int]],
    ids: list[str],
    version: str,
    parameters: Any,
) -> None:
    """Any requests in any order, each with its own id and memory."""
    knowing = Method(served)
    for at, (shape, id_) in enumerate(zip(shapes, ids, strict=False)):
        array = np.full(shape, at + 1).astype(datatype.replace("FP", "float").lower())
        body = one(array, datatype, request_id=id_, model_version=version, parameters=parameters)
        same(knowing.decode(body), Method(served).decode(body))


@settings(deadline=None)  # the first message of all loads protobuf
@given(first=arrays.arrays(np.int32, (1, 4)), second=arrays.arrays(np.int32, (1, 4)))
def test_each_input_has_its_own_memory(served: Pipeline, first: Array, second: Array) -> None:
    """Two tensors, one behind the other."""
    knowing = Method(served)
    knowing.decode(pair().SerializeToString())
    inputs = given_input(first, "INT32", "INPUT0"), given_input(second, "INT32", "INPUT1")
    body = as_memory("simple", *inputs).SerializeToString()
    got = knowing.recognised(body)
    assert got is not None
    assert got.inputs["INPUT0"].tolist() == first.tolist()
    assert got.inputs["INPUT1"].tolist() == second.tolist()


@pytest.mark.parametrize("first", ["", "an id"])
def test_the_second_request_of_its_kind_is_recognised(served: Pipeline, first: str) -> None:
    """With other memory, and with an id or without, whether or not the first one had one."""
    method = Method(served)
    assert method.recognised(one()) is None
    method.decode(one(request_id=first))
    for array in (ROW, ROW * 2):
        for id_ in ("", "a", "é" * 63):
            got = method.recognised(one(array, request_id=id_))
            assert got is not None
            assert (got.id, got.inputs["X"].tolist()) == (id_, array.tolist())
    for other in (
        one(request_id="a" * 128),  # its length takes two bytes
        one(np.zeros((2, 2), np.float32)),
        one(model_version="1"),
        one(timeout=1),
        one(priority=1),
        b"",
        b"\x0a",
        b"\x0a\xff",
        b"\x0a\x04FP32\x1a\x7f",
        b"\x0a\x04FP32\x1a\x01\xff",
    ):
        assert method.recognised(other) is None


def test_a_large_request_is_recognised_and_not_copied_where_it_lies_well(served: Pipeline) -> None:
    """A view of the message, which cannot be written to; or a copy that lies as numbers must."""
    method, shared = Method(served), set()
    for pad in range(1, 5):
        array = np.arange(2 * SMALL, dtype=np.float32).reshape(2, -1)
        body: Any = bytearray(one(array, parameters={"p": "a" * pad}))
        method.decode(body)
        known = method.recognised(body)
        assert known is not None
        got = known.inputs["X"]
        np.testing.assert_array_equal(got, array)
        assert got.flags.aligned
        lies_in_it = np.shares_memory(got, np.frombuffer(body, np.uint8))
        shared.add(lies_in_it)
        assert got.flags.writeable != lies_in_it
    assert shared == {True, False}


@pytest.mark.parametrize(
    "body",
    [
        one(np.array([["a", "b"]], np.object_), "BYTES"),
        one(np.array([[True, False]]), "BOOL"),
        one(np.zeros((0, 2), np.float32)),
        one(timeout=1),
        one(priority=1),
        one(request_id="7" * 128),
        one(np.zeros((1, SMALL), np.float32), request_id="7"),
        one(parameters={"long": "a" * Plans.LONGEST}),
    ],
)
def test_what_does_not_lie_in_its_memory_alone_is_read_each_time(
    served: Pipeline, body: bytes
) -> None:
    """Strings, truths, nothing, times, long ids, an id of much, and what is too long to keep."""
    method = Method(served)
    for _ in range(3):
        same(method.decode(body), Method(served).decode(body))
        assert method.recognised(body) is None


def test_a_widened_input_is_read_each_time(served: Pipeline) -> None:
    """Its memory is not the array's."""
    request = as_memory("FP64", given_input(ROW, "FP32")).SerializeToString()
    method = Method(served)
    for _ in range(2):
        assert method.decode(request).inputs["X"].dtype == np.float64
        assert method.recognised(request) is None


def test_memory_that_only_seems_to_be_memory_is_not_learnt(served: Pipeline) -> None:
    """The tensor's field before the others, and at the end an unknown field that looks like it."""
    whole = one()
    field = b"\x3a\x08" + ROW.tobytes()
    head = whole[: -len(field)]
    unknown = b"\xfa\x07" + bytes([len(field)]) + field
    method = Method(served)
    for other in (field + head, field + head + unknown, whole + unknown):
        for _ in range(2):
            assert method.decode(other).inputs["X"].tolist() == ROW.tolist()
            assert method.recognised(other) is None
    changed = field + head + unknown[:-8] + (ROW * 2).tobytes()
    assert method.decode(changed).inputs["X"].tolist() == ROW.tolist()


def test_memory_that_is_something_else_behind_the_first_is_not_followed(served: Pipeline) -> None:
    """A learnt request whose second tensor's field is another field now."""
    method, body = Method(served), pair().SerializeToString()
    method.decode(body)
    at = body.rindex(b"\x3a\x10")
    other = body[:at] + b"\x7a" + body[at + 1 :]
    assert method.recognised(other) is None
    with pytest.raises(InvalidInput, match="unable to find data for input tensor 'INPUT1'"):
        method.decode(other)


def test_an_id_that_is_told_twice_is_the_last_one(served: Pipeline) -> None:
    """As protobuf has it, though the last one be empty."""
    head, tail = one()[:6], one()[6:]
    method = Method(served)
    for ids, last in (
        (b"\x1a\x00", ""),
        (b"\x1a\x01a\x1a\x00", ""),
        (b"\x1a\x01b\x1a\x01b", "b"),
        (b"\x1a\x01a\x1a\x01b", "b"),
        (b"\x1a\x01c\x1a\x01b", "b"),
        (b"\x1a\x01b", "b"),
    ):
        body = head + ids + tail
        assert pb.ModelInferRequest.FromString(body).id == last
        for _ in range(2):
            assert method.decode(body).id == last


def test_a_model_that_went_away_or_changed_is_asked_for_again(served: Pipeline) -> None:
    """What was learnt of one version is not done with another."""
    method = Method(served)
    body = one()
    method.decode(body)
    other = served.manager.lookup("FP64")

    def changed(model: str | None, version: str | None = None, label: str | None = None) -> Handle:
        return other

    def gone(model: str | None, version: str | None = None, label: str | None = None) -> Handle:
        raise ModelNotFound("FP32", None, [])

    assert method.infer._plans.follow(body, changed) is None
    with pytest.raises(InferdError):
        method.infer.decode(Message(body, {}), gone)


def test_no_more_is_kept_than_may_be(served: Pipeline) -> None:
    """A caller who never asks the same twice does not fill the memory."""
    method = Method(served)
    for at in range(Plans.KEPT + 5):
        method.decode(one(parameters={"p": at}))
        assert len(method.infer._plans._plans) <= Plans.KEPT
        starts = method.infer._plans._starts
        assert len(starts) <= Plans.KEPT
        assert all(len(each) <= Plans.LENGTHS for each in starts.values())
    for _ in range(2):  # and the next one is learnt as ever
        same(method.decode(one()), Method(served).decode(one()))
    assert method.recognised(one()) is not None
