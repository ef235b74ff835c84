"""One row through memory that is bound to the session once, not made and unmade for every call.

Small models are mostly asked for one row, and ONNX Runtime then spends as much time on its inputs
and outputs as on the model: bound, a call of a forest of 100 trees takes 2.7 microseconds for 3.4.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

MOST_BYTES = 16 * 1024  # of a row: beyond it, copying it in and out is not for nothing
FORMS = 8  # sets of wanted outputs that are kept; a caller chooses his own


Bound: TypeAlias = tuple[Any, Sequence[tuple[str, Array]], Sequence[tuple[str, Array]]]
"""A binding, and the row's memory by the names of inputs and of outputs; for one run at a time."""


class OneRow:
    """Runs one row at a time; who comes meanwhile is told to take the longer way."""

    def __init__(self, session: Any, signature: Signature, options: Any) -> None:
        self._session, self._options = session, options
        self._run = getattr(session, "_sess", session).run_with_iobinding
        self._inputs = signature.inputs
        self._outputs = {spec.name: spec for spec in signature.outputs}
        self._first = signature.inputs[0].name
        self._idle: dict[Sequence[str], list[Bound]] = {}
        """What is bound for each tuple of wanted outputs, while nobody runs it."""

    @staticmethod
    def fits(signature: Signature) -> bool:
        """Whether a row's tensors all have sizes that are known, and small."""
        specs = (*signature.inputs, *signature.outputs)
        return (
            signature.batch_axis == 0
            and bool(signature.inputs)
            and all(s.datatype != "BYTES" and min(s.shape[1:], default=1) > 0 for s in specs)
            and sum(prod(s.shape[1:]) * s.type.numpy.itemsize for s in specs) <= MOST_BYTES
        )

    def __call__(
        self, inputs: Mapping[str, Array], names: Sequence[str]
    ) -> dict[str, Array] | None:
        """The outputs *names*; None for more rows than one, and where what is bound is in use.

        Raises whatever ONNX Runtime raises.
        """
        if len(inputs[self._first]) != 1:
            return None
        wanted = tuple(names)
        idle = self._idle.get(wanted)
        if idle is None:
            idle = self._bind(wanted)
        try:
            bound = idle.pop()  # one operation of the interpreter: no other thread gets it, too
        except IndexError:
            return None
        binding, rows, answers = bound
        try:
            for name, memory in rows:
                memory[...] = inputs[name]
            self._run(binding, self._options)
            return {name: memory.copy() for name, memory in answers}
        finally:
            idle.append(bound)

    def _bind(self, wanted: tuple[str, ...]) -> list[Bound]:
        if len(self._idle) >= FORMS:
            return []
        binding = self._session.io_binding()
        rows = [(spec.name, _row(spec)) for spec in self._inputs]
        answers = [(name, _row(self._outputs[name])) for name in wanted]
        for name, memory in rows:
            binding.bind_input(name, *_place(memory))
        for name, memory in answers:
            binding.bind_output(name, *_place(memory))
        bare = getattr(binding, "_iobinding", binding)
        return self._idle.setdefault(wanted, [(bare, tuple(rows), tuple(answers))])


def _row(spec: TensorSpec) -> Array:
    return np.zeros((1, *spec.shape[1:]), spec.type.numpy)


def _place(memory: Array) -> tuple[str, int, Any, tuple[int, ...], int]:
    """Where *memory* lies, as a binding is told it."""
    return "cpu", 0, memory.dtype.type, memory.shape, memory.ctypes.data
