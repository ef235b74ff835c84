"""A fitted model in scikit-learn's manner (predict, maybe predict_proba, ...) behind tensors."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from inferd.errors import BadArtifact, UnknownFormat
from inferd.estimators import answers, threads
from inferd.estimators.columns import DOCUMENT, Kind, attribute, kinds, reads_documents
from inferd.estimators.library import calling, library_of, takes_float32, wrapped
from inferd.estimators.tables import Tables
from inferd.finite import Refused, find
from inferd.signature import Signature, TensorSpec
from inferd.tensors import Array

ROWS = "X"
"""The only input of a model whose columns are all numbers."""


class Column(NamedTuple):
    """One column of a model's table."""

    name: str
    """The name that it was fitted with; ``x0``, ``x1``, ... where the model has none."""
    datatype: str
    """``FP64``, ``FP32`` or ``BYTES``."""


class Fitted:
    """A fitted model behind tensors.

    It is given just what it was fitted on: rows under their names, categories as categories, the
    library's own number format; and answers in the library's own datatypes. It runs on one thread.
    """

    columns: tuple[Column, ...]
    """The table's columns in the model's order, without those that it drops unread."""

    positions: tuple[int, ...]
    """Where those stand in the table that the model was fitted on."""

    signature: Signature

    methods: Mapping[str, str]
    """The method whose value an output is, in the signature's order; ``predict_proba:1`` is the
    second of the list that the method returns."""

    versions: Mapping[str, tuple[str, str]]
    """The version that wrote the model and the version here, by library, where that is known."""

    def __init__(
        self, model: Any, library: str, versions: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        """Learn what *model* takes and gives, by running one row.

        Raises BadArtifact where it answers none, UnknownFormat where it is no model.
        """
        self.model, self.library, self.versions = model, library, dict(versions or {})
        _check(model)
        threads.one(model)
        self._call = calling(model, library)
        number = "FP32" if takes_float32(model, library) else "FP64"
        self._documents = reads_documents(model)
        names, found, self.positions = _layout(model, self._documents)
        self.columns = tuple(
            Column(name, "BYTES" if kind.use == "text" else number)
            for name, kind in zip(names or _numbered(len(found)), found, strict=True)
        )
        self._named = names is not None
        self._tables = Tables(
            _inputs(self.columns, self._documents, number),
            names if library == "scikit-learn" or _mixed(found) else None,
            [k.categories for k in found],
        )
        self._kinds = found
        self._example, self._given = self._find_example()
        outputs = self._learn()
        self.signature = Signature(self._tables.inputs, tuple(spec for spec, _ in outputs), 0)
        self.methods = {spec.name: method for spec, method in outputs}

    @classmethod
    def of(cls, model: Any) -> "Fitted":
        """*model*, of whichever library; a bare booster is wrapped. Raises as the constructor."""
        model = wrapped(model)
        return cls(model, library_of(model))

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Compute *outputs*, in that order, by the library's own methods; as ``Runtime.run``."""
        specs = {spec.name: spec for spec in self.signature.outputs}
        if not len(inputs[self.signature.inputs[0].name]):
            return {name: answers.none(specs[name]) for name in outputs}  # libraries refuse no rows
        table = self.table(inputs)
        made: dict[str, Any] = {}
        answer: dict[str, Array] = {}
        for name in outputs:
            method, _, part = self.methods[name].partition(":")
            if method not in made:
                made[method] = self._call(method, table)
            value = made[method][int(part)] if part else made[method]
            answer[name] = answers.shaped(value, specs[name])
        return answer

    def table(self, inputs: Mapping[str, Array]) -> Any:
        """What the library is handed: a matrix, a DataFrame where the model was fitted with names,
        or a list of documents."""
        return self._tables.make(inputs)

    def refusals(self) -> dict[str, Refused]:
        """The numbers that the model refuses, found by asking it."""
        names = self.signature.output_names
        return find(lambda inputs: self.run(inputs, names), self._example, self.signature)

    def example(self) -> Mapping[str, Any]:
        """As ``Runtime.example``."""
        return self._given

    def feature_names(self) -> tuple[str, ...]:
        """As ``Runtime.feature_names``."""
        if not self._named or self._documents:
            return ()
        return tuple(column.name for column in self.columns)

    def classes(self) -> tuple[str, ...]:
        """As ``Runtime.classes``."""
        widths = [s.shape[1:] for s in self.signature.outputs if s.name == answers.PROBABILITIES]
        return answers.class_names(self.model, widths[0]) if widths else ()

    def _find_example(self) -> tuple[Mapping[str, Array], Mapping[str, Any]]:
        """The first row that the model answers, of those that are likely to please it."""
        failures: list[Exception] = []
        for filler in (0.0, 1.0, 0.5):
            inputs = self._tables.row([k.example for k in self._kinds], filler)
            try:
                self._call("predict", self.table(inputs))
            except Exception as error:  # noqa: BLE001 - a model raises whatever it likes
                failures.append(error)
            else:
                return inputs, {name: a.tolist() for name, a in inputs.items()}
        raise _unanswered(self.model, failures[0])

    def _learn(self) -> list[tuple[TensorSpec, str]]:
        table = self.table(self._example)
        return answers.learn(self.model, lambda method: self._call(method, table))


def _inputs(columns: Sequence[Column], documents: bool, number: str) -> tuple[TensorSpec, ...]:
    if documents:
        return (TensorSpec(DOCUMENT, "BYTES", (-1,)),)
    if all(column.datatype == number for column in columns):
        return (TensorSpec(ROWS, number, (-1, len(columns))),)
    return tuple(TensorSpec(column.name, column.datatype, (-1, 1)) for column in columns)


def _mixed(found: Sequence[Kind]) -> bool:
    """Whether a library of trees needs a DataFrame, to tell columns apart. Of numbers alone it
    takes a matrix, which it reads much quicker."""
    return any(kind.use == "text" or kind.categories is not None for kind in found)


def _layout(model: Any, documents: bool) -> tuple[list[str] | None, list[Kind], tuple[int, ...]]:
    """The names of the columns, if it has any, their kinds, and where they stand."""
    if documents:
        return [DOCUMENT], kinds(model, 1), (0,)
    names = names_of(model)
    width = _width(model) if names is None else len(names)
    if width is None:
        raise BadArtifact(
            f"the {type(model).__name__} does not tell how many columns it takes",
            expected="n_features_in_ at it or at its first step",
            cure="Let the first step's fit() set n_features_in_, and feature_names_in_ for names.",
        )
    try:
        found = kinds(model, int(width))
    except ValueError as error:
        raise BadArtifact(f"the {type(model).__name__} cannot be served: {error}") from None
    if names is None:
        return None, found, tuple(range(len(found)))
    positions = tuple(at for at, kind in enumerate(found) if kind.use != "unused")
    return [names[at] for at in positions], [found[at] for at in positions], positions


def _width(model: Any) -> int | None:
    if hasattr(model, "feature_names_"):  # CatBoost, which forgets the other in a file
        return len(model.feature_names_)
    if hasattr(model, "X_thresholds_"):  # an isotonic regression, which does not say so
        return 1
    width: int | None = attribute(model, "n_features_in_")
    return width


def names_of(model: Any) -> list[str] | None:
    """The names that *model* was fitted with; None where it was fitted without."""
    names = attribute(model, "feature_names_in_")
    if hasattr(model, "feature_names_"):  # CatBoost, whose own are "0", "1", ...
        names, prefix = model.feature_names_, ""
    else:
        prefix = "Column_"  # LightGBM's own
    if names is None:
        return None
    listed = [str(name) for name in names]
    return None if listed == [f"{prefix}{at}" for at in range(len(listed))] else listed


def _numbered(count: int) -> list[str]:
    return [f"x{at}" for at in range(count)]


def _check(model: Any) -> None:
    """Raise UnknownFormat unless *model* predicts, BadArtifact unless it is fitted."""
    name = type(model).__name__
    if not callable(getattr(model, "predict", None)):
        raise UnknownFormat(
            "what the file holds does not predict", got=f"a {name}", expected="a fitted model"
        )
    if _unfitted(model):
        raise BadArtifact(f"the {name} is not fitted", cure="Call fit() before it is written.")


def _unfitted(model: Any) -> bool:
    if hasattr(model, "is_fitted"):  # CatBoost
        return not model.is_fitted()
    if not hasattr(model, "__sklearn_tags__"):
        return False
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return True
    return False


def _unanswered(model: Any, failure: Exception) -> BadArtifact:
    reason = " ".join(str(failure).split())[:300]
    return BadArtifact(f"the {type(model).__name__} does not answer a row: {reason}")
