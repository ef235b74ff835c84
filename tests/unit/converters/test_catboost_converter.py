"""compiling/converters/catboost: every loss and kind of tree, against CatBoost's own answers."""

from typing import Any

import catboost
import numpy as np
import pytest

from inferd.compiling.converters.base import CannotConvert
from tests.unit.converters.boosted import SCORE, THREE, TRAIN, TWO, WHOLE, Compiled, fit, same

WORDS = np.array(["no", "yes"])[TWO]


def _small(kind: Any, **options: Any) -> Any:
    usual = {"iterations": 20, "depth": 4, "verbose": 0, "allow_writing_files": False}
    return kind(**(usual | {"thread_count": 1} | options))


@pytest.mark.parametrize("missing", ["Min", "Max"])
@pytest.mark.parametrize("shape", ["SymmetricTree", "Lossguide", "Depthwise"])
def test_trees_of_every_shape(shape: str, missing: str) -> None:
    """Values to the last bit, the same labels; NaN goes to the side that the model says."""
    options = {"grow_policy": shape, "nan_mode": missing}
    model = fit(_small(catboost.CatBoostRegressor, **options), TRAIN, SCORE)
    assert not same(model, "predict", np.float32).inexact
    model = fit(_small(catboost.CatBoostClassifier, **options), TRAIN, THREE * 3 - 1)
    same(model, "predict", np.float32)
    same(model, "predict_proba", np.float32, ulps=4)


@pytest.mark.parametrize(
    "target", [TWO, WORDS, TWO > 0, TWO - 7, TWO + 0.5], ids=["0", "str", "bool", "-7", "float"]
)
def test_labels_of_every_type(target: Any) -> None:
    """Two classes of numbers, strings or truths."""
    model = fit(_small(catboost.CatBoostClassifier), TRAIN, target)
    same(model, "predict", np.float32)
    same(model, "predict_proba", np.float32, ulps=2)


@pytest.mark.parametrize("loss", ["CrossEntropy", "MultiClass", "MultiClassOneVsAll"])
def test_other_losses_of_classes(loss: str) -> None:
    """The same labels, and probabilities to the rounding of an exponential."""
    target = (TWO + 1) / 3 if loss == "CrossEntropy" else np.array(["a", "b", "c"])[THREE]
    model = fit(_small(catboost.CatBoostClassifier, loss_function=loss), TRAIN, target)
    same(model, "predict", np.float32)
    same(model, "predict_proba", np.float32, ulps=4)


@pytest.mark.parametrize(
    ("loss", "ulps"),
    [
        ("MAE", 0),
        ("MultiRMSE", 0),
        ("MultiQuantile:alpha=0.1,0.9", 0),
        ("LogLinQuantile", 0),
        ("Poisson", 4),
        ("Tweedie:variance_power=1.5", 4),
    ],
)
def test_losses_of_numbers(loss: str, ulps: int) -> None:
    """To the last bit, or to the rounding of an exponential."""
    target = np.c_[SCORE, TWO] if loss == "MultiRMSE" else TWO
    model = fit(_small(catboost.CatBoostRegressor, loss_function=loss), TRAIN, target)
    same(model, "predict", np.float32, ulps=ulps)


def test_the_base_class_and_the_ranker_answer_raw_values() -> None:
    """To the last bit."""
    model = _small(catboost.CatBoostRanker, loss_function="QueryRMSE")
    same(fit(model, TRAIN, TWO, group_id=np.repeat(np.arange(60), 10)), "predict", np.float32)
    options = {"iterations": 20, "verbose": 0, "allow_writing_files": False}
    model = catboost.CatBoost({"loss_function": "Logloss", **options})
    same(fit(model, TRAIN, TWO), "predict", np.float32)


def test_a_scale_and_a_bias() -> None:
    """The sum is scaled and then shifted, to the last bit."""
    model = fit(_small(catboost.CatBoostRegressor), TRAIN, SCORE)
    model.set_scale_and_bias(0.3, 0.1)
    same(model, "predict", np.float32)


def test_a_value_of_zero_is_the_first_class() -> None:
    """As in the library, where a half is not more than a half."""
    model = fit(_small(catboost.CatBoostClassifier), TRAIN, TWO)
    row = TRAIN[:1].astype(np.float32)
    model.set_scale_and_bias(1, -float(model.predict(row, prediction_type="RawFormulaVal")[0]))
    got, expected = Compiled(model, "predict", np.float32).answers(row)
    assert got.tolist() == expected.tolist() == [0]
    same(model, "predict", np.float32)


def test_rows_of_float64_are_rounded_as_the_library_rounds_them() -> None:
    """Borders are float32 numbers: a float64 one beside them may fall on either side."""
    same(fit(_small(catboost.CatBoostRegressor), TRAIN, SCORE), "predict", np.float64)


class Better(catboost.CatBoostRegressor):  # type: ignore[misc]  # it ships no types
    """A user's own."""


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (_small(Better), {}, "Better"),
        (_small(catboost.CatBoostRegressor, loss_function="RMSEWithUncertainty"), {}, "Uncertain"),
        (_small(catboost.CatBoostRegressor), {"cat_features": [3]}, "hashes"),
    ],
    ids=["a subclass", "a prediction of its own", "categories"],
)
def test_what_is_not_known_is_refused(model: Any, options: dict[str, Any], reason: str) -> None:
    """It is served by the library."""
    rows: Any = WHOLE
    if options:
        rows = [[*row[:3], str(int(row[3]))] for row in WHOLE.tolist()]
    fit(model, rows, SCORE, **options)
    with pytest.raises(CannotConvert, match=reason):
        Compiled(model, "predict", np.float32)
