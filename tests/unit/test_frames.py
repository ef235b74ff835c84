"""wire/frames: every tensor comes back as it was, and nothing that is no frame is taken for one."""

from typing import Any

import hypothesis
import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st

from inferd.errors import RunFailed
from inferd.tensors import TABLE, Array, Datatype
from inferd.wire import frames
from inferd.wire.frames import ALIGNMENT, PREFIX, Broken, Frame
from inferd.wire.messages import Ran, Run

NUMBERS = [row for row in TABLE if row.name != "BYTES"]


def joined(message: Any, tensors: dict[str, Array] | None = None) -> bytes:
    """A whole frame."""
    return b"".join(frames.encode(message, tensors))


def read(frame: bytes) -> Frame:
    """What a whole frame carries."""
    told = frames.sizes(frame[: PREFIX.size])
    payload = np.empty(told.payload, np.uint8)
    payload[:] = np.frombuffer(frame, np.uint8, offset=PREFIX.size)
    return frames.decode(payload, told.header)


def back(array: Array) -> Array:
    """The array, having gone over."""
    return read(joined(Ran(), {"t": array})).tensors["t"]


@pytest.mark.parametrize("shape", [(), (0,), (0, 4), (3,), (2, 3, 4)])
@pytest.mark.parametrize("datatype", NUMBERS, ids=lambda row: row.name)
def test_numbers_come_back(datatype: Datatype, shape: tuple[int, ...]) -> None:
    """Every datatype, in every shape, keeps its bytes, and may be written to."""
    array = np.random.default_rng(0).integers(0, 2, shape).astype(datatype.numpy)
    got = back(array)
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert got.flags.writeable


def test_every_bit_of_a_float_comes_back() -> None:
    """NaNs with a payload, infinities and zeros of both signs are not touched."""
    bits = np.array([0x7FF8DEADBEEF0001, 0xFFF0000000000000, 1 << 63, 1], np.uint64)
    assert back(bits.view(np.float64)).tobytes() == bits.tobytes()


@pytest.mark.parametrize("order", ["F", "slice", "reversed", "read-only"])
def test_any_layout_in_memory_will_do(order: str) -> None:
    """Arrays that are no plain block of memory go over as their values."""
    array = np.arange(24.0).reshape(4, 6)
    views = {"F": np.asfortranarray(array), "slice": array[::2, 1:4], "reversed": array[::-1]}
    frozen = array.copy()
    frozen.flags.writeable = False
    view = views.get(order, frozen)
    assert np.array_equal(back(view), view)


def test_tensors_keep_their_names_and_their_order() -> None:
    """Several tensors, of datatypes of different sizes, each begin where any library takes them."""
    tensors: dict[str, Array] = {
        "b": np.ones(3, np.int8),
        "näme": np.array([["x"], [b"\xff"]], object),
        "a": np.ones((1, 5)),
    }
    got = read(joined(Run(("y", "x")), tensors))
    assert got.message == Run(("y", "x"))
    assert list(got.tensors) == list(tensors)
    assert all(np.array_equal(got.tensors[name], array) for name, array in tensors.items())
    assert all(got.tensors[name].ctypes.data % ALIGNMENT == 0 for name in "ab")


@hypothesis.settings(max_examples=50)
@hypothesis.given(st.lists(st.text() | st.binary(), max_size=20))
def test_strings_and_bytes_come_back(values: list[str | bytes]) -> None:
    """Text stays text and bytes stay bytes, whatever is in them."""
    array = np.empty(len(values), object)
    array[:] = values
    assert back(array).tolist() == values


def test_strings_of_any_kind_are_strings() -> None:
    """Half of a surrogate pair goes over; numpy's own strings do, as objects."""
    assert back(np.array(["\ud800"], object)).tolist() == ["\ud800"]
    assert back(np.array([["a", "bc"]])).tolist() == [["a", "bc"]]
    assert back(np.array([b"a", b"bc"])).tolist() == [b"a", b"bc"]
    assert back(np.array([np.str_("a")], object)).tolist() == ["a"]
    assert back(np.empty((0, 3), object)).shape == (0, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None], object),
        np.array([1.5], object),
        np.array([{}, "a"], object),
        np.zeros(2, np.complex64),
        np.zeros(2, "datetime64[s]"),
    ],
    ids=["None", "number", "dict", "complex", "time"],
)
def test_what_no_protocol_carries_is_refused(array: Array) -> None:
    """An object that is no string, or a dtype of no protocol, is the model's fault."""
    with pytest.raises(RunFailed, match="no protocol can carry tensor 't'"):
        frames.encode(Ran(), {"t": array})


def test_large_tensors_are_not_copied() -> None:
    """The pieces of a frame are views of the arrays."""
    array = np.zeros(100)
    pieces = frames.encode(Ran(), {"t": array})
    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), array) for piece in pieces if piece)


def test_a_frame_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much for one frame is said before it is sent, and not believed when it is read."""
    monkeypatch.setattr(frames, "MAX_BYTES", 1000)
    with pytest.raises(RunFailed, match=r"too large.*expected at most 1000.*fewer rows"):
        frames.encode(Ran(), {"t": np.zeros(1000)})
    with pytest.raises(Broken):
        frames.sizes(PREFIX.pack(10, 1001))


@pytest.mark.parametrize(("header", "payload"), [(11, 10), (2**63, 2**63), (0, 2**64 - 1)])
def test_sizes_that_cannot_be_are_broken(header: int, payload: int) -> None:
    """A header is part of its payload, and both are within bounds."""
    with pytest.raises(Broken):
        frames.sizes(PREFIX.pack(header, payload))


SAMPLE = joined(Ran(), {"n": np.arange(5.0), "s": np.array([["a", b"bc"], ["", "d"]], object)})


@hypothesis.given(st.data())
def test_damaged_frames_are_broken_or_read(data: st.DataObject) -> None:
    """Whatever bytes are changed or cut off, the outcome is a frame or Broken, and nothing else."""
    frame = bytearray(SAMPLE)
    for at in data.draw(st.lists(st.integers(PREFIX.size, len(frame) - 1), max_size=3)):
        frame[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(PREFIX.size, len(frame)))
    header = min(frames.sizes(SAMPLE[: PREFIX.size]).header, end - PREFIX.size)
    payload = np.frombuffer(bytes(frame[PREFIX.size : end]), np.uint8)
    try:
        frames.decode(payload, header)
    except Broken:
        return


@pytest.mark.parametrize(
    "tensors",
    [
        [["t", "FP64", [2], 8]],
        [["t", "FP64", [3, -1], 16]],
        [["t", "FP64", [1 << 40, 1 << 40], 16]],
        [["t", "FP64", [2], 1 << 60]],
        [["t", "FP65", [2], 16]],
        [["t", "BYTES", [1 << 62], 16]],
        [["t", "BYTES", [1 << 40, 1 << 40], 16]],
        [["t", "BYTES", [1], 16]],
        [["t", "FP64", [2], 16], ["u", "FP64", [1], 8]],
        [],
    ],
)
def test_headers_that_lie_are_broken(tensors: list[Any]) -> None:
    """Shapes, datatypes and sizes that do not fit what follows make no array."""
    header = msgspec.msgpack.encode([{"type": "Ran"}, tensors])
    body = bytes(-len(header) % ALIGNMENT) + np.ones(2).tobytes()
    payload = np.frombuffer(header + body, np.uint8)
    with pytest.raises(Broken):
        frames.decode(payload, len(header))
