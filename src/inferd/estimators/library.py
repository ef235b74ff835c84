"""Which library a fitted model is of, and how that library's methods are called: on one thread,
without its warnings."""

import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from inferd.estimators.boosters import LightGBMBooster, lightgbm_booster, xgboost_booster

LIBRARIES = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
}
"""What users read, by the root module of a model's class."""

Call: TypeAlias = Callable[[str, Any], Any]
"""(method, table) to the method's value."""


def library_of(model: Any) -> str:
    """The library that answers, as users read it; scikit-learn for a class of the user's own."""
    name = getattr(model, "inferd_library", None)
    if name is not None:
        return str(name)
    roots = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    return next((LIBRARIES[root] for root in roots if root in LIBRARIES), "scikit-learn")


def wrapped(model: Any) -> Any:
    """*model*, or a model in scikit-learn's manner around a bare booster."""
    kind = f"{type(model).__module__.partition('.')[0]}.{type(model).__name__}"
    if kind == "lightgbm.Booster":
        return lightgbm_booster(model)
    return xgboost_booster(model) if kind == "xgboost.Booster" else model


def takes_float32(model: Any, library: str) -> bool:
    """Whether the model itself makes float32 of its rows before all else."""
    if library in ("xgboost", "catboost"):
        return True
    module = type(model).__module__
    return module.startswith(("sklearn.tree.", "sklearn.ensemble.")) and (
        type(model).__name__ in FLOAT32
    )


def calling(model: Any, library: str) -> Call:
    """How a method of *model* is called."""
    if library == "catboost":
        # Given no number it starts a thread for every core.
        return lambda method, table: getattr(model, method)(table, thread_count=1)
    if library == "xgboost" or isinstance(model, LightGBMBooster):
        return lambda method, table: getattr(model, method)(table)
    return lambda method, table: _hushed(getattr(model, method), table)


def _hushed(method: Callable[[Any], Any], table: Any) -> Any:
    """A library's warnings are for who fits a model: here they would be told at every row, and are
    errors where a program wants them so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return method(table)


FLOAT32 = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "IsolationForest",
        "RandomTreesEmbedding",
    }
)
