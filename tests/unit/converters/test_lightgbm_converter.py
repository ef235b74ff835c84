"""compiling/converters/lightgbm: every objective and kind of node, against LightGBM itself."""

import math
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from inferd.compiling.conversion import convert
from inferd.compiling.converters.base import CannotConvert
from inferd.compiling.converters.lightgbm import _cut, _read
from inferd.estimators.boosters import lightgbm_booster
from inferd.estimators.fitted import Fitted
from tests.unit.converters.boosted import (
    CATEGORY,
    SCORE,
    THREE,
    TRAIN,
    TWO,
    WHOLE,
    Compiled,
    fit,
    same,
)

WORDS = np.array(["no", "yes"])[TWO]


def _small(kind: Any, **options: Any) -> Any:
    usual = {"n_estimators": 20, "num_leaves": 12, "n_jobs": 1, "verbose": -1}
    return kind(**(usual | options))


@pytest.mark.parametrize("rows", [TRAIN, WHOLE], ids=["with NaN", "whole"])
@pytest.mark.parametrize("options", [{}, {"zero_as_missing": True}, {"use_missing": False}])
@pytest.mark.parametrize("categories", ["auto", [CATEGORY]], ids=["numbers", "categories"])
def test_what_is_missing(rows: Any, options: dict[str, bool], categories: Any) -> None:
    """NaN, zero, or nothing, as each node has it: scores to the last bit, and the same labels."""
    model = _small(lightgbm.LGBMRegressor, **options)
    fit(model, rows, SCORE, categorical_feature=categories)
    assert not same(model, "predict", np.float64).inexact
    model = _small(lightgbm.LGBMClassifier, **options)
    fit(model, rows, WORDS, categorical_feature=categories)
    same(model, "predict", np.float64)
    same(model, "predict_proba", np.float64, ulps=2)


@pytest.mark.parametrize(
    "objective", ["regression", "l1", "huber", "fair", "quantile", "mape", "lambdarank"]
)
def test_a_score_that_is_the_answer(objective: str) -> None:
    """To the last bit."""
    if objective == "lambdarank":
        model = fit(_small(lightgbm.LGBMRanker), TRAIN, TWO, group=[10] * 60)
    else:
        model = fit(_small(lightgbm.LGBMRegressor, objective=objective), TRAIN, SCORE)
    same(model, "predict", np.float64)


@pytest.mark.parametrize("objective", ["poisson", "gamma", "tweedie", "cross_entropy"])
def test_a_score_with_a_link(objective: str) -> None:
    """To the rounding of an exponential."""
    model = fit(_small(lightgbm.LGBMRegressor, objective=objective), TRAIN, (TWO + 1) / 3)
    same(model, "predict", np.float64, ulps=4)


def test_a_score_of_roots_is_squared() -> None:
    """With ``reg_sqrt``, and its sign stays."""
    model = fit(_small(lightgbm.LGBMRegressor, reg_sqrt=True), TRAIN, SCORE)
    same(model, "predict", np.float64)


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
@pytest.mark.parametrize("kind", ["gbdt", "dart", "rf"])
def test_several_classes(objective: str, kind: str) -> None:
    """The same labels, and probabilities to the rounding of an exponential."""
    options = {"subsample": 0.5, "subsample_freq": 1} if kind == "rf" else {}
    model = _small(lightgbm.LGBMClassifier, objective=objective, boosting_type=kind, **options)
    fit(model, TRAIN, THREE * 10)
    same(model, "predict", np.float64)
    same(model, "predict_proba", np.float64, ulps=4)


def test_a_forest_answers_the_mean() -> None:
    """To the last bit."""
    options = {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}
    same(fit(_small(lightgbm.LGBMRegressor, **options), TRAIN, SCORE), "predict", np.float64)


def test_trees_after_the_best_round_are_left_out() -> None:
    """As ``predict`` leaves them out after early stopping."""
    model = _small(lightgbm.LGBMClassifier)
    stop = lightgbm.early_stopping(2, verbose=False)
    fit(model, TRAIN, TWO, eval_set=[(TRAIN, 1 - TWO)], callbacks=[stop])
    compiled = same(model, "predict", np.float64)
    assert len(compiled.forests[0].trees) == model.best_iteration_ < 20


def test_trees_of_one_leaf() -> None:
    """Where nothing can be split."""
    model = fit(_small(lightgbm.LGBMRegressor, min_child_samples=1000), TRAIN, SCORE)
    same(model, "predict", np.float64)


def test_rows_of_float32() -> None:
    """Are compared as the float64 numbers that they are."""
    same(fit(_small(lightgbm.LGBMRegressor), TRAIN, SCORE), "predict", np.float32)


@pytest.mark.parametrize("slope", [0.3, 1, 2.5])
def test_a_label_turns_where_the_probability_does(slope: float) -> None:
    """The score that parts two classes is the smallest with a probability above a half."""
    model = fit(_small(lightgbm.LGBMClassifier, sigmoid=slope, n_estimators=2), TRAIN, TWO)
    same(model, "predict", np.float64)
    cut = _cut(_read(model.booster_))
    below = np.nextafter(cut, -1)
    second = [1 / (1 + math.exp(-slope * score)) for score in (below, cut)]
    assert [p > 1 - p for p in second] == [False, True]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (lightgbm.LGBMClassifier, TWO),
        (lightgbm.LGBMClassifier, THREE),
        (lightgbm.LGBMRegressor, SCORE),
    ],
)
def test_a_bare_booster(kind: Any, target: Any) -> None:
    """Wrapped as it is served, it answers as the wrapper does."""
    model = lightgbm_booster(fit(_small(kind), TRAIN, target).booster_)
    same(model, "predict", np.float64)
    if hasattr(model, "predict_proba"):
        same(model, "predict_proba", np.float64, ulps=4)


def test_categories_by_name() -> None:
    """Strings become the numbers that they had when the model was fitted; others are missing."""
    random = np.random.default_rng(2)
    frame = pd.DataFrame(WHOLE, columns=list("abcd"))
    frame["city"] = pd.Categorical(random.choice(["Ulm", "Köln", "x y"], len(frame)))
    fitted = Fitted.of(fit(_small(lightgbm.LGBMRegressor), frame, SCORE + (frame["city"] == "Ulm")))
    inputs = {
        spec.name: random.choice(["Ulm", "Köln", "x y", "", "new"], (300, 1)).astype(object)
        if spec.datatype == "BYTES"
        else random.normal(size=(300, 1))
        for spec in fitted.signature.inputs
    }
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = convert(fitted).model.SerializeToString()
    got = onnxruntime.InferenceSession(model, options).run(None, inputs)[0]
    assert np.array_equal(got, fitted.run(inputs, ["prediction"])["prediction"])


class Better(lightgbm.LGBMRegressor):
    """A user's own."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Better(n_estimators=2, verbose=-1), "Better"),
        (_small(lightgbm.LGBMRegressor, linear_tree=True), "linear"),
        (_small(lightgbm.LGBMRegressor, pred_early_stop=True), "pred_early_stop"),
        (_small(lightgbm.LGBMRegressor, objective="cross_entropy_lambda"), "cross_entropy_lambda"),
    ],
    ids=["a subclass", "linear leaves", "stopping early", "another objective"],
)
def test_what_is_not_known_is_refused(model: Any, reason: str) -> None:
    """It is served by the library."""
    fit(model, WHOLE, TWO)
    with pytest.raises(CannotConvert, match=reason):
        Compiled(model, "predict", np.float64)
