"""The contract of a runtime: one model format, opened once, run many times.

A plug-in of this kind is one file in this folder (or a third party's entry point in
``inferd.runtimes``) whose ``plugin`` is a subclass of Runtime. It imports its heavy package only
when it opens a model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

from inferd.artifact import Artifact
from inferd.errors import RunFailed
from inferd.estimators.fitted import Fitted
from inferd.finite import FiniteCheck
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array, datatype_of
from inferd.verdict import Verdict

Wanted: TypeAlias = Callable[[], bool]
"""Whether anybody still waits for the answer; any thread may ask."""


class Runner(Protocol):
    """What computes the answer to one call."""

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """As ``Runtime.run``."""

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        """As ``Runtime.stream``."""


class Runtime(ABC):
    """A loaded model.

    The server calls ``recognises`` and ``open`` in a worker thread, ``run`` or ``stream`` on the
    loop thread or in a worker thread, never both at once for one runtime unless ``parallel``, and
    ``close`` once, after the last run returned. Nothing is called after ``close``.
    """

    name: str
    """What users read: the banner, the metadata. OIP calls it the platform."""

    parallel: ClassVar[bool] = True
    """Whether ``run`` may be entered by several threads at once."""

    instances: int | None = None
    """How many calls at once are of use to a ``parallel`` one; None: what a measurement shows."""

    threads: int = 1
    """How many threads compute one call."""

    inline: ClassVar[bool] = True
    """Whether ``run`` may be called on the loop thread where it is quick; not where it waits for
    somebody else."""

    streams: bool = False
    """Whether an answer comes in parts, through ``stream`` and not ``run``."""

    compilable: ClassVar[bool] = False
    """Whether what ``open`` loads is ``fitted``, so that it may be compiled to run elsewhere."""

    holds_gil: ClassVar[bool] = False
    """Whether ``run`` keeps the interpreter lock: such a model is run in a process of its own."""

    interruptible: ClassVar[bool] = False
    """Whether, in a process of its own, ``run`` or ``stream`` may be left by an exception at any
    line, as by Ctrl-C, once nobody waits for the answer."""

    signature: Signature
    """Set by ``open``; never changes."""

    fitted: Fitted | None = None
    """The model in scikit-learn's manner behind this runtime; None where it is no such model."""

    verdict: Verdict | None = None
    """How the model was compiled, or why it was not; None where nothing is to be said of that."""

    @classmethod
    @abstractmethod
    def recognises(cls, artifact: Artifact) -> bool:
        """Whether *artifact* is of this format: by name or first bytes. Imports nothing."""

    @classmethod
    @abstractmethod
    def open(cls, artifact: Artifact) -> "Runtime":
        """Load *artifact*. May block, may take seconds. Raises LoadError, with the reason."""

    @abstractmethod
    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Compute *outputs*, in that order, from *inputs*, which fit the signature.

        The arrays of *inputs* may be views of a request's bytes, or shared with other calls: they
        are not written to, and not kept. What is returned belongs to the caller. May block. May
        raise anything: the caller is told that the model failed, and the log why. The same call may
        be repeated by a caller that lost the answer.
        """

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str]
    ) -> Iterator[dict[str, Array]]:
        """As ``run``, in parts, for a runtime that ``streams``.

        Always iterated in a worker thread, and only as fast as the caller reads. When the caller
        goes away the iterator is closed between two parts: clean up in ``finally``.
        """
        yield self.run(inputs, outputs)

    def while_wanted(self, wanted: Wanted) -> Runner:
        """What computes one call, and may leave it, raising Cancelled, when *wanted* says no.

        *wanted* is asked a few times a second, in the call's own thread. By default nothing is left
        midway: most calls are over before that would help.
        """
        return self

    def example(self) -> Mapping[str, Any]:
        """One row worth showing, by input name, as nested lists; empty where there is none."""
        return {}

    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of the only input; empty where the artifact holds none."""
        return ()

    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of the probabilities' columns; empty for none known."""
        return ()

    def with_threads(self, threads: int) -> "Runtime | None":
        """The same model, opened again so that *threads* compute one call; None where it cannot be.

        Asked while the model is loaded, before it answers anybody. May block, may raise LoadError.
        The caller closes the one that it does not keep.
        """
        return None

    def close(self) -> None:  # noqa: B027 - most runtimes have nothing to free
        """Free what ``open`` took. Called once."""


class FittedRuntime(Runtime):
    """A runtime whose model is in scikit-learn's manner, and which answers by it."""

    compilable = True
    fitted: Fitted

    def __init__(self, fitted: Fitted) -> None:
        self.fitted, self.signature = fitted, fitted.signature
        self._check: FiniteCheck | None = None

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:  # noqa: D102 - as Runtime's
        try:
            return self.fitted.run(inputs, outputs)
        except Exception:
            self._explain(inputs)
            raise

    def _explain(self, inputs: Mapping[str, Array]) -> None:
        """Raise WrongValue where *inputs* hold a number that the library is known to refuse."""
        if self._check is None:
            self._check = FiniteCheck(self.fitted.refusals(), self.feature_names())
        self._check(inputs)

    def example(self) -> Mapping[str, Any]:  # noqa: D102 - as Runtime's
        return self.fitted.example()

    def feature_names(self) -> tuple[str, ...]:  # noqa: D102 - as Runtime's
        return self.fitted.feature_names()

    def classes(self) -> tuple[str, ...]:  # noqa: D102 - as Runtime's
        return self.fitted.classes()


def check_outputs(signature: Signature, outputs: Mapping[str, Array], rows: int) -> None:
    """Raise RunFailed unless *outputs* are what *signature* promises for *rows* rows."""
    specs = {spec.name: spec for spec in signature.outputs}
    for name, array in outputs.items():
        spec = specs[name]
        if not _fits(array, spec):
            raise RunFailed(
                f"output {name!r} breaks the signature",
                got=f"{array.dtype}{list(array.shape)}",
                expected=str(spec),
            )
        if signature.batch_axis is not None and array.shape[0] != rows:
            raise RunFailed(
                f"output {name!r} has the wrong number of rows",
                got=str(array.shape[0]),
                expected=str(rows),
            )


def _fits(array: Array, spec: TensorSpec) -> bool:
    try:
        datatype = datatype_of(array).name
    except KeyError:  # one that no protocol can carry
        return False
    return datatype == spec.datatype and spec.admits(array.shape)


def check_runtime(runtime: Runtime, inputs: Mapping[str, Array], rows: int) -> None:
    """Assert that *runtime* keeps this contract, with *inputs* of *rows* rows.

    For the tests of any runtime, ours or yours.
    """
    names = runtime.signature.output_names
    before = {name: array.copy() for name, array in inputs.items()}
    for array in inputs.values():
        array.flags.writeable = False
    parts = runtime.stream(inputs, names) if runtime.streams else iter([runtime.run(inputs, names)])
    for outputs in parts:
        assert tuple(outputs) == names, (
            f"outputs {tuple(outputs)} are not those asked for, in order: {names}"
        )
        check_outputs(runtime.signature, outputs, rows)
    assert all((inputs[name] == array).all() for name, array in before.items()), (
        "an input was written to"
    )
    if not runtime.streams:
        for name in names:
            assert tuple(runtime.run(inputs, [name])) == (name,), (
                f"{name!r} cannot be asked for alone"
            )
    assert str(runtime.signature), "the signature cannot be shown"
    runtime.close()
