"""compiling/converters/sklearn/{compose,trees}: rows that a later step refuses."""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from inferd.compiling.compiler import Options, compile_fitted
from inferd.estimators.fitted import Fitted
from inferd.tensors import Array
from tests.unit.converters.comparing import compiled, fit

ROWS = np.random.default_rng(0).uniform(0.1, 4, (150, 3))
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 4).astype(int)


def log_of(last: Any, **options: Any) -> Pipeline:
    """log1p, and then *last*."""
    return make_pipeline(FunctionTransformer(np.log1p, **options), last)


def side_by_side() -> Pipeline:
    """log1p of one column beside the others, scaled."""
    parts = [("log", FunctionTransformer(np.log1p), [0]), ("rest", "passthrough", [1, 2])]
    return make_pipeline(ColumnTransformer(parts), StandardScaler(), LogisticRegression())


def united() -> Pipeline:
    """log1p of all columns beside themselves."""
    parts = [("log", FunctionTransformer(np.log1p)), ("same", "passthrough")]
    return make_pipeline(FeatureUnion(parts), LogisticRegression())


REFUSED = [
    (log_of(LogisticRegression()), -2.0),
    (log_of(LogisticRegression()), -1.0),
    (log_of(make_pipeline(StandardScaler(), LogisticRegression())), -2.0),
    (log_of(RandomForestClassifier(3)), -1.0),
    (side_by_side(), -2.0),
    (side_by_side(), -1.0),
    (united(), -2.0),
    (make_pipeline(PolynomialFeatures(), LogisticRegression()), 1e200),
    (make_pipeline(StandardScaler(), RandomForestClassifier(3)), 1e39),
    (make_pipeline(StandardScaler(), RandomForestClassifier(3)), 1e300),
    (make_pipeline(StandardScaler(), DecisionTreeClassifier()), -1e300),
    (RandomForestClassifier(3), 1e39),
]
TAKEN = [
    (log_of(RandomForestClassifier(3)), -2.0),  # NaN
    (log_of(HistGradientBoostingClassifier(max_iter=3)), -1.0),
    (make_pipeline(StandardScaler(), RandomForestClassifier(3)), 1e37),
    (make_pipeline(StandardScaler(), IsolationForest(n_estimators=3)), 1e300),
]


def bad_among_good(value: float) -> Array:
    """Five rows, one of which has *value* in its first column."""
    rows = ROWS[:5].copy()
    rows[3, 0] = value
    return rows


@pytest.mark.parametrize(("model", "value"), REFUSED)
def test_a_row_that_a_step_refuses_fails_the_run(model: Any, value: float) -> None:
    """Alone or among good rows, the compiled form fails where the library raises."""
    fit(model, ROWS, LABELS)
    session = compiled(model, {"X": ROWS}, "predict")
    for rows in (bad_among_good(value), bad_among_good(value)[3:4]):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"NaN|infinity"):
            model.predict(rows)
        with pytest.raises(Exception, match="INVALID_ARGUMENT"):
            session.run(None, {"X": rows})
    assert (session.run(None, {"X": ROWS})[0] == model.predict(ROWS)).all()


@pytest.mark.parametrize(("model", "value"), TAKEN)
def test_a_row_that_the_library_answers_is_answered(model: Any, value: float) -> None:
    """NaN where missing values are taken, and infinities where anything is."""
    fit(model, ROWS, LABELS)
    rows = bad_among_good(value)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = model.predict(rows)
    assert (compiled(model, {"X": rows}, "predict").run(None, {"X": rows})[0] == expected).all()


def test_a_forest_behind_a_scaler_stays_exact() -> None:
    """The guard changes no bit of any probability, and the verdict says so."""
    model = fit(make_pipeline(StandardScaler(), RandomForestClassifier(5)), ROWS, LABELS)
    session = compiled(model, {"X": ROWS}, "predict_proba")
    assert session.run(None, {"X": ROWS})[0].tobytes() == model.predict_proba(ROWS).tobytes()
    assert compile_fitted(Fitted.of(model), Options()).verdict.kind == "exact"


def test_a_linear_model_behind_a_scaler_has_no_guard() -> None:
    """Nothing is checked where no step makes such numbers."""
    from inferd.compiling.converters.base import Context
    from inferd.signature import TensorSpec

    model = fit(make_pipeline(StandardScaler(), LogisticRegression()), ROWS, LABELS)
    context = Context()
    context.emit(model, context.inputs([TensorSpec("X", "FP64", (-1, 3))]), "decision_function")
    assert "LabelEncoder" not in context.graph.operators
