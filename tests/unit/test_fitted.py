"""estimators/fitted: what a fitted model takes and gives, and that it answers as it does without
us."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from inferd.errors import BadArtifact, UnknownFormat
from inferd.estimators.fitted import Column, Fitted
from inferd.tensors import Array

_RANDOM = np.random.default_rng(7)
PEOPLE = pd.DataFrame(
    {
        "age": _RANDOM.normal(30, 9, 60),
        "sex": _RANDOM.choice(["m", "f"], 60),
        "name": _RANDOM.choice(["Ann Bee", "Bob Cee", "Ünal"], 60),
        "city": _RANDOM.choice(["Paris", "Rome", "Qom"], 60),
        "n": _RANDOM.integers(0, 3, 60),
    }
)
NUMBERS = PEOPLE[["age", "n"]].to_numpy(float)
YES = (PEOPLE.age > 30).to_numpy().astype(int)
WORDS = np.where(YES == 1, "yes", "no")


def _mixed() -> Any:
    columns = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            (
                "word",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
                ["sex", "city"],
            ),
            ("code", OrdinalEncoder(), ["n"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


def _documents_in_a_column() -> Any:
    columns = ColumnTransformer(
        [
            ("t", TfidfVectorizer(), "name"),
            ("o", TargetEncoder(), ["city"]),
            ("p", "passthrough", [0]),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


def _inputs(fitted: Fitted, rows: int = 60) -> dict[str, Array]:
    """The people as the model's inputs."""
    inputs = {}
    for spec in fitted.signature.inputs:
        if spec.name == "text":
            inputs[spec.name] = PEOPLE.name.to_numpy(object)[:rows]
        elif spec.name == "X":
            names = fitted.feature_names() or ("age", "n")
            inputs[spec.name] = PEOPLE[list(names)].to_numpy(spec.type.numpy)[:rows]
        else:
            inputs[spec.name] = PEOPLE[[spec.name]].to_numpy(spec.type.numpy)[:rows]
    return inputs


TABLES: dict[str, tuple[Callable[[], Any], str]] = {
    "forest": (
        lambda: RandomForestClassifier(3).fit(NUMBERS, YES),
        "(X: FP32[?, 2]) -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "scaled forest": (
        lambda: make_pipeline(StandardScaler(), RandomForestClassifier(3)).fit(NUMBERS, WORDS),
        "(X: FP64[?, 2]) -> (label: BYTES[?], probabilities: FP64[?, 2])",
    ),
    "named": (
        lambda: LogisticRegression().fit(PEOPLE[["n", "age"]], YES > 0),
        "(X: FP64[?, 2]) -> (label: BOOL[?], probabilities: FP64[?, 2])",
    ),
    "labels that are fractions": (
        lambda: LogisticRegression().fit(NUMBERS, YES + 0.0),
        "(X: FP64[?, 2]) -> (label: FP64[?], probabilities: FP64[?, 2])",
    ),
    "short labels": (
        lambda: LogisticRegression().fit(NUMBERS, YES.astype(np.uint8)),
        "(X: FP64[?, 2]) -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "labels as objects": (
        lambda: DummyClassifier().fit(NUMBERS, WORDS.astype(object)),
        "(X: FP64[?, 2]) -> (label: BYTES[?], probabilities: FP64[?, 2])",
    ),
    "no probabilities": (
        lambda: SVC().fit(NUMBERS, WORDS),
        "(X: FP64[?, 2]) -> (label: BYTES[?])",
    ),
    "regression": (
        lambda: LinearRegression().fit(NUMBERS, YES),
        "(X: FP64[?, 2]) -> (prediction: FP64[?])",
    ),
    "two targets": (
        lambda: LinearRegression().fit(NUMBERS, np.c_[YES, YES]),
        "(X: FP64[?, 2]) -> (prediction: FP64[?, 2])",
    ),
    "a column of targets": (
        lambda: LinearRegression().fit(NUMBERS, YES[:, None]),
        "(X: FP64[?, 2]) -> (prediction: FP64[?, 1])",
    ),
    "outliers by forest": (
        lambda: IsolationForest(n_estimators=3).fit(NUMBERS),
        "(X: FP32[?, 2]) -> (label: INT64[?], scores: FP64[?])",
    ),
    "outliers by margin": (
        lambda: OneClassSVM().fit(NUMBERS),
        "(X: FP64[?, 2]) -> (label: INT64[?], scores: FP64[?])",
    ),
    "novelties": (
        lambda: LocalOutlierFactor(5, novelty=True).fit(NUMBERS),
        "(X: FP64[?, 2]) -> (label: INT64[?], scores: FP64[?])",
    ),
    "clusters": (
        lambda: KMeans(2, n_init=1).fit(NUMBERS),
        "(X: FP64[?, 2]) -> (label: INT32[?])",
    ),
    "mixture": (
        lambda: GaussianMixture(2).fit(NUMBERS),
        "(X: FP64[?, 2]) -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "several labels": (
        lambda: MultiOutputClassifier(LogisticRegression()).fit(NUMBERS, np.c_[YES, 1 - YES]),
        "(X: FP64[?, 2]) -> (label: INT64[?, 2], probabilities_0: FP64[?, 2],"
        " probabilities_1: FP64[?, 2])",
    ),
    "several labels as one matrix": (
        lambda: OneVsRestClassifier(LogisticRegression()).fit(NUMBERS, np.c_[YES, 1 - YES]),
        "(X: FP64[?, 2]) -> (label: INT64[?, 2], probabilities: FP64[?, 2])",
    ),
    "mixed": (
        lambda: _mixed().fit(PEOPLE, WORDS),
        "(age: FP64[?, 1], sex: BYTES[?, 1], city: BYTES[?, 1], n: FP64[?, 1])"
        " -> (label: BYTES[?], probabilities: FP64[?, 2])",
    ),
    "searched": (
        lambda: GridSearchCV(_mixed(), {"logisticregression__C": [1]}, cv=2).fit(PEOPLE, YES),
        "(age: FP64[?, 1], sex: BYTES[?, 1], city: BYTES[?, 1], n: FP64[?, 1])"
        " -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "calibrated": (
        lambda: CalibratedClassifierCV(_mixed(), cv=2).fit(PEOPLE, YES),
        "(age: FP64[?, 1], sex: BYTES[?, 1], city: BYTES[?, 1], n: FP64[?, 1])"
        " -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "stacked": (
        lambda: StackingClassifier([("a", _mixed())], cv=2).fit(PEOPLE, YES),
        "(age: FP64[?, 1], sex: BYTES[?, 1], city: BYTES[?, 1], n: FP64[?, 1])"
        " -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "voted": (
        lambda: VotingClassifier([("a", _mixed()), ("b", _documents_in_a_column())]).fit(
            PEOPLE, YES
        ),
        "(age: FP64[?, 1], sex: BYTES[?, 1], name: BYTES[?, 1], city: BYTES[?, 1],"
        " n: FP64[?, 1]) -> (label: INT64[?])",
    ),
    "documents in a column": (
        lambda: _documents_in_a_column().fit(PEOPLE, YES),
        "(age: FP64[?, 1], name: BYTES[?, 1], city: BYTES[?, 1])"
        " -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "target of its own": (
        lambda: TransformedTargetRegressor(
            make_pipeline(_mixed()[0], Ridge()), transformer=StandardScaler()
        ).fit(PEOPLE, PEOPLE.age),
        "(age: FP64[?, 1], sex: BYTES[?, 1], city: BYTES[?, 1], n: FP64[?, 1])"
        " -> (prediction: FP64[?])",
    ),
    "categories in a booster": (
        lambda: HistGradientBoostingClassifier(max_iter=2, categorical_features=["city"]).fit(
            PEOPLE[["age", "city"]], YES
        ),
        "(age: FP64[?, 1], city: BYTES[?, 1]) -> (label: INT64[?], probabilities: FP64[?, 2])",
    ),
    "a function first": (
        lambda: make_pipeline(FunctionTransformer(np.square), Ridge()).fit(NUMBERS, YES),
        "(X: FP64[?, 2]) -> (prediction: FP64[?])",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_signature_and_the_answers_are_the_models(name: str) -> None:
    """Datatypes and shapes are as its own methods have them, and so is every value, to the bit."""
    fit, signature = TABLES[name]
    model = fit()
    fitted = Fitted.of(model)
    assert str(fitted.signature) == signature
    assert fitted.signature.batch_axis == 0
    assert tuple(fitted.methods) == fitted.signature.output_names
    inputs = _inputs(fitted)
    outputs = fitted.run(inputs, fitted.signature.output_names)
    table = PEOPLE if hasattr(model, "feature_names_in_") else inputs["X"]
    if hasattr(model, "feature_names_in_"):
        table = PEOPLE[list(model.feature_names_in_)]
    for output, method in fitted.methods.items():
        method, _, part = method.partition(":")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = getattr(model, method)(table)
        want = np.asarray(want[int(part)] if part else want)
        assert outputs[output].shape == want.shape
        assert (outputs[output] == want).all()


DOCUMENTS: dict[str, Callable[[], Any]] = {
    "tfidf": TfidfVectorizer,
    "hashed": lambda: HashingVectorizer(n_features=16),
    "two ways": lambda: FeatureUnion([("a", CountVectorizer()), ("b", TfidfVectorizer())]),
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("made", [lambda s: s, lambda s: s.encode()])
def test_a_model_of_documents_takes_strings(name: str, made: Callable[[str], Any]) -> None:
    """One input, a string a row, as text or as UTF-8."""
    model = make_pipeline(DOCUMENTS[name](), LogisticRegression()).fit(PEOPLE.name, WORDS)
    fitted = Fitted.of(model)
    assert str(fitted.signature) == (
        "(text: BYTES[?]) -> (label: BYTES[?], probabilities: FP64[?, 2])"
    )
    texts = np.array([made(text) for text in PEOPLE.name], object)
    outputs = fitted.run({"text": texts}, ["probabilities", "label"])
    assert (outputs["label"] == model.predict(PEOPLE.name)).all()
    assert (outputs["probabilities"] == model.predict_proba(PEOPLE.name)).all()
    assert fitted.columns == (Column("text", "BYTES"),)


def test_what_a_model_drops_is_not_asked_for() -> None:
    """A column that no transformer reads is no input; the others keep their places."""
    fitted = Fitted.of(_mixed().fit(PEOPLE, YES))
    assert [column.name for column in fitted.columns] == ["age", "sex", "city", "n"]
    assert fitted.positions == (0, 1, 3, 4)


def test_strings_without_names() -> None:
    """A matrix of objects has one input a column, called by its number; bytes are UTF-8."""
    rows = PEOPLE[["sex", "n"]].to_numpy(object)
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(rows, YES)
    fitted = Fitted.of(model)
    assert str(fitted.signature).startswith("(x0: BYTES[?, 1], x1: FP64[?, 1])")
    inputs: dict[str, Array] = {
        "x0": np.array([[v.encode()] for v in rows[:, 0]], object),
        "x1": rows[:, 1:].astype(float),
    }
    assert (fitted.run(inputs, ["label"])["label"] == model.predict(rows)).all()
    inputs["x0"] = rows[:, :1].astype("S")
    assert (fitted.run(inputs, ["label"])["label"] == model.predict(rows)).all()


def test_categories_in_a_matrix_of_objects() -> None:
    """A histogram booster fitted on strings without names gets strings."""
    rows = PEOPLE[["age", "city"]].to_numpy(object)
    model = HistGradientBoostingRegressor(max_iter=2, categorical_features=[1]).fit(rows, YES)
    fitted = Fitted.of(model)
    inputs = {"x0": rows[:, :1].astype(float), "x1": rows[:, 1:]}
    assert (fitted.run(inputs, ["prediction"])["prediction"] == model.predict(rows)).all()


@settings(max_examples=30, deadline=None)
@given(rows=arrays(np.float32, (7, 2), elements=st.floats(width=32, allow_infinity=False)))
def test_a_forest_gets_the_rows_as_they_are(rows: Array) -> None:
    """Any float32, missing ones too: the same label and probabilities as from its own library."""
    fitted = Fitted.of(FOREST)
    outputs = fitted.run({"X": rows}, ["label", "probabilities"])
    assert (outputs["label"] == FOREST.predict(rows)).all()
    assert (outputs["probabilities"] == FOREST.predict_proba(rows)).all()


FOREST = RandomForestClassifier(3).fit(
    np.where(_RANDOM.random(NUMBERS.shape) < 0.1, np.nan, NUMBERS), YES
)


def test_no_rows_are_no_answers() -> None:
    """Libraries refuse a table without rows; the signature admits it."""
    fitted = Fitted.of(_mixed().fit(PEOPLE, WORDS))
    outputs = fitted.run(_inputs(fitted, rows=0), ["label", "probabilities"])
    assert outputs["label"].shape == (0,)
    assert outputs["probabilities"].shape == (0, 2)


def test_warnings_are_not_errors() -> None:
    """What a library warns of while it predicts is for who fitted the model."""
    model = make_pipeline(FunctionTransformer(np.log1p), KNeighborsClassifier(3))
    fitted = Fitted.of(model.fit(abs(NUMBERS), YES))
    with pytest.raises(ValueError, match="NaN"):  # and no RuntimeWarning of the logarithm
        fitted.run({"X": np.array([[-5.0, 1.0]])}, ["label"])


def test_one_thread() -> None:
    """A model's own pools of threads are turned off, wherever in it they are."""
    forest = RandomForestClassifier(3, n_jobs=4)
    search = GridSearchCV(make_pipeline(StandardScaler(), forest), {}, cv=2).fit(NUMBERS, YES)
    Fitted.of(search)
    assert search.best_estimator_[-1].n_jobs == 1


def test_the_example_is_a_row_that_the_model_accepts() -> None:
    """Known categories where there are any, a scaler's mean, and something positive if need be."""
    fitted = Fitted.of(_mixed().fit(PEOPLE, YES))
    common = {name: [[PEOPLE[name].mode()[0]]] for name in ("sex", "city")}
    assert fitted.example() == {"age": [[0.0]], **common, "n": [[0.0]]}
    fitted = Fitted.of(make_pipeline(StandardScaler(), Ridge()).fit(NUMBERS, YES))
    assert np.allclose(fitted.example()["X"], [NUMBERS.mean(axis=0)])
    positive = make_pipeline(PowerTransformer("box-cox"), Ridge()).fit(abs(NUMBERS) + 1, YES)
    assert (np.array(Fitted.of(positive).example()["X"]) > 0).all()


def test_names_are_the_models() -> None:
    """The names of a data frame's columns; none where there were none."""
    named = Fitted.of(LogisticRegression().fit(PEOPLE[["n", "age"]], YES))
    assert named.feature_names() == ("n", "age")
    assert named.columns == (Column("n", "FP64"), Column("age", "FP64"))
    assert list(named.table({"X": NUMBERS}).columns) == ["n", "age"]
    unnamed = Fitted.of(DecisionTreeClassifier().fit(NUMBERS, YES))
    assert unnamed.feature_names() == ()
    assert unnamed.columns == (Column("x0", "FP32"), Column("x1", "FP32"))


class Silent(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A user's own, that says nothing of what it learned."""

    def fit(self, _rows: Any, _labels: Any) -> "Silent":
        self.fitted_ = True
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows), int)


class TestRefused:
    """What cannot be served is refused when it is loaded, with the reason."""

    def test_no_model(self) -> None:
        """Something without ``predict`` is named by its type."""
        for thing in ({"model": 1}, StandardScaler().fit(NUMBERS), FOREST.predict):
            with pytest.raises(UnknownFormat, match="does not predict: got a"):
                Fitted.of(thing)

    @pytest.mark.parametrize("model", [LogisticRegression(), _mixed(), RandomForestClassifier()])
    def test_not_fitted(self, model: Any) -> None:
        """A model that was never fitted."""
        with pytest.raises(BadArtifact, match="is not fitted"):
            Fitted.of(model)

    def test_no_width(self) -> None:
        """A class of the user's own has to tell how many columns it takes."""
        with pytest.raises(BadArtifact, match=r"how many columns it takes.*n_features_in_"):
            Fitted.of(Silent().fit(NUMBERS, YES))

    def test_no_answer(self) -> None:
        """A model that raises for every row."""
        model = make_pipeline(FunctionTransformer(_fails), Ridge())
        model.steps[0][1].func = np.array
        model.fit(NUMBERS, YES)
        model.steps[0][1].func = _fails
        with pytest.raises(BadArtifact, match="does not answer a row: never"):
            Fitted.of(model)


def _fails(_: Any) -> Any:
    raise ValueError("never")
