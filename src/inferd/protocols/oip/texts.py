"""Triton's words for what is wrong with a request, and its kinds of failure, from our errors.
(server 2.73dev, core/src/infer_request.cc and src/http_server.cc)"""

from inferd.errors import (
    BatchMismatch,
    Code,
    DeadlineExceeded,
    DuplicateInput,
    InferdError,
    MalformedRequest,
    MissingInput,
    ModelNotFound,
    QueueFull,
    UnexpectedInput,
    UnexpectedOutput,
    WrongDatatype,
    WrongShape,
    shape_text,
)
from inferd.signature import ANY_BY_NAME
from inferd.tensors import TOO_DEEP

NESTING = "JSON nesting depth exceeds maximum allowed limit (100)"
_CODES = {
    Code.RESOURCE_EXHAUSTED: Code.UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: Code.UNAVAILABLE,
    Code.PAYLOAD_TOO_LARGE: Code.INVALID_ARGUMENT,
    Code.CANCELLED: Code.INVALID_ARGUMENT,
    Code.UNSUPPORTED_MEDIA_TYPE: Code.UNIMPLEMENTED,
}
"""Triton has fewer kinds of failure: what it makes of those that it lacks."""


def triton_text(error: InferdError, model: str) -> str:  # noqa: PLR0911, PLR0912, C901 - a table
    """What Triton says of *error* about *model*; our own text where it has no words, or says
    less."""
    match error:
        case ModelNotFound(name=name, version=None):
            return f"Request for unknown model: '{name}' is not found"
        case ModelNotFound(name=name, version=version):
            return f"Request for unknown model: '{name}' version {version} is not found"
        case UnexpectedInput(name=name):
            return f"unexpected inference input '{name}' for model '{model}'"
        case UnexpectedOutput(name=name):
            return f"unexpected inference output '{name}' for model '{model}'"
        case DuplicateInput(name=name):
            return f"input '{name}' already exists in request"
        case WrongDatatype(name=name, got=got) if got not in ANY_BY_NAME:
            return f"invalid datatype for input {name}"
        case WrongDatatype(name=name, got=got, expected=expected):
            expects = f"but model '{model}' expects '{expected}'"
            return f"inference input '{name}' data-type is '{got}', {expects}"
        case WrongShape():
            return _shape(error, model)
        case BatchMismatch(name=name):
            return f"input '{name}' batch size does not match other inputs for '{model}'"
        case MissingInput():
            return _missing(error, model)
        case QueueFull():
            return "Exceeds maximum queue size"
        case DeadlineExceeded():
            return "Request timeout expired"
        case InferdError(message=message) if message == TOO_DEEP:
            return NESTING
    return str(error)


def triton_code(error: InferdError) -> Code:
    """The kind of failure that *error* is in Triton: its JSON library reports what it cannot read,
    a negative dimension included, as the server's own fault."""
    if error.message == TOO_DEEP:
        return Code.INVALID_ARGUMENT
    negative = isinstance(error, WrongShape) and any(d < 0 for d in error.got_shape)
    if negative or isinstance(error, MalformedRequest):
        return Code.INTERNAL
    return _CODES.get(error.code, error.code)


def _shape(error: WrongShape, model: str) -> str:
    if not error.got_shape and error.expected_shape[:1] == (-1,):
        return f"input '{error.name}' has no shape but model requires batch dimension for '{model}'"
    shapes = f"Expected {shape_text(error.expected_shape)}, got {shape_text(error.got_shape)}"
    return f"unexpected shape for input '{error.name}' for model '{model}'. {shapes}"


def _missing(error: MissingInput, model: str) -> str:
    return (
        f"expected {len(error.known)} inputs but got {len(error.sent)} inputs for model '{model}'. "
        f"Got input(s) {_list(error.sent)}, but missing required input(s) {_list(error.missing)}. "
        "Please provide all required input(s)."
    )


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"
