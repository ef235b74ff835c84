"""compiling/converters/sklearn/{trees,boosting}: scikit-learn's trees, bit for bit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble, tree

from inferd.compiling.converters.base import CannotConvert, Context, check_converter
from inferd.compiling.converters.sklearn import plugin
from inferd.signature import TensorSpec
from inferd.tensors import Array

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(400, 5))
ROWS[:, 3] = RANDOM.integers(0, 4, 400)
TWO = np.array(["no", "yes"])[(ROWS[:, 0] + RANDOM.normal(size=400) > 0).astype(int)]
THREE = RANDOM.integers(0, 3, 400)
HOLES = np.where(RANDOM.random(ROWS.shape) < 0.15, np.nan, ROWS)
TARGET = ROWS[:, 0] * 3 + RANDOM.normal(size=400)

CLASSIFIERS = [
    tree.DecisionTreeClassifier(max_depth=6),
    tree.ExtraTreeClassifier(max_depth=9, random_state=1),
    ensemble.RandomForestClassifier(12, min_samples_leaf=3, random_state=0),
    ensemble.RandomForestClassifier(10, random_state=0),  # an even number of whole votes: ties
    ensemble.ExtraTreesClassifier(11, random_state=0),
]
REGRESSORS = [
    tree.DecisionTreeRegressor(max_depth=6),
    tree.ExtraTreeRegressor(max_depth=6, random_state=0),
    ensemble.RandomForestRegressor(12, random_state=0),
    ensemble.ExtraTreesRegressor(12, random_state=0),
]


def near(model: Any, rows: Array) -> Array:
    """*rows*, and rows of the model's own thresholds and the float32 numbers beside them."""
    trees = [each.tree_ for each in np.ravel(getattr(model, "estimators_", [model]))]
    points = np.concatenate([t.threshold[t.feature >= 0] for t in trees]).astype(np.float32)
    beside = [points, np.nextafter(points, np.float32(-9)), np.nextafter(points, np.float32(9))]
    extra = np.random.default_rng(1).choice(np.concatenate(beside), (500, rows.shape[1]))
    return np.concatenate(
        [rows.astype(np.float32), extra, np.array([[0.0] * 5, [-0.0] * 5], np.float32)]
    )


def compare(model: Any, rows: Array, methods: Sequence[str]) -> float:
    """The largest difference of any of the methods; labels must not differ."""
    return max(check_converter(plugin, model, rows, method) for method in methods)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two strings", "three numbers"])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_a_vote_is_the_librarys_bit_for_bit(model: Any, labels: Array) -> None:
    """Labels and probabilities, on thresholds, beside them, and with missing values."""
    model.fit(ROWS, labels)
    assert compare(model, near(model, ROWS), ["predict", "predict_proba"]) == 0
    if not type(model).__name__.startswith("ExtraTreeC"):
        model.fit(HOLES, labels)
        assert compare(model, HOLES.astype(np.float32), ["predict", "predict_proba"]) == 0


@pytest.mark.parametrize("target", [TARGET, np.c_[TARGET, -TARGET]], ids=["one", "two"])
@pytest.mark.parametrize("model", REGRESSORS, ids=lambda m: type(m).__name__)
def test_a_mean_is_the_librarys_bit_for_bit(model: Any, target: Array) -> None:
    """One target or several."""
    model.fit(ROWS, target)
    assert compare(model, near(model, ROWS), ["predict"]) == 0


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda m: type(m).__name__)
def test_several_outputs_are_labelled_apart(model: Any) -> None:
    """A multi-output classifier gives a table of labels; strings there are refused."""
    model.fit(ROWS, np.c_[THREE, THREE[::-1]])
    assert compare(model, near(model, ROWS), ["predict"]) == 0
    model.fit(ROWS, np.c_[TWO, TWO[::-1]])
    with pytest.raises(CannotConvert, match="strings"):
        compare(model, near(model, ROWS), ["predict"])


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_boosting_decides_as_the_library(labels: Array, loss: str) -> None:
    """Raw scores bit for bit, so labels too; probabilities up to the rounding of exp."""
    if loss == "exponential" and labels is THREE:
        return  # for two classes only
    model = ensemble.GradientBoostingClassifier(n_estimators=15, loss=loss).fit(ROWS, labels)
    rows = near(model, ROWS)
    assert compare(model, rows, ["predict", "decision_function"]) == 0
    assert compare(model, rows, ["predict_proba"]) < 1e-15


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "huber"])
def test_boosted_sums_begin_with_the_first_guess(loss: str) -> None:
    """The initial estimator's constant is added first, as the library does; or zero."""
    model = ensemble.GradientBoostingRegressor(n_estimators=15, loss=loss).fit(ROWS, TARGET)
    assert compare(model, near(model, ROWS), ["predict"]) == 0
    model.set_params(init="zero").fit(ROWS, TARGET)
    assert compare(model, near(model, ROWS), ["predict"]) == 0


def test_boosting_that_begins_with_a_model_is_refused() -> None:
    """What the initial estimator predicts is not read from it."""
    first = tree.DecisionTreeRegressor(max_depth=1)
    model = ensemble.GradientBoostingRegressor(init=first, n_estimators=2).fit(ROWS, TARGET)
    with pytest.raises(CannotConvert, match="begins with a DecisionTreeRegressor"):
        compare(model, ROWS.astype(np.float32), ["predict"])


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_histogram_boosting_decides_as_the_library(labels: Array) -> None:
    """float64 rows, missing values, raw scores bit for bit."""
    model = ensemble.HistGradientBoostingClassifier(max_iter=15).fit(HOLES, labels)
    points = np.concatenate([p[0].nodes["num_threshold"] for p in model._predictors])
    beside = np.concatenate([points, np.nextafter(points, -9), np.nextafter(points, 9)])
    extra = np.random.default_rng(2).choice(beside, (1000, 5))
    rows = np.concatenate([HOLES, extra])
    assert compare(model, rows, ["predict", "decision_function"]) == 0
    assert compare(model, rows, ["predict_proba"]) < 1e-15


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gamma", "quantile"])
def test_histogram_regression_uses_the_losss_link(loss: str) -> None:
    """Sums bit for bit, then exp where the loss has a logarithm."""
    quantile = 0.3 if loss == "quantile" else None
    model = ensemble.HistGradientBoostingRegressor(loss=loss, quantile=quantile, max_iter=15)
    model.fit(HOLES, np.exp(TARGET / 3))
    assert compare(model, HOLES, ["predict"]) < 1e-14


@pytest.mark.parametrize("features", [1.0, 0.5])
def test_isolation_forests_tell_outliers_alike(features: float) -> None:
    """Labels are the library's, scores up to the rounding of a power."""
    model = ensemble.IsolationForest(n_estimators=15, max_features=features, random_state=0)
    model.fit(ROWS)
    rows = near(model, ROWS * 3)
    assert compare(model, rows, ["predict"]) == 0
    assert compare(model, rows, ["score_samples", "decision_function"]) < 1e-15


def test_a_subclass_is_refused() -> None:
    """It may answer otherwise."""

    class Forest(ensemble.RandomForestClassifier):  # type: ignore[misc]  # it ships no types
        pass

    model = Forest(2).fit(ROWS, THREE)
    with pytest.raises(CannotConvert, match="Forest has no exact form"):
        compare(model, ROWS.astype(np.float32), ["predict"])


def test_thresholds_of_the_models_own_columns_are_worth_probing() -> None:
    """They are noted by column, also where columns were picked and joined before."""
    model = tree.DecisionTreeRegressor(max_depth=3).fit(ROWS[:, [4, 1]], TARGET)
    context = Context()
    frame = context.inputs([TensorSpec("X", "FP64", (-1, 5))])
    context.emit(model, context.select(frame, [4, 1]), "predict")
    asked = {4: 0, 1: 1}
    for column, values in context.points.items():
        at = model.tree_.feature == asked[column]
        known = np.unique(np.concatenate(values))
        assert np.array_equal(known, np.unique(model.tree_.threshold[at]))
    assert set(context.points) == {1, 4}
