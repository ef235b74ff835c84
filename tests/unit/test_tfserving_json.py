"""wire/json_tfserving: JSON as RapidJSON reads it, and numbers in TensorFlow Serving's digits."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from inferd.errors import MalformedRequest
from inferd.tensors import Array
from inferd.wire import json_tfserving as module
from inferd.wire.json_tfserving import decode, doubles, dump, singles, write, write_rows

ANY = msgspec.json.Decoder(dict[str, Any])
LIST = msgspec.json.Decoder(list[Any])
SINGLES = st.floats(width=32)
DOUBLES = st.floats()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"x":NaN}', math.nan),
        (b'{"x":-NaN}', math.nan),
        (b'{"x":Inf}', math.inf),
        (b'{"x":-Inf}', -math.inf),
        (b'{"x":Infinity}', math.inf),
        (b'{"x":-Infinity}', -math.inf),
        (b'{"x":[Inf,"Inf -NaN \\" Inf",-Inf]}', [math.inf, 'Inf -NaN " Inf', -math.inf]),
        (b'{"x":1} trailing', 1),
        (b'{"x":1}{"x":2}', 1),
        (b'{"x":1}]', 1),
        (b'\xef\xbb\xbf{"x":1}', 1),
    ],
)
def test_what_rapidjson_takes_beyond_the_standard(sent: bytes, expected: Any) -> None:
    """NaN, Inf and Infinity with an optional minus are numbers, and what follows the first whole
    value is ignored (json_tensor.cc, kParseNanAndInfFlag and kParseStopWhenDoneFlag)."""
    found = decode(sent, ANY)["x"]
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"  \n", "JSON Parse error: The document is empty"),
        (b"instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
        (b'{"x":1', "JSON Parse error: Missing a comma or }"),
        (b'{"x" 1}', "JSON Parse error: Missing a colon"),
        (b"{x:1}", "JSON Parse error: Missing a name for object member."),
        (b'{"x', "JSON Parse error: Missing a closing quotation mark"),
        (b'{"x":"\\q"}', "JSON Parse error: Invalid escape character"),
        (b'{"x":1e999}', "JSON Parse error: Number too big to be stored in double."),
        (b'{"x":"\xff"}', "JSON Parse error: The document is not UTF-8."),
        (b'{"x":"\\ud800"}', "JSON Parse error: The document is not UTF-8."),
        (b"[1, 2] x", "JSON Value: [1, 2] Is not object"),
        (b"[1, 2]", "JSON Value: [1, 2] Is not object"),
        (b"null", "JSON Value: null Is not object"),
        (b"NaN", "JSON Value: NaN Is not object"),
    ],
)
def test_what_is_no_document_is_told(sent: bytes, text: str) -> None:
    """An empty body, bad JSON and a top level that is no object have TensorFlow Serving's words."""
    with pytest.raises(MalformedRequest) as caught:
        decode(sent, ANY)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("opening", [b"[", b'{"x":'])
@pytest.mark.parametrize("name", [b"ignored", b"signature_name"])
def test_deep_nesting_is_refused_and_nothing_crashes(opening: bytes, name: bytes) -> None:
    """500,000 levels, closed or not, are an error like any other."""
    closing = b"]" if opening == b"[" else b"}"
    for tail in (b"", b"1" + closing * 500_000 + b"}"):
        with pytest.raises(MalformedRequest, match="nested too deep"):
            decode(b'{"' + name + b'":' + opening * 500_000 + tail, ANY)


def test_a_piece_must_be_whole() -> None:
    """Where a part of a document is read, nothing may follow it."""
    assert repr(decode(b"[1,NaN]", LIST, whole=True)) == "[1, nan]"
    with pytest.raises(MalformedRequest):
        decode(b"[1,NaN] ]", LIST, whole=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1 / 3, "0.333333343"),
        (9000000, "9e+06"),
        (999999, "999999.0"),
        (0.00003, "3e-05"),
        (1435774336, "1.43577434e+09"),
        (0, "0.0"),
        (-0.0, "-0.0"),
        (1, "1.0"),
        (2.5, "2.5"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (3.4028234663852886e38, "3.40282347e+38"),
        (1e-45, "1.4013e-45"),
    ],
)
def test_floats_in_their_digits(value: float, text: str) -> None:
    """Six digits where they tell a float32 apart, otherwise nine; never without a point or an
    exponent (json_tensor.cc, WriteDecimal)."""
    assert write(np.array(value, np.float32)).decode() == text


def test_doubles_in_their_digits() -> None:
    """Six or seventeen for a float64; whatever is finite is written as the same number."""
    assert doubles([1 / 3, 0.1, 1e6, 5.0]) == ["0.33333333333333331", "0.1", "1e+06", "5.0"]
    assert json.loads(write(np.array([1 / 3, 1e300]))) == [1 / 3, 1e300]
    assert write(np.array([math.nan, 0.5, -math.inf])) == b"[NaN,0.5,-Infinity]"


@given(SINGLES)
def test_a_float32_comes_back(value: float) -> None:
    """What is written is the %g of C where that reads as the same float32, or its %.9g: the same
    number to who reads it in float32."""
    (text,) = singles([value])
    if not math.isfinite(value):
        assert text in ("NaN", "Infinity", "-Infinity")
        return
    with np.errstate(over="ignore"):
        short, back = np.float32(float(f"{value:g}")), np.float32(float(text))
    expected = f"{value:g}" if short == value else f"{value:.9g}"
    assert text == expected if set(".e") & set(expected) else text == expected + ".0"
    assert back == value
    assert isinstance(json.loads(text), float)


@given(DOUBLES)
def test_a_float64_comes_back(value: float) -> None:
    """The same with %.17g."""
    (text,) = doubles([value])
    if not math.isfinite(value):
        assert text in ("NaN", "Infinity", "-Infinity")
        return
    expected = f"{value:g}" if float(f"{value:g}") == value else f"{value:.17g}"
    assert text == expected if set(".e") & set(expected) else text == expected + ".0"
    assert json.loads(text) == value


@pytest.mark.parametrize("exact", [1 << 10, 0])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint64, bool])
@given(data=st.data())
def test_an_array_comes_back(exact: int, dtype: type, data: st.DataObject) -> None:
    """Whatever its shape and size, in few digits or in many, in one slice or in several."""
    shape = data.draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = data.draw(arrays(dtype, shape))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "EXACT", exact)
        patched.setattr(module, "SLICE", 5)
        whole, rows = write(array), write_rows(array) if array.ndim else []
    back: Array = np.array(json.loads(whole), dtype).reshape(array.shape)
    np.testing.assert_array_equal(back, array)
    assert len(rows) == (len(array) if array.ndim else 0)
    for at, row in enumerate(rows):
        found: Array = np.array(json.loads(row), dtype).reshape(array.shape[1:])
        np.testing.assert_array_equal(found, array[at])


@pytest.mark.parametrize("shape", [(4,), (2, 2), (1, 2, 2)])
def test_strings_may_be_base64(shape: tuple[int, ...]) -> None:
    """As they are, or as objects of base64."""
    array: Array = np.array(["a", "ü", b"c", '"'], object).reshape(shape)
    assert np.array(json.loads(write(array))).ravel().tolist() == ["a", "ü", "c", '"']
    coded = json.loads(write(np.array(["a", "ü"], object), as_b64=True))
    assert coded == [{"b64": "YQ=="}, {"b64": "w7w="}]
    assert [json.loads(row) for row in write_rows(array)] == json.loads(write(array))


def test_a_dump_is_short() -> None:
    """Whatever was sent, a text shows its beginning alone."""
    assert dump({"a": [1, 2.5, None, True, "x"]}) == '{"a": [1, 2.5, null, true, "x"]}'
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    wide: Any = {}
    for _ in range(10_000):
        wide = {"x": wide}
    for huge in (wide, "x" * 10_000, [[1] * 1000] * 1000, {"x" * 9999: 1}, deep, 10**5000):
        assert len(dump(huge)) < 300
