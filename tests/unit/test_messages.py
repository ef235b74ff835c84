"""wire/messages: errors cross between processes as what they are, and tell callers nothing more."""

from typing import Any

import msgspec
import pytest

from inferd import errors
from inferd.errors import InferdError, InvalidInput, Overloaded, RunFailed, WrongShape
from inferd.wire.messages import MAX_TEXT, ModelError, failed, raised

SIMPLE = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InferdError) and "__init__" not in vars(kind)
]


@pytest.mark.parametrize("kind", SIMPLE)
def test_errors_of_ours_stay_what_they_are(kind: type[InferdError]) -> None:
    """Class, code and every text come back."""
    error = kind("wrong", got="this", expected="that", cure="Mend it.")
    got = raised(failed(error))
    assert type(got) is kind
    assert str(got) == str(error) == "wrong: got this, expected that. Mend it."


def test_errors_with_more_in_them_come_back_as_the_class_above() -> None:
    """The text and the code are the same; what only that class has is not carried."""
    error = WrongShape("X", [1], [2])
    got = raised(failed(error))
    assert type(got) is InvalidInput
    assert (str(got), got.code) == (str(error), error.code)


def test_errors_of_others_come_back_as_the_class_above() -> None:
    """A third party's error is one of ours that both sides know."""

    class Theirs(RunFailed):
        pass

    assert type(raised(failed(Theirs("wrong")))) is RunFailed


def test_exceptions_of_the_model_are_for_the_log() -> None:
    """They come back as no error of ours, with their traceback, of which the end is kept."""
    try:
        raise ValueError("x" * 30_000 + "the end")
    except ValueError as error:
        got = raised(failed(error))
    assert type(got) is ModelError
    assert not isinstance(got, InferdError)
    assert str(got).rstrip().endswith("the end")
    assert len(str(got)) == MAX_TEXT


def test_half_of_a_surrogate_pair_can_be_told() -> None:
    """Whatever text an exception has, it goes over."""
    told = failed(ValueError("a \ud800 b"))
    assert "a \\ud800 b" in told.message
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told)) == told


def test_when_to_ask_again_is_told() -> None:
    """A model that refuses for a while says for how long."""
    assert raised(failed(Overloaded("busy", retry_after=2.5))).retry_after == 2.5  # type: ignore[attr-defined]  # one of ours


def test_an_error_of_no_text_is_told_as_one() -> None:
    """A model may hand on another exception in place of its text."""
    wrong: Any = ValueError("too small")
    assert str(raised(failed(InvalidInput(wrong)))) == "too small"
