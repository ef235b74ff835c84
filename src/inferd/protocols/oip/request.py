"""The document of an inference request: its fields, and which of its outputs are wanted in which
form."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from inferd.calls import Handle, InferRequest
from inferd.errors import InvalidInput
from inferd.protocols.oip.classification import check_classified
from inferd.signature import Layout, Shape

# Above any size that a body can have; a number of thousands of digits is never repeated in a text.
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]


class InputParameters(msgspec.Struct):
    """Where the elements of a tensor without ``data`` are."""

    binary_data_size: Size | None = None
    shared_memory_region: str | None = None


class Input(msgspec.Struct):
    """A tensor of a request."""

    name: str
    shape: Shape
    datatype: str
    data: list[Any] | None = None
    parameters: InputParameters | None = None


class CutInput(msgspec.Struct):
    """The same, its data taken out."""

    name: str
    shape: Shape
    datatype: str
    data: list[Any] | int | None = None
    parameters: InputParameters | None = None


class OutputParameters(msgspec.Struct):
    """In which form an output is wanted."""

    binary_data: bool | None = None
    classification: Size | None = None
    shared_memory_region: str | None = None


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: OutputParameters | None = None


class Document(msgspec.Struct):
    """A whole request."""

    inputs: list[Input]
    id: str = ""
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


class CutDocument(msgspec.Struct):
    """A whole request, the data of its tensors taken out."""

    inputs: list[CutInput]
    id: str = ""
    outputs: list[Wanted] | None = None
    parameters: dict[str, Any] | None = None


NO_CLASSES: Mapping[str, int] = {}


class FormedRequest(InferRequest, eq=False):
    """An InferRequest some of whose outputs are not wanted as plain JSON."""

    binary: Collection[str] = ()
    """The outputs to be sent as raw memory."""
    classes: Mapping[str, int] = {}
    """The outputs of which the so many greatest elements are wanted."""


def layout(inputs: Sequence[Input | CutInput]) -> Layout:
    """What the signature is held against."""
    if len(inputs) == 1:
        only = inputs[0]
        return ((only.name, only.datatype, only.shape),)
    return tuple([(each.name, each.datatype, each.shape) for each in inputs])


def misplaced(tensor: Input | CutInput) -> InvalidInput:
    """What is wrong with *tensor*, for whose elements not exactly one place is named, or shared
    memory."""
    parameters = tensor.parameters or InputParameters()
    places = {
        "data": tensor.data,
        "binary_data_size": parameters.binary_data_size,
        "shared_memory_region": parameters.shared_memory_region,
    }
    named = [place for place, value in places.items() if value is not None]
    if len(named) != 1:
        found = " ".join(f"'{place}'" for place in named)
        return InvalidInput(ONE_SOURCE + (f"But set {found}" if found else "But no field is set"))
    return InvalidInput(
        "shared memory is not read",
        expected=f"'data' or 'binary_data_size' in input {tensor.name!r}",
    )


ONE_SOURCE = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'. "
)


class Forms(msgspec.Struct):
    """The outputs that are wanted, in the model's order, and the forms of some of them."""

    names: Sequence[str]
    binary: Collection[str]
    classes: Mapping[str, int]


def forms(handle: Handle, outputs: Sequence[Wanted], *, binary: bool, strict: bool) -> Forms:
    """What *outputs* asks for.

    *binary* is what holds of an output that does not say. Twice the same name counts once, and the
    last of them; where *strict*, it is refused.
    """
    checker = handle.checker
    in_memory: dict[str, bool] = {}
    classes: dict[str, int] = {}
    for output in outputs:
        told = output.parameters or _NONE
        if told.shared_memory_region is not None:
            raise InvalidInput("shared memory is not written", expected="no 'shared_memory_region'")
        in_memory[output.name] = binary if told.binary_data is None else told.binary_data
        if told.classification or classes:
            classes[output.name] = told.classification or 0
    names = tuple([name for name in checker.output_names if name in in_memory])
    if len(names) < len(outputs):  # one is not the model's, or one came twice
        checker.check_outputs(in_memory)
        if strict:
            raise InvalidInput(f"output '{_first_repeated(outputs)}' already exists in request")
    if classes:
        classes = {name: count for name, count in classes.items() if count}
        check_classified(classes, checker.output_datatypes)
    return Forms(names, [name for name in names if in_memory[name]], classes)


_NONE = OutputParameters()


def _first_repeated(outputs: Sequence[Wanted]) -> str:
    names = [output.name for output in outputs]
    return next(name for at, name in enumerate(names) if name in names[:at])
