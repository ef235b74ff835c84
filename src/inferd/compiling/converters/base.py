"""The contract of a converter: one library's fitted models, written as nodes of an ONNX graph.

A plug-in of this kind is one file or package in this folder (or a third party's entry point in
``inferd.converters``), called as the library's root module is: a model whose class lies in
``sklearn.ensemble._forest`` is converted by ``sklearn``. Its ``plugin`` is a Converter.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from inferd import plugins
from inferd.compiling import leaf_tables, tree_ensemble
from inferd.compiling.forest import Forest
from inferd.compiling.graph import Graph, Value
from inferd.signature import TensorSpec
from inferd.tensors import Array


class CannotConvert(Exception):
    """This model, or this kind of it, has no exact form here; the text says why, in a few words."""


class Frame(NamedTuple):
    """The table that a step works on: parts side by side, each [N, width].

    The columns count through the parts, from 0.
    """

    parts: tuple[Value, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return sum(part.width for part in self.parts)


class Context:
    """What a converter writes with. One a model."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.forests: list[tuple[str, Forest]] = []
        """Each tree ensemble written, by the name of its node's output, to be read back."""
        self.points: dict[int, list[Array]] = {}
        """Values worth probing in a column of the model's own input: thresholds, categories."""
        self.rows = MANY
        """How many rows one call of the graph may have."""
        self._own: dict[str, list[int]] = {}
        """The tensors whose columns are the model's own, and which those are."""

    def inputs(self, specs: Sequence[TensorSpec], positions: Sequence[int] = ()) -> Frame:
        """Declare the model's own inputs.

        *positions* are where their columns stand in the table that the model was fitted on, if that
        has more: what is not there cannot be used.
        """
        parts, column = [], 0
        for spec in specs:
            part = self.graph.input(spec)
            self._own[part.name] = list(range(column, column + part.width))
            column += part.width
            parts.append(part)
        frame = Frame(tuple(parts))
        if frame.width != len(positions) or list(positions) == list(range(frame.width)):
            return frame  # documents have no width
        spread: list[Value] = []
        for at, position in enumerate(positions):
            holes = position - sum(part.width for part in spread)
            spread += [HOLE] * holes + list(self.select(frame, [at]).parts)
        return Frame(tuple(spread))

    def emit(self, model: Any, frame: Frame, method: str) -> Value:
        """What *model*'s *method* (``predict``, ``transform``, ...) gives for *frame*.

        By the converter of the library that the model's class comes from. Raises CannotConvert.
        """
        return self.converter(model).emit(self, model, frame, method)

    def converter(self, model: Any) -> "Converter":
        """The converter of *model*'s library. Raises CannotConvert where there is none."""
        library = getattr(model, "inferd_library", type(model).__module__.partition(".")[0])
        if library not in plugins.names("converters"):
            raise CannotConvert(f"{type(model).__module__}.{type(model).__qualname__} is not known")
        found: Converter = plugins.load("converters", library)
        return found

    def matrix(self, frame: Frame, dtype: Any = np.float64) -> Value:
        """All columns of *frame* as one tensor [N, width] of numbers. CannotConvert for strings."""
        if any(part.dtype.kind in "OV" for part in frame.parts):
            raise CannotConvert("strings where numbers are needed")
        parts = [self.graph.cast(part, dtype) for part in frame.parts]
        columns = [self.own(part) for part in frame.parts]
        name = parts[0].name if len(parts) == 1 else self.graph.node("Concat", *parts, axis=1)
        self._own[name] = list(chain.from_iterable(columns))
        return Value(name, frame.width, np.dtype(dtype))

    def own(self, value: Value) -> list[int]:
        """Which of the model's own columns the columns of *value* are; UNKNOWN for others."""
        return self._own.get(value.name, [UNKNOWN] * value.width)

    def anew(self, value: Value, name: str) -> Value:
        """The tensor *name* as *value* with other numbers in the same columns.

        A threshold for one of them is still worth probing in the model's own input.
        """
        self._own[name] = self.own(value)
        return value._replace(name=name)

    def cast(self, value: Value, dtype: Any) -> Value:
        """*value* with elements of *dtype*; its columns stay what they are."""
        made = self.graph.cast(value, dtype)
        return self.anew(value, made.name)._replace(dtype=made.dtype)

    def select(self, frame: Frame, columns: Sequence[int]) -> Frame:
        """The *columns* of *frame*, in that order, side by side."""
        parts: list[Value] = []
        starts = np.cumsum([0, *(part.width for part in frame.parts)])
        wanted = list(columns)
        while wanted:
            at = int(np.searchsorted(starts, wanted[0], side="right")) - 1
            part, start = frame.parts[at], int(starts[at])
            run = _run_within(wanted, start, start + part.width)
            wanted = wanted[len(run) :]
            inside = [column - start for column in run]
            if inside == list(range(part.width)):
                parts.append(part)
            else:
                picked = self.graph.node("Gather", part, np.array(inside, np.int64), axis=1)
                parts.append(Value(picked, len(inside), part.dtype))
                known = self.own(part)
                self._own[picked] = [known[column] for column in inside]
        return Frame(tuple(parts))

    def labels(self, classes: Array, index: Value) -> Value:
        """The class of each row, of the classes' own type: [N], from its number: int64 [N]."""
        known = np.asarray(classes)
        if known.dtype.kind in "US":
            known = known.astype(object)
        elif known.dtype == object and not all(isinstance(each, str) for each in known):
            raise CannotConvert("classes of mixed types")
        name = self.graph.node("Gather", self.graph.constant(known), index, axis=0)
        return Value(name, 0, known.dtype)

    def argmax(self, scores: Value) -> Value:
        """The number of each row's largest score, the first of equal ones: int64 [N]."""
        name = self.graph.node("ArgMax", scores, axis=1, keepdims=0)
        return Value(name, 0, np.dtype(np.int64))

    def flat(self, column: Value) -> Value:
        """[N, 1] as [N]."""
        name = self.graph.node("Squeeze", column, np.array([1], np.int64))
        return column._replace(name=name, width=0)

    def forest(self, forest: Forest, matrix: Value) -> Value:
        """The sums of *forest*'s leaves: [N, targets], in the forest's own datatype."""
        narrow = self.graph.cast(matrix, forest.dtype)
        if leaf_tables.suits(forest):
            node, numbers = leaf_tables.write(self.graph, forest, narrow)
            self.forests += numbers
            self.rows = min(self.rows, leaf_tables.rows_at_once(forest))
        else:
            node = tree_ensemble.write(self.graph, forest, narrow)
            self.forests.append((node.name, forest))
        columns = self.own(matrix)
        for feature, values in forest.points().items():
            if columns[feature] != UNKNOWN:
                self.points.setdefault(columns[feature], []).append(values)
        return node


UNKNOWN = -1
MANY = 1 << 31
HOLE = Value("", 1, np.dtype(np.void))
"""A column that the model was fitted with and never reads: no tensor."""


class Converter(ABC):
    """One library. Holds no state; called in a worker thread, may take seconds."""

    @abstractmethod
    def emit(self, context: Context, model: Any, frame: Frame, method: str) -> Value:
        """Write *model*'s *method* over *frame* into ``context.graph``, and return its tensor.

        The tensor has the values, order and rank that the method itself returns: ``predict`` gives
        [N] (width 0), or [N, outputs] where the method does; labels are of the classes' own type
        (strings: ``object``). Columns that the library would read by name come in the order of the
        model's ``feature_names_in_``.

        Answers must be the library's to the last bit where that is possible, and to rounding in the
        library's own precision otherwise; a form that is known to differ is refused. Raises
        CannotConvert, with the reason, for whatever is not known for certain: a subclass, a
        parameter, a method. A refused model is served by its own library, so refusing is never
        wrong. May leave unused nodes behind when it refuses.
        """

    def methods(self, model: Any) -> Mapping[str, str]:
        """The model's methods that ``emit`` knows, for documentation; empty where not told."""
        return {}


def check_converter(converter: Converter, model: Any, rows: Array, method: str) -> float:
    """Assert that *converter* gives what *model*'s *method* gives for the matrix *rows*.

    For the tests of any converter, ours or yours. Returns the largest difference; 0 for labels.
    """
    ort = plugins.require("onnxruntime", "onnx")
    from inferd.tensors import datatype_of

    context = Context()
    spec = TensorSpec("X", datatype_of(rows).name, (-1, rows.shape[1]))
    made = converter.emit(context, model, context.inputs([spec]), method)
    expected = np.asarray(getattr(model, method)(rows))
    assert made.width == (expected.shape[1] if expected.ndim == 2 else 0), (
        f"width {made.width}, expected {expected.shape}"
    )
    out = TensorSpec(
        "Y", datatype_of(np.empty(0, made.dtype)).name, (-1, made.width)[: expected.ndim]
    )
    context.graph.output(out, made.name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(context.graph.finish().SerializeToString(), options)
    got = session.run(None, {"X": rows})[0]
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    if expected.dtype.kind in "OUSb" or (method == "predict" and expected.dtype.kind in "iu"):
        wrong = int((got.astype(expected.dtype) != expected).sum())
        assert not wrong, f"{wrong} of {expected.size} labels differ"
        return 0.0
    return float(np.nanmax(np.abs(got - expected), initial=0.0))


def _run_within(columns: Sequence[int], start: int, stop: int) -> list[int]:
    """The first of *columns* that lie in [start, stop), up to the first that does not."""
    run = []
    for column in columns:
        if not start <= column < stop:
            break
        run.append(column)
    return run
