"""Tests of lanes/deadlines.py: how long a caller waits, as its headers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.errors import InvalidInput
from inferd.lanes.deadlines import timeout
from inferd.lanes.heads import is_special

OURS, ENVOYS = b"x-request-timeout-ms", b"x-envoy-expected-rq-timeout-ms"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({OURS: b"250"}, 0.25),
        ({OURS: b"0"}, 0.0),
        ({OURS: b"1.5"}, 0.0015),
        ({ENVOYS: b"15000"}, 15.0),
        ({OURS: b"100", ENVOYS: b"15000"}, 0.1),
        ({OURS: b"20000", ENVOYS: b"15000"}, 15.0),
    ],
)
def test_the_shorter_holds(headers: dict[bytes, bytes], seconds: float | None) -> None:
    """Milliseconds, from whichever header has them."""
    assert timeout(headers) == seconds
    assert is_special(headers) is bool(headers)


@pytest.mark.parametrize("name", [OURS, ENVOYS])
@pytest.mark.parametrize("value", [b"", b"-1", b"1s", b"1e3", b"inf", b"nan", b"1" * 5000, b"\xff"])
def test_what_is_no_time_is_refused(name: bytes, value: bytes) -> None:
    """A value that could be misread is an error that names the header, and is not repeated
    whole."""
    with pytest.raises(InvalidInput) as caught:
        timeout({name: value})
    assert name.decode() in caught.value.text
    assert len(caught.value.text) < 400


@given(st.binary(max_size=20))
def test_any_value_is_a_time_or_an_error(value: bytes) -> None:
    """Nothing else comes of it."""
    try:
        seconds = timeout({OURS: value})
    except InvalidInput:
        return
    assert seconds is not None
    assert 0 <= seconds < 1e10
