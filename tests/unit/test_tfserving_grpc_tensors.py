"""protocols/tfserving/grpc: TensorProto to arrays and back, both of its encodings."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from inferd.errors import InvalidInput
from inferd.protocols.tfserving.grpc import dtypes, fields, read_tensor
from inferd.protocols.tfserving.grpc.dtypes import BY_TENSORFLOW, NUMBERS, VALUES
from inferd.protocols.tfserving.grpc.read_tensor import TensorReader
from inferd.protocols.tfserving.grpc.write_tensor import FEW, LARGE, OutputWriter
from inferd.signature import TensorSpec
from inferd.tensors import BY_NAME, TABLE, Array
from inferd.wire.proto import message

TENSOR = "tensorflow.TensorProto"
NAMES = [row.name for row in TABLE]
NUMERIC = [name for name in NAMES if name != "BYTES"]


def tensor(datatype: str, shape: list[int], **said: Any) -> Any:
    """A message."""
    made = message(TENSOR)(dtype=NUMBERS[datatype], **said)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return message(TENSOR).FromString(made.SerializeToString())


def read(datatype: str, sent: Any) -> Array:
    """What a reader for any shape makes of it."""
    reader = TensorReader(TensorSpec("x", datatype, ()), 0)
    shape = reader.shape(sent)
    return reader.read(sent, shape, int(np.prod(shape, dtype=object)))


def refusal(datatype: str, sent: Any) -> str:
    """The text of its error."""
    with pytest.raises(InvalidInput) as caught:
        read(datatype, sent)
    return str(caught.value)


def content(array: Array) -> bytes:
    """An array as tensor_content: numbers as they lie; of strings the lengths, then all."""
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel()]
    return b"".join([fields.varint(len(text)) for text in texts] + texts)


def values(array: Array) -> list[Any]:
    """An array as the values of its typed field."""
    if array.dtype.kind == "O":
        return [text.encode() for text in array.ravel()]
    if array.dtype == np.float16:
        array = array.view(np.uint16)
    listed: list[Any] = array.ravel().tolist()
    return listed


def written(datatype: str, array: Array) -> Any:
    """The TensorProto that a writer makes, read by protobuf from an answer."""
    writer = OutputWriter(TensorSpec("y", datatype, (-1,)))
    first, again = (b"".join(writer(array)) for _ in range(2))
    assert first == again
    answer = message("tensorflow.serving.PredictResponse").FromString(first)
    assert list(answer.outputs) == ["y"]
    return answer.outputs["y"]


def same(got: Array, expected: Array) -> None:
    """Bit for bit."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype.kind == "f":
        got, expected = (each.view(f"u{each.itemsize}") for each in (got, expected))
    np.testing.assert_array_equal(got, expected)


@st.composite
def arrays(draw: st.DrawFn) -> tuple[str, Array]:
    """Any array of any datatype."""
    datatype = draw(st.sampled_from(NAMES))
    shape = draw(npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))
    if datatype != "BYTES":
        return datatype, draw(npst.arrays(BY_NAME[datatype].numpy, shape))
    count = int(np.prod(shape))
    texts = draw(st.lists(st.text(max_size=200), min_size=count, max_size=count))
    array = np.empty(count, np.object_)
    array[:] = texts
    return datatype, array.reshape(shape)


class TestBothWays:
    """Every datatype, in each encoding."""

    @given(arrays())
    def test_any_array_is_read(self, drawn: tuple[str, Array]) -> None:
        """From its memory and from its values it is the same, bit for bit."""
        datatype, array = drawn
        shape = list(array.shape)
        same(read(datatype, tensor(datatype, shape, tensor_content=content(array))), array)
        typed = {VALUES[datatype].name: values(array)}
        same(read(datatype, tensor(datatype, shape, **typed)), array)

    @given(arrays())
    def test_any_array_comes_back(self, drawn: tuple[str, Array]) -> None:
        """What is written is read again, by protobuf and by ourselves."""
        datatype, array = drawn
        told = written(datatype, array)
        assert told.dtype == NUMBERS[datatype]
        assert told.HasField("tensor_shape")
        assert [each.size for each in told.tensor_shape.dim] == list(array.shape)
        assert told.tensor_content == b""
        assert len(getattr(told, VALUES[datatype].name)) == array.size
        same(read(datatype, told), array)

    @pytest.mark.parametrize("datatype", NUMERIC)
    @pytest.mark.parametrize("size", [FEW - 1, FEW + 1, LARGE + 1])
    def test_larger_ones(self, datatype: str, size: int) -> None:
        """Where arrays are looked at in other ways."""
        for most in (100, 200):
            array = (np.arange(size) % most).astype(BY_NAME[datatype].numpy)
            if datatype == "INT8":
                array = np.abs(array)
            same(read(datatype, written(datatype, array)), array)
            negative = array if datatype[0] in "BU" else -array
            same(read(datatype, written(datatype, negative)), negative)

    def test_memory_that_lies_otherwise(self) -> None:
        """A transposed array, and one of another precision, are written as what they mean."""
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        same(read("FP32", written("FP32", array.T)), np.ascontiguousarray(array.T))
        same(read("FP32", written("FP32", array.astype(np.float64))), array)
        large = np.zeros((LARGE, 2), np.float32)
        large[1, 0] = 1
        same(read("FP32", written("FP32", large.T)), np.ascontiguousarray(large.T))

    def test_strings_of_a_fixed_width(self) -> None:
        """As numpy has them, and bytes: both are written as strings."""
        for array in (np.array(["a", "bc"]), np.array([b"a", b"bc"], np.object_)):
            assert list(written("BYTES", array).string_val) == [b"a", b"bc"]

    def test_many_shapes_are_forgotten(self) -> None:
        """A writer keeps a bounded number of heads."""
        writer = OutputWriter(TensorSpec("y", "FP32", (-1,)))
        for size in range(writer.KEPT + 5):
            writer(np.zeros(size, np.float32))
        assert len(writer._heads) <= writer.KEPT

    def test_lists_of_other_fields_do_not_confuse(self) -> None:
        """Values of the fields of other datatypes are ignored, whatever stands before."""
        array = np.arange(40, dtype=np.float64)
        others: dict[str, Any] = {"float_val": [9.0], "version_number": 7, "int_val": [1]}
        sent = tensor("FP64", [40], double_val=array, **others)
        same(read("FP64", sent), array)

    def test_unknown_fields_do_not_confuse(self) -> None:
        """A message may have fields that were not known when this was written."""
        array = np.arange(40, dtype=np.float32)
        unknown = b"\xa2\x1f\x03abc"  # field 500
        sent = tensor("FP32", [40], float_val=array).SerializeToString()
        for body in (unknown + sent, sent + unknown):
            same(read("FP32", message(TENSOR).FromString(body)), array)

    def test_another_order_of_fields(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing depends on protobuf's writing them as it does: it need not."""
        monkeypatch.setattr(read_tensor, "tag", lambda number: b"?")
        array = np.arange(40, dtype=np.float32)
        same(read("FP32", tensor("FP32", [40], float_val=array)), array)


class TestShapes:
    """What a shape may be, and what of it is never allocated."""

    def test_without_a_shape(self) -> None:
        """It is a scalar, and so is one of unknown rank."""
        assert read("FP32", tensor("FP32", [], float_val=[2.5])).shape == ()
        sent = tensor("FP32", [], float_val=[2.5])
        sent.tensor_shape.unknown_rank = True
        assert read("FP32", sent) == np.float32(2.5)
        assert read("INT64", tensor("INT64", [], tensor_content=bytes(8))) == 0

    def test_a_negative_dimension(self) -> None:
        """Is refused."""
        text = refusal("FP32", tensor("FP32", [-1, 2], float_val=[1, 2]))
        assert text.startswith("tensor parsing error: x: got a negative dimension")

    @pytest.mark.parametrize("datatype", NAMES)
    def test_the_last_value_stands_for_the_rest(self, datatype: str) -> None:
        """As TensorFlow packs tensors whose end is all one value; without any they are zeros."""
        text = datatype == "BYTES"
        sent: list[Any] = [b"a", b"b"] if text else values(np.ones(2, BY_NAME[datatype].numpy))
        field = VALUES[datatype].name
        got = read(datatype, tensor(datatype, [2, 2], **{field: sent}))
        assert got.tolist() == ([["a", "b"], ["b", "b"]] if text else [[1, 1], [1, 1]])
        nothing = read(datatype, tensor(datatype, [3]))
        assert nothing.tolist() == ([""] * 3 if text else [0] * 3)
        assert nothing.dtype == BY_NAME[datatype].numpy

    @pytest.mark.parametrize("shape", [[1 << 40], [1 << 62, 1 << 62], [(1 << 20) + 2]])
    @pytest.mark.parametrize("sent", [[1.0], []])
    def test_a_large_shape_of_little(self, shape: list[int], sent: list[float]) -> None:
        """Nothing of a shape's size is made where its values were not sent."""
        text = refusal("FP32", tensor("FP32", shape, float_val=sent))
        assert f"got {len(sent)} values for " in text
        assert f"at most {read_tensor.MOST_REPEATED} bytes" in text

    def test_a_long_string_is_not_repeated(self) -> None:
        """Strings count by what a model would copy."""
        sent = tensor("BYTES", [2000], string_val=[b"x" * 1000])
        assert "1 values for 2000 elements" in refusal("BYTES", sent)
        assert read("BYTES", tensor("BYTES", [2000], string_val=[b"x"])).tolist() == ["x"] * 2000

    def test_a_dimension_of_none(self) -> None:
        """Needs no values; a shape that no array can have is refused."""
        assert read("FP32", tensor("FP32", [0, 4])).shape == (0, 4)
        assert read("BYTES", tensor("BYTES", [0])).shape == (0,)
        assert "no tensor can have the shape" in refusal("FP32", tensor("FP32", [0, 1 << 62, 8]))


class TestFaults:
    """Each is told with what was got and what was expected."""

    @pytest.mark.parametrize(
        ("datatype", "shape", "said", "text"),
        [
            ("FP32", [2], {"tensor_content": b"abc"}, "got 3 bytes of tensor_content, expected 8"),
            ("BOOL", [2], {"tensor_content": b"abc"}, "got 3 bytes of tensor_content, expected 2"),
            ("INT8", [0], {"tensor_content": b"abc"}, "got 3 bytes of tensor_content, expected 0"),
            ("FP32", [2], {"float_val": [1, 2, 3]}, "got 3 values of float_val, expected 2"),
            ("BYTES", [0], {"string_val": [b""]}, "got 1 values of string_val, expected 0"),
            ("BYTES", [2], {"tensor_content": b"\x01\x01a"}, "expected the lengths of 2 strings"),
            ("BYTES", [2], {"tensor_content": b"\x01\x01abc"}, "expected the lengths of 2 str"),
            ("BYTES", [1], {"tensor_content": b"\x81"}, "expected the lengths of 1 strings"),
            ("BYTES", [1], {"tensor_content": b"\x81" * 9}, "expected the lengths of 1 strings"),
            ("BYTES", [1 << 40], {"tensor_content": b"\x00"}, "expected the lengths of 1099511"),
            ("BYTES", [1], {"tensor_content": b"\xff\xff\xff\xff\x0f"}, "the lengths of 1 strings"),
        ],
    )
    def test_what_does_not_fit(
        self, datatype: str, shape: list[int], said: dict[str, Any], text: str
    ) -> None:
        """A tensor whose values are not as many as its shape says."""
        told = refusal(datatype, tensor(datatype, shape, **said))
        assert told.startswith("tensor parsing error: x: got ")
        assert text in told

    @pytest.mark.parametrize(
        ("datatype", "value"),
        [
            ("UINT8", 256),
            ("UINT8", -1),
            ("INT8", 128),
            ("INT16", 40_000),
            ("UINT16", 65_536),
            ("FP16", 65_536),
            ("FP16", -1),
        ],
    )
    def test_an_integer_out_of_range(self, datatype: str, value: int) -> None:
        """A field of 32 bits may hold more than the datatype does."""
        sent = tensor(datatype, [1], **{VALUES[datatype].name: [value]})
        assert refusal(datatype, sent) == (
            f"'x' holds a value that does not fit: got an integer out of range, expected {datatype}"
        )

    def test_a_string_that_is_no_text(self) -> None:
        """Models take text."""
        for said in ({"string_val": [b"\xff"]}, {"tensor_content": b"\x01\xff"}):
            told = refusal("BYTES", tensor("BYTES", [1], **said))
            assert told.startswith("a string of input 'x' is not text")

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (0, "tensor parsing error: x: got the dtype 0, expected float"),
            (101, "tensor parsing error: x: got the dtype 101, expected float"),
            (2, "Expects arg[0] to be float but double is provided"),
            (8, "Expects arg[0] to be float but complex64 is provided"),
            (10, "Expects arg[0] to be float but bool is provided"),
            (14, "Expects arg[0] to be float but bfloat16 is provided"),
            (99, "Expects arg[0] to be float but unknown dtype enum (99) is provided"),
        ],
    )
    def test_another_datatype(self, number: int, text: str) -> None:
        """By TensorFlow's names; numbers of no datatype are no tensor."""
        sent = tensor("FP32", [1], float_val=[1])
        sent.dtype = number
        assert text in refusal("FP32", sent)

    def test_the_bytes_of_truths(self) -> None:
        """Are 0 and 1, and nothing else, as TensorFlow has it."""
        got = read("BOOL", tensor("BOOL", [3], tensor_content=b"\x00\x01\x01"))
        assert got.tolist() == [False, True, True]
        text = refusal("BOOL", tensor("BOOL", [2], tensor_content=b"\x01\x02"))
        assert "got a byte of tensor_content that is neither 0 nor 1" in text


SIZES = st.integers(-2, 5) | st.sampled_from([1 << 20, 1 << 40, (1 << 63) - 1])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "float_val": st.floats(width=32),
    "double_val": st.floats(),
    "int_val": st.integers(-(2**31), 2**31 - 1),
    "half_val": st.integers(-5, 70_000),
    "int64_val": st.integers(-(2**63), 2**63 - 1),
    "bool_val": st.booleans(),
    "string_val": st.binary(max_size=4),
    "uint32_val": st.integers(0, 2**32 - 1),
    "uint64_val": st.integers(0, 2**64 - 1),
}


@given(st.sampled_from(NAMES), st.lists(SIZES, max_size=3), st.data())
def test_any_tensor_is_read_or_refused(
    datatype: str, shape: list[int], data: st.DataObject
) -> None:
    """What is read has the shape that was told, and no more memory than may be."""
    said = data.draw(
        st.fixed_dictionaries(
            {},
            optional={name: st.lists(each, max_size=20) for name, each in FIELDS.items()}
            | {"tensor_content": st.binary(max_size=20)},
        )
    )
    try:
        array = read(datatype, tensor(datatype, shape, **said))
    except InvalidInput:
        return
    assert list(array.shape) == shape
    assert array.dtype == BY_NAME[datatype].numpy
    assert array.nbytes <= read_tensor.MOST_REPEATED + 200


def test_the_numbers_are_protobufs() -> None:
    """Those of types.proto and tensor.proto."""
    described = message(TENSOR).DESCRIPTOR
    enum = described.fields_by_name["dtype"].enum_type
    assert {name: enum.values_by_name[name].number for name in BY_TENSORFLOW} == BY_TENSORFLOW
    for name, number in VALUES.values():
        assert described.fields_by_name[name].number == number
    for number, text in dtypes._TEXTS.items():
        assert enum.values_by_number[number].name == f"DT_{text.upper()}"


@given(st.integers(0, 1 << 70))
def test_varints(number: int) -> None:
    """Seven bits a byte, the lowest first, and only the last without the highest bit."""
    told = fields.varint(number)
    assert sum((byte & 0x7F) << 7 * at for at, byte in enumerate(told)) == number
    assert [byte > 0x7F for byte in told] == [True] * (len(told) - 1) + [False]
    assert len(told) == max(1, -(-number.bit_length() // 7))
