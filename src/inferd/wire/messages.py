"""What the server and a model's own process say to each other, and how an error crosses between
them."""

import traceback
from typing import Any, TypeAlias

import msgspec

from inferd import errors
from inferd.artifact import Artifact
from inferd.errors import InferdError
from inferd.signature import Signature

MAX_TEXT = 20_000  # characters of an error that cross: its end says most, and the log keeps it


class Open(msgspec.Struct, frozen=True, tag=True):
    """To the process: load *artifact* by the runtime of that name. Said once, first."""

    runtime: str
    artifact: Artifact


class Opened(msgspec.Struct, frozen=True, tag=True):
    """Back: it is loaded, and this is what it is."""

    name: str
    signature: Signature
    example: dict[str, Any]
    feature_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    streams: bool = False
    interruptible: bool = False


class Run(msgspec.Struct, frozen=True, tag=True):
    """To the process: compute *outputs* from the tensors of this frame."""

    outputs: tuple[str, ...]


class Stream(msgspec.Struct, frozen=True, tag=True):
    """To the process: as Run, in parts; the answer to this is the first one."""

    outputs: tuple[str, ...]


class More(msgspec.Struct, frozen=True, tag=True):
    """To the process: the next part."""


class Enough(msgspec.Struct, frozen=True, tag=True):
    """To the process: no further part is wanted."""


class Ran(msgspec.Struct, frozen=True, tag=True):
    """Back: the tensors of this frame are the outputs, or a part of them."""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Back: there is no further part."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Back: what was asked for raised."""

    kind: str
    """A class of ``inferd.errors``; empty for an exception of the model's own."""
    message: str
    got: str = ""
    expected: str = ""
    cure: str = ""
    retry_after: float = 0.0


Message: TypeAlias = Open | Opened | Run | Stream | More | Enough | Ran | Ended | Failed


class ModelError(Exception):
    """An exception of the model's own, raised in its process: its traceback there, as text.

    For the log. It is none of ours, so that no caller reads it.
    """


def failed(error: Exception) -> Failed:
    """What is said of *error*."""
    if not isinstance(error, InferdError):
        return Failed("", _crossing("".join(traceback.format_exception(error))))
    # A model may give an error something else than texts.
    texts = error.message, error.got, error.expected, error.cure
    told = [_crossing(str(text)) for text in texts]
    message, got, expected, cure = told
    kind = _nearest(type(error)).__name__
    return Failed(kind, message, got, expected, cure, error.retry_after)


def raised(failure: Failed) -> Exception:
    """The exception that *failure* tells of."""
    if not failure.kind:
        return ModelError(failure.message)
    kind = getattr(errors, failure.kind, InferdError)
    error: InferdError = kind(
        failure.message,
        got=failure.got,
        expected=failure.expected,
        cure=failure.cure,
        retry_after=failure.retry_after,
    )
    return error


def _crossing(text: str) -> str:
    """The end of *text*, with what is no Unicode in it escaped."""
    return text[-MAX_TEXT:].encode(errors="backslashreplace").decode()


def _nearest(kind: type[InferdError]) -> type[InferdError]:
    """*kind*, or the closest class above it that both sides know and that is made of its texts
    alone."""
    return next(
        above
        for above in kind.__mro__
        if above is InferdError
        or (above.__module__ == errors.__name__ and "__init__" not in vars(above))
    )
