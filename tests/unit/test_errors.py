"""inferd.errors: the tree as drawn, and sentences with got, expected and cure."""

import inspect
import re

import pytest

from inferd import errors
from inferd.errors import (
    AddressTaken,
    BatchMismatch,
    Code,
    ConfigError,
    DuplicateInput,
    InferdError,
    MethodNotAllowed,
    MissingInput,
    ModelNotFound,
    UnexpectedInput,
    UnexpectedOutput,
    WrongCount,
    WrongDatatype,
    WrongShape,
    WrongValue,
)

CLASSES = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, InferdError)
}


def _drawn() -> dict[str, str]:
    """Each error of the drawing with the one that it hangs on."""
    parents: dict[str, str] = {}
    above: dict[int, str] = {}
    tree = inspect.getdoc(errors) or ""
    for line in tree[tree.index("\nInferdError") :].split("\n\nA text")[0].splitlines():
        found = re.match(r"( *)([*+-]?) ?((?:[A-Z]\w+(?:, |,$)?)+)", line)
        if not found:
            continue
        depth = {"": 0, "*": 1, "-": 2, "+": 3}[found[2]] or (3 if found[1] else 0)
        for name in re.findall(r"\w+", found[3]):
            if depth:
                parents[name] = above[depth - 1]
            above[depth] = name
    return parents


def test_the_drawing_is_the_tree() -> None:
    """Every error stands in the drawing, under its own base."""
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in CLASSES.items()
        if kind is not InferdError
    }
    assert _drawn() == real


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InferdError("it broke"), "it broke"),
        (InferdError("it broke", got="1"), "it broke: got 1"),
        (InferdError("it broke", expected="2"), "it broke: expected 2"),
        (InferdError("it broke", cure="Mend it."), "it broke. Mend it."),
        (
            InferdError("it broke", got="1", expected="2", cure="Mend it."),
            "it broke: got 1, expected 2. Mend it.",
        ),
        (UnexpectedInput("Z", ["X", "Y"]), "unknown input: got 'Z', expected 'X', 'Y'"),
        (MissingInput([], ["X"]), "inputs are missing: got none, expected 'X'"),
        (MissingInput(["X"], ["X", "Y"]), "inputs are missing: got 'X', expected 'X', 'Y'"),
        (DuplicateInput("X"), "input 'X' was sent twice: expected each input once"),
        (
            WrongDatatype("X", "FP64", "FP32"),
            "input 'X' has the wrong datatype: got FP64, expected FP32",
        ),
        (
            WrongShape("X", (1, 3), (-1, 4)),
            "input 'X' has the wrong shape: got [1,3], expected [-1,4]",
        ),
        (
            WrongCount("X", 3, 4, where="in row 7"),
            "'X' has the wrong number of values in row 7: got 3, expected 4",
        ),
        (WrongCount("X", 3, 4), "'X' has the wrong number of values: got 3, expected 4"),
        (
            WrongValue("X", "a string", "numbers"),
            "'X' holds a value that does not fit: got a string, expected numbers",
        ),
        (
            BatchMismatch("X", 2, 3),
            "input 'X' has another number of rows than the first input: got 2, expected 3",
        ),
        (UnexpectedOutput("Z", ["Y"]), "unknown output: got 'Z', expected 'Y'"),
        (ModelNotFound("m", None, []), "unknown model 'm'"),
        (
            ModelNotFound("m", None, ["a", "b"]),
            "unknown model 'm': expected one of the models 'a', 'b'",
        ),
        (
            ModelNotFound("m", "9", ["1"]),
            "model 'm' has no version '9': expected one of the versions '1'",
        ),
        (
            MethodNotAllowed("PUT", ["GET", "POST"]),
            "wrong method for this URL: got PUT, expected GET or POST",
        ),
    ],
)
def test_a_text_says_what_was_wrong_got_expected_and_cure(error: InferdError, text: str) -> None:
    """An error's text is one sentence of the facts that it was made from, and a cure."""
    assert str(error) == error.text == text


def test_a_missing_input_names_what_is_missing_in_the_signatures_order() -> None:
    """The names that were not sent are told in the model's order."""
    assert MissingInput(["b"], ["c", "b", "a"]).missing == ("c", "a")


def test_the_operators_errors_are_not_the_callers() -> None:
    """What may name paths is no RequestError, so that no dialect takes it for the caller's."""
    for kind in (errors.LoadError, ConfigError, AddressTaken):
        assert not issubclass(kind, errors.RequestError | errors.Refused)
        assert kind.code is Code.INTERNAL


def test_refusals_may_be_sent_again_and_request_errors_may_not() -> None:
    """No error is both the caller's fault and a matter of time."""
    for kind in CLASSES.values():
        assert not (issubclass(kind, errors.RequestError) and issubclass(kind, errors.Refused))


def test_an_error_says_when_to_ask_again_where_that_is_known() -> None:
    """What is refused for a while names a time; what will never be different names none."""
    assert errors.QueueFull("full").retry_after == errors.NotReady("loads").retry_after == 1.0
    assert errors.QueueFull("full", retry_after=2.5).retry_after == 2.5
    assert errors.DeadlineExceeded("late").retry_after == 0.0
    for kind in CLASSES.values():
        assert issubclass(kind, errors.Refused) or not kind.retry_after
