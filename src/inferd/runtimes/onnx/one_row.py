"""One row through memory that is bound to the session once, not made and unmade for every call.

Small models are mostly asked for one row, and ONNX Runtime then spends as much time on its inputs
and outputs as on the model: bound, a call of a forest of 100 trees takes 2.7 microseconds for 3.5.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

MOST_BYTES = 16 * 1024  # of a row: beyond it, copying it in and out is not for nothing


class OneRow:
    """Runs one row at a time; who comes meanwhile is told to take the longer way.

    All outputs are bound, whichever are wanted: the model makes them anyway.
    """

    def __init__(self, session: Any, signature: Signature, options: Any) -> None:
        binding = session.io_binding()
        self._row = {spec.name: _row(spec) for spec in signature.inputs}
        self._answer = {spec.name: _row(spec) for spec in signature.outputs}
        for name, memory in self._row.items():
            binding.bind_input(name, *_place(memory))
        for name, memory in self._answer.items():
            binding.bind_output(name, *_place(memory))
        # Before ``_run``, which holds the session, so that it goes before the session does.
        self._idle = [getattr(binding, "_iobinding", binding)]
        """The binding, while nobody runs it."""
        self._options, self._run = options, getattr(session, "_sess", session).run_with_iobinding
        self._first = signature.inputs[0].name

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
        """The outputs *names*; None for more rows than one, and where the memory is in use.

        Raises whatever ONNX Runtime raises.
        """
        if len(inputs[self._first]) != 1:
            return None
        try:
            binding = self._idle.pop()  # one step of the interpreter: nobody else gets it, too
        except IndexError:
            return None
        try:
            for name, memory in self._row.items():
                memory[...] = inputs[name]
            self._run(binding, self._options)
            answer = self._answer
            return {name: answer[name].copy() for name in names}
        finally:
            self._idle.append(binding)


def _row(spec: TensorSpec) -> Array:
    return np.zeros((1, *spec.shape[1:]), spec.type.numpy)


def _place(memory: Array) -> tuple[str, int, Any, tuple[int, ...], int]:
    """Where *memory* lies, as a binding is told it."""
    return "cpu", 0, memory.dtype.type, memory.shape, memory.ctypes.data
