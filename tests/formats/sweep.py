"""One case held against its library: trained, saved, opened, compiled, and both forms asked the
same."""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from onnx import ModelProto
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships none

from inferd.compiling import compiler
from inferd.compiling.batches import assemble
from inferd.compiling.judge import tolerance_of
from inferd.compiling.speed import speed
from inferd.errors import LoadError
from inferd.estimators.fitted import Fitted
from inferd.models import loader
from inferd.models.example import example_inputs, repeat_rows
from inferd.runtimes.base import Runtime
from inferd.signature import Signature
from inferd.tensors import Array
from inferd.verdict import Verdict
from tests.formats.cases import Case, Trained, train
from tests.formats.data import Columns, kinds, table_of
from tests.formats.thresholds import thresholds

CHUNK = 10_000
"""Rows of one call."""
ROUNDED = {"Einsum", "Gemm", "Log", "MatMul", "ReduceL2", "ReduceSum", "ReduceSumSquare"}
"""Operators whose last bit is each library's own, unlike that of a link at the end, before a model
decides."""
REFUSED = "it cannot be served"
SPEEDS = (1, 1024)
"""Rows of the calls that are timed."""

TURNS = 3
"""How often each form is timed, in turns; the least counts, as other programs only ever add."""


class Outcome(msgspec.Struct):
    """What became of one case."""

    verdict: Verdict
    tolerance: float
    rows: dict[str, int] = {}
    """Rows that both were asked, by kind."""
    wrong: dict[str, int] = {}
    """Rows with another label, by kind, where there are any."""
    difference: float = 0.0
    """The largest between scores: absolute up to 1, relative beyond."""
    native_us: dict[int, float] = {}
    compiled_us: dict[int, float] = {}


class Asked:
    """A case's model, as its library answers it."""

    def __init__(self, case: Case, trained: Trained, fitted: Fitted) -> None:
        self._fitted = fitted
        self._trained = trained
        self._raw = case.raw
        self._first = fitted.signature.output_names[0]

    def __call__(self, columns: Columns) -> Array:
        """The first output, which is the label where there is one."""
        return self.answers(columns, (self._first,))[self._first]

    def answers(self, columns: Columns, names: tuple[str, ...]) -> Mapping[str, Array]:
        """The library's own answers, from rows that inferd has not touched where it takes them."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not self._raw:
                return self._fitted.run(self.inputs(columns), names)
            table = table_of(columns, self._trained.table.rows)
            return {name: self._answer(self._fitted.methods[name], table) for name in names}

    def inputs(self, columns: Columns) -> Mapping[str, Array]:
        """The rows as a client sends them."""
        return assemble(self._fitted.signature, columns)

    def _answer(self, method: str, table: Any) -> Array:
        name, _, part = method.partition(":")
        made = getattr(self._trained.model, name)(table)
        return np.asarray(made[int(part)] if part else made)


def held(case: Case, rows: int, timed: bool = False) -> Outcome:
    """Compile *case* as the server does, and compare *rows* rows of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        trained = train(case, Path(folder))
        try:
            native = _open(trained.path)
        except LoadError as error:
            reason = f"{REFUSED}: {error.message}"
            return Outcome(Verdict(kind="native", reason=reason), tolerance=0)
    fitted = native.fitted
    assert fitted is not None
    fast = None
    with threadpool_limits(1):  # threads that wait for each other take longer on a busy machine
        compiled = compiler.compile_fitted(fitted, compiler.Options())
        outcome = Outcome(compiled.verdict, tolerance_of(fitted.signature))
        if compiled.onnx is not None:
            fast = compiler.open_compiled(compiled.onnx)
            made = kinds(
                trained.table,
                asked := Asked(case, trained, fitted),
                thresholds(trained.model),
                rows,
                adjacent=not _rounds(compiled.onnx),
            )
            for kind, columns in made:
                _compare(asked, fast, kind, columns, outcome)
    for _ in range(TURNS if timed else 0):
        outcome.native_us = _least(outcome.native_us, _speed(native))
        outcome.compiled_us = _least(outcome.compiled_us, _speed(fast) if fast else {})
    for runtime in (native, fast):
        if runtime:
            runtime.close()
    return outcome


def _open(path: Path) -> Runtime:
    (spec,) = loader.find([path], None, loader.trust(True, ""))
    _, opener = loader.recognise(spec.artifact)
    return opener.open(spec.artifact)


def _rounds(onnx: bytes) -> bool:
    """Whether a graph decides by numbers whose last bits differ from the model's. Then the answers
    differ, too, at the very point where they change."""
    nodes = ModelProto.FromString(onnx).graph.node
    return any(node.op_type in ROUNDED for node in nodes)


def _compare(asked: Asked, fast: Runtime, kind: str, columns: Columns, outcome: Outcome) -> None:
    names = fast.signature.output_names
    outcome.rows[kind] = len(columns[0])
    for start in range(0, len(columns[0]), CHUNK):
        part = [each[start : start + CHUNK] for each in columns]
        ours = asked.answers(part, names)
        theirs = fast.run(asked.inputs(part), names)
        _note(fast.signature, ours, theirs, kind, outcome)


def _note(
    signature: Signature, ours: Mapping[str, Array], theirs: Mapping[str, Array], kind: str,
    outcome: Outcome,
) -> None:  # fmt: skip
    wrong = np.zeros(len(next(iter(ours.values()))), bool)
    for spec in signature.outputs:
        shape = len(wrong), -1
        a, b = ours[spec.name].reshape(shape), theirs[spec.name].reshape(shape)
        if spec.name == "label" or not spec.datatype.startswith("FP"):
            wrong |= (a.astype(object) != b.astype(object)).any(axis=1)
        else:
            outcome.difference = max(outcome.difference, _difference(a, b))
    if wrong.any():
        outcome.wrong[kind] = outcome.wrong.get(kind, 0) + int(wrong.sum())


def _difference(a: Array, b: Array) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        far = np.abs(a - b) / np.maximum(1, np.abs(a))
    far[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
    return float(np.nan_to_num(far, nan=np.inf).max(initial=0))


def _speed(runtime: Runtime) -> dict[int, float]:
    names = runtime.signature.output_names
    row = example_inputs(runtime.signature, runtime.example())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return speed(
            lambda inputs: runtime.run(inputs, names), lambda n: repeat_rows(row, n), SPEEDS
        )


def _least(one: dict[int, float], other: dict[int, float]) -> dict[int, float]:
    return {rows: min(other[rows], one.get(rows, other[rows])) for rows in other}
