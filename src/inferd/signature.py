"""What a model takes and gives: names, datatypes and shapes; and the check that nothing unfit goes
further."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple, TypeAlias

import msgspec

from inferd.errors import (
    BatchMismatch,
    DuplicateInput,
    MissingInput,
    UnexpectedInput,
    UnexpectedOutput,
    WrongDatatype,
    WrongShape,
)
from inferd.tensors import BF16, BY_NAME, Datatype, holds

Shape: TypeAlias = tuple[int, ...]


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output: its name, its datatype's name, and its shape with -1 for a free
    dimension."""

    name: str
    datatype: str
    shape: Shape

    @property
    def type(self) -> Datatype:
        """The datatype's row in the table."""
        return BY_NAME[self.datatype]

    def admits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of *shape* fits: equal rank, and equal wherever this shape is fixed."""
        return len(shape) == len(self.shape) and all(
            got == want if want >= 0 else got >= 0
            for got, want in zip(shape, self.shape, strict=True)
        )

    def __str__(self) -> str:
        dimensions = ", ".join(str(d) if d >= 0 else "?" for d in self.shape)
        return f"{self.name}: {self.datatype}[{dimensions}]"


class Signature(msgspec.Struct, frozen=True):
    """The inputs and outputs of a model, in the model's own order.

    ``batch_axis`` is 0 where the first dimension of every tensor counts rows, so that requests may
    be joined and split along it; None where a call is one indivisible thing.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch_axis: int | None = None

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(spec.name for spec in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs' names, in order."""
        return tuple(spec.name for spec in self.outputs)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.inputs))}) -> ({', '.join(map(str, self.outputs))})"


class Admitted(NamedTuple):
    """What is known of a request whose layout was let through."""

    rows: int
    inputs: tuple[tuple[Datatype, int], ...]
    """The datatype and the number of elements of each input, in the order they were sent."""
    widened: tuple[tuple[str, Datatype, Datatype], ...] = ()
    """The inputs sent in a narrower datatype than the signature's: name, sent, and signature's."""


ANY_BY_NAME = {**BY_NAME, BF16.name: BF16}
"""The datatypes that an input may be sent in, whether or not a signature can have them."""

Layout: TypeAlias = tuple[tuple[str, str, Shape], ...]
"""The (name, datatype, shape) of every input sent."""


class Checker:
    """Holds requests against one signature. One a version; it remembers which layouts it has let
    through."""

    REMEMBERED = 1024  # distinct layouts of one model's requests; beyond that all are forgotten

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.output_names = signature.output_names
        self.output_datatypes = {spec.name: spec.datatype for spec in signature.outputs}
        self.values_per_row = _values_per_row(signature)
        """How many values all outputs have for one row together; 0 where only the model knows."""
        self._inputs = {spec.name: spec for spec in signature.inputs}
        self._admitted: dict[Layout, Admitted] = {}
        self._admitted_wider: dict[Layout, Admitted] = {}

    def admit(self, layout: Layout) -> Admitted:
        """Check the layout of every input sent, before anything of its size is allocated.

        A model without a batch axis has one row. Raises DuplicateInput, UnexpectedInput,
        WrongDatatype, WrongShape, MissingInput or BatchMismatch, in this order of precedence.
        """
        admitted = self._admitted.get(layout)
        if admitted is None:
            admitted = self._remember(self._admitted, layout, self._check(layout))
        return admitted

    def admit_wider(self, layout: Layout) -> Admitted:
        """As ``admit``, but of a number datatype is taken, too, what it holds without loss."""
        admitted = self._admitted_wider.get(layout)
        if admitted is None:
            admitted = self._remember(self._admitted_wider, layout, self._check_wider(layout))
        return admitted

    def check_outputs(self, names: Iterable[str]) -> None:
        """Raise UnexpectedOutput unless the signature has every one of *names*."""
        for name in names:
            if name not in self.output_datatypes:
                raise UnexpectedOutput(name, self.output_names)

    def _remember(
        self, known: dict[Layout, Admitted], layout: Layout, admitted: Admitted
    ) -> Admitted:
        if len(known) >= self.REMEMBERED:  # filled with what does not come again
            known.clear()
        known[layout] = admitted
        return admitted

    def _check_wider(self, layout: Layout) -> Admitted:
        widened = {}
        for name, datatype, _ in layout:
            spec, sent = self._inputs.get(name), ANY_BY_NAME.get(datatype)
            if spec and sent and sent is not spec.type and holds(spec.type, sent):
                widened[name] = (sent, spec.type)
        as_told = tuple(
            (name, widened[name][1].name if name in widened else datatype, shape)
            for name, datatype, shape in layout
        )
        rows, inputs, _ = self._check(as_told)
        return Admitted(
            rows,
            tuple(
                (widened[name][0] if name in widened else datatype, count)
                for (name, _, _), (datatype, count) in zip(layout, inputs, strict=True)
            ),
            tuple((name, sent, wide) for name, (sent, wide) in widened.items()),
        )

    def _check(self, layout: Layout) -> Admitted:
        shapes: dict[str, Shape] = {}
        for name, _, shape in layout:
            if name in shapes:
                raise DuplicateInput(name)
            shapes[name] = shape
        for name, datatype, shape in layout:
            self._check_input(name, datatype, shape)
        if len(layout) < len(self._inputs):
            raise MissingInput(tuple(shapes), self.signature.input_names)
        inputs = tuple((self._inputs[name].type, prod(shape)) for name, _, shape in layout)
        return Admitted(self._common_rows(shapes), inputs)

    def _check_input(self, name: str, datatype: str, shape: Shape) -> None:
        spec = self._inputs.get(name)
        if spec is None:
            raise UnexpectedInput(name, tuple(self._inputs))
        if datatype != spec.datatype:
            raise WrongDatatype(name, datatype, spec.datatype)
        if not spec.admits(shape):
            raise WrongShape(name, shape, spec.shape)

    def _common_rows(self, shapes: Mapping[str, Shape]) -> int:
        if self.signature.batch_axis is None or not shapes:
            return 1
        rows = shapes[self.signature.inputs[0].name][0]
        for name, shape in shapes.items():
            if shape[0] != rows:
                raise BatchMismatch(name, shape[0], rows)
        return rows


def _values_per_row(signature: Signature) -> int:
    inner = [spec.shape[1:] for spec in signature.outputs]
    if signature.batch_axis is None or any(d < 0 for shape in inner for d in shape):
        return 0
    return sum(prod(shape) for shape in inner)


class Roles(msgspec.Struct, frozen=True):
    """Which outputs a person means by "the prediction" and "the probabilities"."""

    prediction: str
    probability: str | None = None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that have a role."""
        return (self.prediction, self.probability) if self.probability else (self.prediction,)


def roles(signature: Signature) -> Roles:
    """Tell the outputs' roles from their datatypes and ranks.

    A classifier as ONNX converters write it has a label (whole numbers or strings, one a row) and a
    matrix of probabilities; anything else predicts with its first output.
    """
    labels = [s for s in signature.outputs if s.datatype in _LABELS and _one_a_row(s.shape)]
    matrices = [s for s in signature.outputs if s.datatype in _SCORES and len(s.shape) == 2]
    scores = [s for s in matrices if s.shape[1] != 1]  # a column of one score is no probability
    if labels and scores:
        return Roles(labels[0].name, scores[0].name)
    return Roles(signature.outputs[0].name)


_LABELS = frozenset({"INT64", "INT32", "BYTES", "BOOL"})
_SCORES = frozenset({"FP32", "FP64", "FP16"})


def _one_a_row(shape: Shape) -> bool:
    return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
