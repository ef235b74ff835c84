"""inferd.wire.json: the fast codec and the lenient one say the same."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inferd.errors import MalformedRequest
from inferd.wire import json as codec

ANY = msgspec.json.Decoder(Any)


class Tensor(msgspec.Struct):
    """A document with a type, as dialects have them."""

    name: str
    shape: tuple[int, ...]
    data: list[Any] | None = None
    scale: float = 1.0
    beside: dict[str, Any] | None = None


TYPED = msgspec.json.Decoder(Tensor)

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text()
VALUES = st.recursive(
    LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4)
)
TEXTS = st.builds(
    lambda value, ascii_only, indent: json.dumps(
        value, ensure_ascii=ascii_only, indent=indent
    ).encode(),
    VALUES,
    st.booleans(),
    st.none() | st.just(1),
)
TENSORS = st.builds(
    lambda value: json.dumps(value).encode(),
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(max_size=3) | LEAVES,
            "shape": st.lists(NUMBERS, max_size=3) | VALUES,
            "data": st.lists(LEAVES, max_size=3) | VALUES,
            "scale": NUMBERS | LEAVES,
            "beside": VALUES,
            "unknown": VALUES,
        },
    ),
)
# Pieces of JSON that tell parsers apart, in any order.
WORDS = ["null", "true", "false", "1e5", "1E+400", "-0", "-0.0", "01", "1.", ".5", "1_0", "0x1"]
WORDS += [r"\u0041", r"\ud800", r"\udc00", r"\x", '"a"', "'a'", "[1]", '{"a":1}', '{"a":1,"a":2}']
WORDS += ["/**/", "nan", "\u00e9"]
FRAGMENTS = st.lists(
    st.sampled_from([*'[]{},:"\\ \n\t0123456789-+.eE', *WORDS, *"\ufeff\x00\x7f\x0b\u2028"]),
    max_size=8,
).map(lambda pieces: "".join(pieces).encode())


def _outcome(read: Any, document: bytes, decoder: Any) -> tuple[str, Any]:
    """What a codec makes of a document; NaN as its text, so that outcomes can be compared."""
    try:
        return "read", repr(read(document, decoder))
    except MalformedRequest:
        return "refused", None


@given(TEXTS | FRAGMENTS)
@example(b"-0")
@example(b"1e400")
@example(b'"\\ud800"')
@example(b'"\\ud83d\\ude00"')
@example(b"\xff")
@example(b'"\xff"')
@example(b'"\xed\xa0\x80"')
@example(b"123456789012345678901234567890")
@example(b"")
def test_both_codecs_read_the_same(document: bytes) -> None:
    """Any document is read as the same value by both, or refused by both."""
    fast = _outcome(codec.decode, document, ANY)
    assert fast == _outcome(codec._decode_lenient, document, ANY)


@given(TENSORS)
@example(b'{"name":"X","shape":[1.0]}')
@example(b'{"name":"X","shape":[1],"scale":1}')
@example(b'{"name":"X","shape":[true]}')
@example(b'{"name":"X","shape":[123456789012345678901234567890]}')
def test_both_codecs_hold_a_document_against_its_type_alike(document: bytes) -> None:
    """A typed document is read as the same value by both, or refused by both."""
    fast = _outcome(codec.decode, document, TYPED)
    assert fast == _outcome(codec._decode_lenient, document, TYPED)


@given(VALUES)
def test_what_is_written_is_read_as_the_same_value(value: Any) -> None:
    """Both writers write documents of equal values."""
    try:
        fast = codec.encode(value)
    except TypeError:  # an integer of more than 64 bits, which no tensor holds
        return
    assert codec.decode(fast, ANY) == codec.decode(codec.encode_lenient(value), ANY) == value


NOT_JSON = st.sampled_from([math.nan, math.inf, -math.inf])


@given(st.lists(NOT_JSON | st.floats() | st.just("null") | st.none()))
def test_what_json_cannot_write_goes_both_ways(values: list[Any]) -> None:
    """NaN and the infinities are bare tokens, and come back as themselves."""
    document = codec.encode({"data": values})
    assert repr(codec.decode(document, ANY)) == repr({"data": values})
    assert repr(json.loads(document)) == repr({"data": values})


def test_the_tokens_are_those_of_pythons_json() -> None:
    """Python's own json, TensorFlow Serving and Triton spell them so."""
    assert codec.encode([math.nan, math.inf, -math.inf]) == b"[NaN,Infinity,-Infinity]"
    assert codec.encode({"text": "null NaN", "n": None}) == b'{"text":"null NaN","n":null}'


@pytest.mark.parametrize(
    "document",
    [b"[NaN", b"[nan]", b"[+Infinity]", b"[-NaN]", b'["NaN",]', b"[NaN]x", b"[1e999,NaN]"],
)
def test_the_lenient_codec_is_lenient_in_nothing_else(document: bytes) -> None:
    """Beside the three tokens the document must be JSON."""
    with pytest.raises(MalformedRequest):
        codec.decode(document, ANY)


def test_the_words_within_strings_are_words() -> None:
    """A string that says NaN is a string, and a fault elsewhere is still told."""
    value: Any = codec.decode(b'["NaN","Infinity"]', ANY)
    assert value == ["NaN", "Infinity"]
    with pytest.raises(MalformedRequest):
        codec.decode(b'["NaN"', ANY)


@pytest.mark.parametrize(
    "document", [b'{"name":1,"shape":[]}', b'{"name":1,"shape":[],"data":[NaN]}']
)
def test_a_document_of_the_wrong_type_is_told_with_its_place(document: bytes) -> None:
    """The error says what was expected where, whether or not the lenient codec read it."""
    with pytest.raises(MalformedRequest, match=r"Expected `str`, got `int` - at `\$\.name`"):
        codec.decode(document, TYPED)
    with pytest.raises(MalformedRequest, match=r"Expected `str`, got `int` - at `\$\.name`"):
        codec._decode_lenient(document, TYPED)


@pytest.mark.parametrize("inside", [b"", b"NaN"])
def test_nesting_without_end_is_refused(inside: bytes) -> None:
    """No depth of brackets ends the process, in either codec."""
    depth = 200_000
    with pytest.raises(MalformedRequest):
        codec.decode(b"[" * depth + inside + b"]" * depth, ANY)
    with pytest.raises(MalformedRequest):
        codec.decode(b"[" + inside + b"," + b"[" * depth + b"]" * depth + b"]", ANY)


def test_what_is_no_utf8_is_refused() -> None:
    """Bytes that are no text are told as such."""
    with pytest.raises(MalformedRequest):
        codec.decode(b'["\xff"]', ANY)
    with pytest.raises(MalformedRequest):
        codec.decode(b'["\xff", NaN]', ANY)
