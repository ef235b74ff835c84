"""A user's class as a runtime: what it is asked, and whether its answers are what it declares."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from inferd.artifact import Artifact
from inferd.errors import RunFailed, Unsupported, Untrusted, short
from inferd.runtimes.base import Runtime, check_outputs
from inferd.runtimes.python.declared import declared
from inferd.runtimes.python.source import loaded
from inferd.tensors import Array


class PythonRuntime(Runtime):
    """An object with ``predict``, one call at a time: who wrote it need not think of threads."""

    name = "python"
    parallel = False
    inline = False
    """How long the example takes says nothing of other rows: what a user writes may loop."""
    holds_gil = True
    interruptible = True

    def __init__(self, model: Any, path: str) -> None:
        self._model, self._declared = model, declared(model, path)
        self.signature = self._declared.signature
        self.streams = inspect.isgeneratorfunction(model.predict)

    @classmethod
    def recognises(cls, artifact: Artifact) -> bool:
        return artifact.suffix == ".py"

    @classmethod
    def open(cls, artifact: Artifact) -> "PythonRuntime":
        if not (artifact.trusted or artifact.unchecked):
            raise Untrusted(
                f"{artifact.path} is Python code, which would be run",
                cure="If you trust where it came from, start with --trust-pickle.",
            )
        path = artifact.path.absolute()
        return cls(loaded(path), str(path))

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        if self.streams:
            raise Unsupported("the model answers in parts, and one whole was asked for")
        return self._answer(self._model.predict(_own(inputs)), inputs, outputs)

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        if not self.streams:
            yield self.run(inputs, outputs)
            return
        with closing(self._model.predict(_own(inputs))) as parts:
            for part in parts:
                yield self._answer(part, inputs, outputs)

    def example(self) -> Mapping[str, Any]:
        return self._declared.example

    def feature_names(self) -> tuple[str, ...]:
        return self._declared.feature_names

    def classes(self) -> tuple[str, ...]:
        return self._declared.classes

    def close(self) -> None:
        close = getattr(self._model, "close", None)
        if callable(close):
            close()

    def _answer(
        self, made: Any, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> dict[str, Array]:
        """The *outputs* in what the model *made*. Raises RunFailed where it broke its word."""
        if not isinstance(made, Mapping):
            raise RunFailed(
                "predict gave no dict",
                got=f"a {type(made).__name__}",
                expected="arrays by the outputs' names",
                cure=YIELDS if inspect.isgenerator(made) else "",
            )
        arrays = {name: _array(made, name) for name in outputs}
        first = inputs[self.signature.input_names[0]]
        check_outputs(self.signature, arrays, len(first) if first.ndim else 1)
        return arrays


YIELDS = "A predict that answers in parts has to contain a yield itself."


def _own(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Copies: a user's code may write to what it is given, and others have it, too."""
    return {name: array.copy() for name, array in inputs.items()}


def _array(made: Mapping[Any, Any], name: str) -> Array:
    if name not in made:
        got = short(", ".join(map(repr, made))) or "an empty dict"
        raise RunFailed("predict left out an output", got=got, expected=repr(name))
    try:
        return np.array(made[name])  # a copy: the model may use it again for its next answer
    except ValueError:  # lists of unequal lengths
        raise RunFailed(
            f"output {name!r} is no array", got=f"a {type(made[name]).__name__}"
        ) from None
