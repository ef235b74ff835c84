"""scikit-learn's models made of other models, compiled, against their own answers."""

import warnings
from typing import Any

import numpy as np
import pytest

from inferd.compiling.converters.base import CannotConvert
from inferd.tensors import Array

pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from tests.unit.converters.predicting import (
    COLUMNS,
    KINDS,
    asked,
    classes_of,
    fit,
    numbers,
    same,
    session,
    table,
    targets,
)

METHODS = ("predict", "predict_proba", "decision_function")


def three() -> list[tuple[str, Any]]:
    """Classifiers that differ in all they do."""
    return [
        ("line", LogisticRegression()),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ("bayes", make_pipeline(StandardScaler(), GaussianNB())),
    ]


def regressors() -> list[tuple[str, Any]]:
    return [("line", Ridge()), ("tree", DecisionTreeRegressor(max_depth=3, random_state=0))]


CLASSIFIERS = [
    VotingClassifier(three(), voting="soft"),
    VotingClassifier(three(), voting="soft", weights=[1, 2.5, 0.3]),
    VotingClassifier(three()),
    VotingClassifier(three(), weights=[0.1, 0.2, 0.3]),
    VotingClassifier([*three(), ("none", "drop")]),
    StackingClassifier(three(), cv=2),
    StackingClassifier(three(), cv=2, passthrough=True, final_estimator=GaussianNB()),
    StackingClassifier([("svc", LinearSVC()), *three()], cv=2),
    StackingClassifier([("vote", Perceptron()), *three()], stack_method="predict", cv=2),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
    CalibratedClassifierCV(DecisionTreeClassifier(max_depth=3), method="isotonic", cv=2),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2, ensemble=False),
    CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2),
    CalibratedClassifierCV(BernoulliNB(), method="temperature", cv=2),
    OneVsRestClassifier(LinearSVC()),
    OneVsRestClassifier(LogisticRegression()),
    OneVsRestClassifier(DecisionTreeClassifier(max_depth=3)),
    OneVsRestClassifier(LinearRegression()),
    OneVsOneClassifier(LinearSVC()),
    OneVsOneClassifier(DecisionTreeClassifier(max_depth=2)),
    OneVsOneClassifier(BernoulliNB()),
    OutputCodeClassifier(LogisticRegression(), random_state=0),
    OutputCodeClassifier(Perceptron(), code_size=3, random_state=0),
    BaggingClassifier(n_estimators=7, random_state=0),
    BaggingClassifier(
        DecisionTreeClassifier(max_depth=4),
        9,
        max_features=2,
        max_samples=9,
        bootstrap_features=True,
        random_state=0,
    ),
    BaggingClassifier(LogisticRegression(), 4, max_features=3, random_state=0),
    BaggingClassifier(LinearSVC(), 4, random_state=0),
    BaggingClassifier(GaussianNB(), 6, max_samples=9, random_state=3),
    AdaBoostClassifier(n_estimators=12, random_state=0),
    AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=8, random_state=0),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
    RandomizedSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 9]}, n_iter=1, cv=2),
    SelfTrainingClassifier(LogisticRegression()),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: f"{type(m).__name__}")
def test_classifiers(model: Any, kind: str) -> None:
    """Labels are the library's, ties included, and so are scores but for rounding."""
    rows = table()
    labels = classes_of(kind, rows)
    if isinstance(model, SelfTrainingClassifier) and kind == "named":
        labels = numbers(rows, 4)
    same(fit(model, rows, labels), asked(rows), METHODS)


@pytest.mark.parametrize("kind", ["two", "three"])
def test_boosting_of_what_is_no_tree(kind: str) -> None:
    """Whole labels are looked up."""
    rows = table()
    model = AdaBoostClassifier(GaussianNB(), n_estimators=5, random_state=0)
    same(fit(model, rows, classes_of(kind, rows)), asked(rows), METHODS)


REGRESSORS = [
    VotingRegressor(regressors()),
    VotingRegressor(regressors(), weights=[0.3, 1.7]),
    StackingRegressor(regressors(), cv=2),
    StackingRegressor(regressors(), cv=2, passthrough=True, final_estimator=Ridge()),
    BaggingRegressor(n_estimators=7, random_state=0),
    BaggingRegressor(ExtraTreeRegressor(max_depth=4), 9, max_features=2, random_state=0),
    BaggingRegressor(Ridge(), 5, max_features=2, bootstrap_features=True, random_state=0),
    AdaBoostRegressor(n_estimators=12, random_state=0),
    AdaBoostRegressor(DecisionTreeRegressor(max_depth=1), n_estimators=20, random_state=1),
    AdaBoostRegressor(Ridge(), n_estimators=6, random_state=0),
    GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
    TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: f"{type(m).__name__}")
def test_regressors(model: Any) -> None:
    """Predictions are the library's but for the rounding of sums."""
    rows = table()
    same(fit(model, rows, targets(rows)), asked(rows), ["predict"])


def test_trees_in_a_bag_have_the_same_bits() -> None:
    """What is made of trees and votes alone is the same to the last bit."""
    rows = table()
    for model in CLASSIFIERS[25:27]:
        assert same(fit(model, rows, numbers(rows, 3)), asked(rows), METHODS, 0.0) == 0
    for model in (REGRESSORS[4], REGRESSORS[5], REGRESSORS[7], REGRESSORS[8]):
        assert same(fit(model, rows, targets(rows)), asked(rows), ["predict"], 0.0) == 0


def many(rows: Array) -> Array:
    """Three labels a row."""
    return np.column_stack([numbers(rows), rows[:, 0] > 0, rows[:, 1] > 0.5]).astype(int)


def test_several_labels() -> None:
    """Each label is told on its own."""
    rows = table()
    for inner in (LogisticRegression(), LinearSVC(), DecisionTreeClassifier(max_depth=3)):
        same(fit(OneVsRestClassifier(inner), rows, many(rows)), asked(rows), METHODS)
        if hasattr(inner, "predict_proba"):
            parts = ["predict", "predict_proba:0", "predict_proba:2"]
            same(fit(MultiOutputClassifier(inner), rows, many(rows)), asked(rows), parts)


def test_several_labels_of_several_classes() -> None:
    """Each output has classes of its own, names as well."""
    rows = table()
    parts = ["predict", "predict_proba:0", "predict_proba:1"]
    labels = np.column_stack([numbers(rows, 3), numbers(rows, 4)])
    same(fit(MultiOutputClassifier(LogisticRegression()), rows, labels), asked(rows), parts)
    names = np.column_stack([classes_of("named", rows), classes_of("named", rows[::-1])])
    same(fit(MultiOutputClassifier(GaussianNB()), rows, names), asked(rows), parts)


@pytest.mark.parametrize("order", [None, [2, 0, 1]])
def test_chains(order: Any) -> None:
    """What one output is told is a column for the next."""
    rows = table()
    for inner in (LogisticRegression(), DecisionTreeClassifier(max_depth=3), LinearSVC()):
        same(fit(ClassifierChain(inner, order=order), rows, many(rows)), asked(rows), METHODS)
    chain = ClassifierChain(LogisticRegression(), order=order, chain_method="predict_proba")
    same(fit(chain, rows, many(rows)), asked(rows), METHODS)
    same(fit(RegressorChain(Ridge(), order=order), rows, targets(rows, 3)), asked(rows), METHODS)


def test_several_outputs_of_regressors() -> None:
    """Each output has its column."""
    rows = table()
    same(fit(MultiOutputRegressor(Ridge()), rows, targets(rows, 3)), asked(rows), METHODS)
    scaled = TransformedTargetRegressor(Ridge(), transformer=StandardScaler())
    same(fit(scaled, rows, targets(rows, 3)), asked(rows), METHODS)


@pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function"])
@pytest.mark.parametrize("positive", [None, "bee", "ant"])
def test_thresholds(method: Any, positive: Any) -> None:
    """A row on the threshold is the positive class."""
    rows = table()
    names = np.array(["ant", "bee"])[numbers(rows)]
    for bound in ("auto", 0.3, 0.5):
        model = FixedThresholdClassifier(
            LogisticRegression(), threshold=bound, pos_label=positive, response_method=method
        )
        same(fit(model, rows, names), asked(rows), METHODS)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    share = fit(tree, rows, names).predict_proba(rows)[0, 1]
    same(fit(FixedThresholdClassifier(tree, threshold=share), rows, names), asked(rows), METHODS)


def test_a_threshold_that_was_tuned() -> None:
    """The tuned threshold decides."""
    rows = table()
    model = TunedThresholdClassifierCV(LogisticRegression(), cv=2, thresholds=9)
    same(fit(model, rows, numbers(rows)), asked(rows), METHODS)


def test_a_frozen_model() -> None:
    """A frozen model answers as what it holds."""
    rows = table()
    inner = fit(LinearDiscriminantAnalysis(), rows, numbers(rows, 3))
    same(fit(FrozenEstimator(inner), rows, numbers(rows, 3)), asked(rows), METHODS)
    prefit = CalibratedClassifierCV(FrozenEstimator(inner))
    same(fit(prefit, rows, numbers(rows, 3)), asked(rows), METHODS)


def test_what_lacks_an_exact_form_within_is_refused() -> None:
    """One part that cannot be compiled refuses the whole."""
    rows = table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = VotingClassifier([*three(), ("svc", SVC(probability=True))], voting="soft")
        model.fit(rows, numbers(rows))
    with pytest.raises(CannotConvert):
        session(model, COLUMNS, "predict")
    forests = MultiOutputClassifier(RandomForestClassifier(3)).fit(rows, many(rows))
    with pytest.raises(CannotConvert):
        session(forests, COLUMNS, "decision_function")
