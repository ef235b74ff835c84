"""Triton's words for what is wrong with a request, from our errors. (server 2.73dev,
core/src/infer_request.cc)"""

from inferd.errors import (
    BatchMismatch,
    DuplicateInput,
    InferdError,
    MissingInput,
    ModelNotFound,
    UnexpectedInput,
    UnexpectedOutput,
    WrongDatatype,
    WrongShape,
    shape_text,
)


def triton_text(error: InferdError, model: str) -> str:  # noqa: PLR0911 - a table
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
        case WrongDatatype(name=name, got=got, expected=expected):
            expects = f"but model '{model}' expects '{expected}'"
            return f"inference input '{name}' data-type is '{got}', {expects}"
        case WrongShape(name=name, got_shape=got_shape, expected_shape=expected_shape):
            shapes = f"Expected {shape_text(expected_shape)}, got {shape_text(got_shape)}"
            return f"unexpected shape for input '{name}' for model '{model}'. {shapes}"
        case BatchMismatch(name=name):
            return f"input '{name}' batch size does not match other inputs for '{model}'"
        case MissingInput():
            return _missing(error, model)
    return str(error)


def _missing(error: MissingInput, model: str) -> str:
    return (
        f"expected {len(error.known)} inputs but got {len(error.sent)} inputs for model '{model}'. "
        f"Got input(s) {_list(error.sent)}, but missing required input(s) {_list(error.missing)}. "
        "Please provide all required input(s)."
    )


def _list(names: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"
