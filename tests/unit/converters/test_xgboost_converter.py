"""compiling/converters/xgboost: every objective and kind of tree, against XGBoost's own answers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from inferd.compiling.conversion import convert
from inferd.compiling.converters.base import CannotConvert
from inferd.compiling.converters.xgboost.booster import read
from inferd.estimators.fitted import Fitted
from tests.unit.converters.boosted import SCORE, THREE, TRAIN, TWO, WHOLE, Compiled, fit, same

CATEGORIES = {
    "feature_types": ["q", "q", "q", "c"],
    "enable_categorical": True,
    "max_cat_to_onehot": 4,
}


def _small(kind: Any, **options: Any) -> Any:
    return kind(**({"n_estimators": 20, "max_depth": 4, "n_jobs": 1} | options))


@pytest.mark.parametrize("options", [{}, CATEGORIES], ids=["numbers", "categories"])
@pytest.mark.parametrize(
    "objective",
    [
        "binary:hinge",
        "binary:logistic",
        "binary:logitraw",
        "multi:softmax",
        "multi:softprob",
    ],
)
def test_a_classifier_answers_to_the_last_bit(objective: str, options: dict[str, Any]) -> None:
    """Labels and probabilities are the library's own; multi:softmax has scipy make its own."""
    target = THREE if objective.startswith("multi") else TWO
    model = fit(_small(xgboost.XGBClassifier, objective=objective, **options), TRAIN, target)
    assert not same(model, "predict", np.float32).inexact
    same(model, "predict_proba", np.float32, ulps=4 if objective == "multi:softmax" else 0)


@pytest.mark.parametrize("options", [{}, CATEGORIES], ids=["numbers", "categories"])
@pytest.mark.parametrize(
    "objective",
    [
        "count:poisson",
        "reg:absoluteerror",
        "reg:gamma",
        "reg:logistic",
        "reg:pseudohubererror",
        "reg:squarederror",
        "reg:squaredlogerror",
        "reg:tweedie",
    ],
)
def test_a_regressor_answers_to_the_last_bit(objective: str, options: dict[str, Any]) -> None:
    """Whatever the objective makes of the margin."""
    target = (TWO + 1) / 2.5
    model = fit(_small(xgboost.XGBRegressor, objective=objective, **options), TRAIN, target)
    assert not same(model, "predict", np.float32).inexact


@pytest.mark.parametrize("objective", ["rank:pairwise", "rank:ndcg", "rank:map"])
def test_a_ranker_answers_to_the_last_bit(objective: str) -> None:
    """Its score is the margin."""
    groups = np.repeat(np.arange(60), 10)
    model = fit(_small(xgboost.XGBRanker, objective=objective), TRAIN, TWO, qid=groups)
    same(model, "predict", np.float32)


@pytest.mark.parametrize(
    ("kind", "options", "target"),
    [
        (xgboost.XGBRegressor, {"booster": "dart", "rate_drop": 0.5, "one_drop": 1}, SCORE),
        (xgboost.XGBClassifier, {"booster": "dart", "rate_drop": 0.5, "one_drop": 1}, THREE),
        (xgboost.XGBRFRegressor, {}, SCORE),
        (xgboost.XGBRFClassifier, {}, THREE),
        (xgboost.XGBRegressor, {"base_score": 5.5}, SCORE),
        (xgboost.XGBClassifier, {"base_score": 0.2}, TWO),
        (xgboost.XGBRegressor, {"missing": 1.0}, SCORE),
        (xgboost.XGBRegressor, {}, np.c_[SCORE, TWO]),
        (xgboost.XGBRegressor, {"multi_strategy": "multi_output_tree"}, np.c_[SCORE, TWO]),
        (
            xgboost.XGBRegressor,
            {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]},
            SCORE,
        ),
        (xgboost.XGBClassifier, {}, np.c_[TWO, THREE > 1]),
    ],
    ids=[
        "dart",
        "dart of three classes",
        "forest",
        "forest of three classes",
        "intercept",
        "intercept of a probability",
        "missing is a number",
        "two targets",
        "leaves of two values",
        "quantiles",
        "two labels",
    ],
)
def test_every_kind_of_model(kind: Any, options: dict[str, Any], target: Any) -> None:
    """Dropped trees, parallel trees, intercepts, several targets: to the last bit."""
    model = fit(_small(kind, **options), TRAIN, target)
    same(model, "predict", np.float32)
    if hasattr(model, "predict_proba"):
        same(model, "predict_proba", np.float32)


def test_rows_of_float64_are_rounded_as_the_library_rounds_them() -> None:
    """Thresholds are float32 numbers: a float64 one beside them may fall on either side."""
    model = fit(_small(xgboost.XGBRegressor), TRAIN, SCORE)
    same(model, "predict", np.float64)


def test_trees_after_the_best_round_are_left_out() -> None:
    """As ``predict`` leaves them out after early stopping."""
    model = _small(xgboost.XGBClassifier, early_stopping_rounds=2, learning_rate=1)
    fit(model, TRAIN, TWO, eval_set=[(TRAIN, 1 - TWO)], verbose=False)
    compiled = same(model, "predict_proba", np.float32)
    assert len(compiled.forests[0].trees) == model.best_iteration + 1 < 20


def test_a_label_turns_where_the_librarys_own_does() -> None:
    """Around the smallest margin that gives more than a half, the library itself is monotone."""
    booster = read(fit(_small(xgboost.XGBClassifier), TRAIN, TWO))
    bits = np.float32(9e-8).view(np.int32) + np.arange(-100_000, 100_000, dtype=np.int32)
    exceeds = booster.answers(bits.view(np.float32)) > 0.5
    assert not exceeds[0]
    assert exceeds[-1]
    assert np.count_nonzero(np.diff(exceeds.astype(int))) == 1


@pytest.mark.parametrize("booster", [False, True], ids=["wrapper", "booster"])
def test_categories_by_name(booster: bool) -> None:
    """Strings become the numbers that they had when the model was fitted; others are missing."""
    random = np.random.default_rng(2)
    frame = pd.DataFrame(WHOLE, columns=list("abcd"))
    frame["city"] = pd.Categorical(random.choice(["Ulm", "Bonn", "x y"], len(frame)))
    target = TWO ^ (frame["city"] == "Ulm")
    model = fit(_small(xgboost.XGBClassifier, enable_categorical=True), frame, target)
    fitted = Fitted.of(model.get_booster() if booster else model)
    inputs = {
        spec.name: random.choice(["Ulm", "Bonn", "x y", "", "new"], (300, 1)).astype(object)
        if spec.datatype == "BYTES"
        else random.normal(size=(300, 1)).astype(np.float32)
        for spec in fitted.signature.inputs
    }
    names = list(fitted.methods)
    got = _run(convert(fitted).model, names, inputs)
    for name, expected in fitted.run(inputs, names).items():
        assert np.array_equal(got[name], expected)


def _run(model: Any, names: list[str], inputs: dict[str, Any]) -> dict[str, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return dict(zip(names, session.run(names, inputs), strict=True))


def _numeric_categories() -> Any:
    frame = pd.DataFrame({"a": WHOLE[:, 0], "b": pd.Categorical(WHOLE[:, 3].astype(int))})
    return fit(_small(xgboost.XGBRegressor, enable_categorical=True), frame, SCORE)


class Better(xgboost.XGBRegressor):
    """A user's own."""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: fit(Better(n_estimators=2), TRAIN, SCORE), "Better"),
        (lambda: fit(_small(xgboost.XGBRegressor, booster="gblinear"), WHOLE, SCORE), "gblinear"),
        (lambda: fit(_small(xgboost.XGBRegressor, objective="survival:cox"), WHOLE, TWO), "cox"),
        (lambda: fit(_small(xgboost.XGBRegressor, objective=_squares), WHOLE, SCORE), "of its own"),
    ],
)
def test_what_is_not_known_is_refused(make: Any, reason: str) -> None:
    """A subclass, a linear booster, another objective: they are served by the library."""
    with pytest.raises(CannotConvert, match=reason):
        Compiled(make(), "predict", np.float32)


def test_categories_that_are_numbers_by_name_are_refused() -> None:
    """They would have to be found among others as pandas finds them."""
    with pytest.raises(CannotConvert, match="no strings"):
        Compiled(_numeric_categories(), "predict", np.float32, width=2)


def _squares(target: Any, margin: Any) -> Any:
    return margin - target, np.ones_like(margin)
