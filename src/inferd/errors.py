"""Every error that inferd raises, drawn as one tree, each on an arrow of the data flow.

    bytes -MalformedRequest-> document -InvalidInput-> tensors -Refused-> queue -RunFailed-> answer
    path -LoadError-> runtime            settings -ConfigError-> server

InferdError
 * RequestError                the caller can mend it
   - MalformedRequest          the bytes are not what the protocol says
   - InvalidInput              the document does not fit the model
     + UnexpectedInput, MissingInput, DuplicateInput, WrongDatatype, WrongShape, WrongCount,
       WrongValue, BatchMismatch, UnexpectedOutput, UnknownLabel
   - NotFound
     + RouteNotFound, ModelNotFound
   - MethodNotAllowed, UpgradeRequired
   - PayloadTooLarge, UnsupportedEncoding, UnsupportedType, RequestTimeout
   - Unsupported               the model does not answer in this way
 * Refused                     right, but not now
   - NotReady, DeadlineExceeded, Cancelled
   - Overloaded                more is asked than can be answered
     + QueueFull
 * RunFailed                   the model raised, or broke its own signature
 * LoadError                   an artifact cannot become a runtime
   - ArtifactNotFound, UnknownFormat, BadArtifact, Untrusted, MissingPackage
 * ConfigError                 a setting is wrong
   - AddressTaken

A text says what was wrong, then what was got, what was expected and what to do. It never holds a
path, a stack trace or another caller's data, except LoadError and ConfigError, which only the
operator sees.
"""

from collections.abc import Sequence
from enum import Enum


class Code(Enum):
    """What kind of failure this is; every lane has one table from these to its own statuses.

    The names are gRPC's canonical codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html),
    and some that only HTTP tells apart.
    """

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    UPGRADE_REQUIRED = "UPGRADE_REQUIRED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    UNKNOWN = "UNKNOWN"


class InferdError(Exception):
    """Base of all: a code, and a sentence made of what was wrong, got, expected, and the cure."""

    code = Code.INTERNAL

    retry_after = 0.0
    """Seconds after which it may be of use to ask again; 0: nobody can tell."""

    def __init__(
        self,
        message: str,
        *,
        got: str = "",
        expected: str = "",
        cure: str = "",
        retry_after: float = 0.0,
    ) -> None:
        self.message, self.got, self.expected, self.cure = message, got, expected, cure
        if retry_after:
            self.retry_after = retry_after
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The whole sentence, as a caller reads it."""
        facts = ", ".join(
            f"{word} {fact}"
            for word, fact in (("got", self.got), ("expected", self.expected))
            if fact
        )
        sentence = f"{self.message}: {facts}" if facts else self.message
        return f"{sentence}. {self.cure}" if self.cure else sentence


class RequestError(InferdError):
    """The caller's request is at fault, and sending it again changes nothing."""

    code = Code.INVALID_ARGUMENT


class MalformedRequest(RequestError):
    """The bytes are not a document of this protocol."""


class InvalidInput(RequestError):
    """The document is well formed and does not fit the model's signature."""


class UnexpectedInput(InvalidInput):
    """An input has a name that the signature lacks."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        name = short(name)
        self.name, self.known = name, tuple(known)
        super().__init__("unknown input", got=repr(name), expected=_names(known))


class MissingInput(InvalidInput):
    """Some of the signature's inputs were not sent."""

    def __init__(self, sent: Sequence[str], known: Sequence[str]) -> None:
        self.sent, self.known = tuple(sent), tuple(known)
        super().__init__("inputs are missing", got=_names(sent) or "none", expected=_names(known))

    @property
    def missing(self) -> tuple[str, ...]:
        """The names not sent, in the signature's order."""
        return tuple(name for name in self.known if name not in self.sent)


class DuplicateInput(InvalidInput):
    """One input was sent twice."""

    def __init__(self, name: str) -> None:
        name = short(name)
        self.name = name
        super().__init__(f"input {name!r} was sent twice", expected="each input once")


class WrongDatatype(InvalidInput):
    """An input's datatype is not the signature's."""

    def __init__(self, name: str, got: str, expected: str) -> None:
        name, got = short(name), short(got)
        self.name = name
        super().__init__(f"input {name!r} has the wrong datatype", got=got, expected=expected)


class WrongShape(InvalidInput):
    """An input's shape does not fit the signature's."""

    def __init__(self, name: str, got: Sequence[int], expected: Sequence[int]) -> None:
        name = short(name)
        self.name, self.got_shape, self.expected_shape = name, tuple(got), tuple(expected)
        super().__init__(
            f"input {name!r} has the wrong shape",
            got=shape_text(got),
            expected=shape_text(expected),
        )


class WrongCount(InvalidInput):
    """The number of elements is not what the shape says."""

    def __init__(self, name: str, got: int, expected: int, *, where: str = "") -> None:
        name = short(name)
        self.name = name
        place = f" {where}" if where else ""
        super().__init__(
            f"{name!r} has the wrong number of values{place}", got=str(got), expected=str(expected)
        )


class WrongValue(InvalidInput):
    """A value cannot be an element of the datatype."""

    def __init__(self, name: str, got: str, expected: str) -> None:
        name = short(name)
        self.name = name
        super().__init__(f"{name!r} holds a value that does not fit", got=got, expected=expected)


class BatchMismatch(InvalidInput):
    """The inputs of one request have different numbers of rows."""

    def __init__(self, name: str, got: int, expected: int) -> None:
        name = short(name)
        self.name = name
        super().__init__(
            f"input {name!r} has another number of rows than the first input",
            got=str(got),
            expected=str(expected),
        )


class UnexpectedOutput(InvalidInput):
    """An output was asked for that the signature lacks."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        name = short(name)
        self.name, self.known = name, tuple(known)
        super().__init__("unknown output", got=repr(name), expected=_names(known))


class UnknownLabel(InvalidInput):
    """A version was asked for by a label that the model does not have."""

    def __init__(self, model: str, label: str, known: Sequence[str]) -> None:
        self.model, self.label = short(model), short(label)
        super().__init__(
            f"model {self.model!r} has no version labelled {self.label!r}",
            expected=f"one of the labels {_names(known)}" if known else "",
        )


class NotFound(RequestError):
    """What was asked for is not here."""

    code = Code.NOT_FOUND


class RouteNotFound(NotFound):
    """No dialect of this port knows the URL."""

    def __init__(self, method: str, target: str) -> None:
        self.method, self.target = method, short(target)
        super().__init__("nothing is served at this URL")


class ModelNotFound(NotFound):
    """No model of that name, or no such version of it."""

    def __init__(self, name: str, version: str | None, known: Sequence[str]) -> None:
        name, version = short(name), short(version) if version else None
        self.name, self.version, self.known = name, version, tuple(known)
        what = "versions" if version else "models"
        super().__init__(
            f"model {name!r} has no version {version!r}" if version else f"unknown model {name!r}",
            expected=f"one of the {what} {_names(known)}" if known else "",
        )


class MethodNotAllowed(RequestError):
    """The URL is right and the method is not."""

    code = Code.METHOD_NOT_ALLOWED

    def __init__(self, method: str, allowed: Sequence[str], target: str = "") -> None:
        self.method, self.allowed, self.target = method, tuple(allowed), short(target)
        super().__init__("wrong method for this URL", got=method, expected=" or ".join(allowed))


class UpgradeRequired(RequestError):
    """The URL is asked over a WebSocket."""

    code = Code.UPGRADE_REQUIRED

    def __init__(self) -> None:
        super().__init__("this URL is asked over a WebSocket", expected="Upgrade: websocket")


class RequestTimeout(RequestError):
    """The client took too long to send its request."""

    code = Code.REQUEST_TIMEOUT


class PayloadTooLarge(RequestError):
    """The body is larger than this server reads."""

    code = Code.PAYLOAD_TOO_LARGE


class UnsupportedEncoding(RequestError):
    """The body is packed in a way that this server does not read."""

    code = Code.UNSUPPORTED_MEDIA_TYPE


class UnsupportedType(RequestError):
    """The body is of a media type that this URL does not read."""

    code = Code.UNSUPPORTED_MEDIA_TYPE


class Unsupported(RequestError):
    """The model does not answer in this way: it answers in parts, and one whole was asked for."""

    code = Code.UNIMPLEMENTED


class Refused(InferdError):
    """The request is right and cannot be answered now; it had no effect and may be sent again."""

    code = Code.UNAVAILABLE


class NotReady(Refused):
    """The server or the model is not (or no longer) serving."""

    retry_after = 1.0


class Overloaded(Refused):
    """The server holds as much as it may."""

    code = Code.RESOURCE_EXHAUSTED
    retry_after = 1.0


class QueueFull(Overloaded):
    """Too many requests wait for this model already."""


class DeadlineExceeded(Refused):
    """The request's time ran out before it was run."""

    code = Code.DEADLINE_EXCEEDED


class Cancelled(Refused):
    """The caller went away before the answer."""

    code = Code.CANCELLED


class RunFailed(InferdError):
    """The model raised, or its outputs are not what its signature says."""


class LoadError(InferdError):
    """An artifact cannot become a runtime. The operator reads it, so it may name paths."""


class ArtifactNotFound(LoadError):
    """There is nothing at the path."""


class UnknownFormat(LoadError):
    """No runtime recognises the artifact."""


class BadArtifact(LoadError):
    """The file is damaged, or not what its name says."""


class Untrusted(LoadError):
    """The file can run code, and the operator has not said that it may."""


class MissingPackage(LoadError):
    """A format or feature needs a package that is not installed; the text gives the pip line."""


class ConfigError(InferdError):
    """A setting is wrong; the text names it and where it was read."""


class AddressTaken(ConfigError):
    """Something listens on the address already."""


def shape_text(shape: Sequence[int]) -> str:
    """A shape as protocols write it: ``[-1,4]``; no longer than a real one can be."""
    return short("[" + ",".join(map(str, shape[:MAX_SHOWN])) + "]")


def short(text: str) -> str:
    """*text*, cut off where it is longer than a name: a caller's own words may be megabytes."""
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


MAX_SHOWN = 100


def _names(names: Sequence[str]) -> str:
    return short(", ".join(repr(short(name)) for name in names[:MAX_SHOWN]))
