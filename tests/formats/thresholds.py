"""The numbers that a fitted model compares its columns with, read from the model itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from inferd.tensors import Array

LARGEST = 1e38


def thresholds(model: Any) -> dict[int, Array]:
    """By column; empty where the model compares none, or not the columns as they are given."""
    found: dict[int, list[float]] = {}
    for column, value in _found(model):
        if abs(value) < LARGEST:  # others tell missing values from numbers, and nothing more
            found.setdefault(column, []).append(value)
    return {column: np.unique(values) for column, values in found.items()}


def _found(model: Any) -> Iterator[tuple[int, float]]:
    kind = type(model).__module__.partition(".")[0]
    if kind == "sklearn":
        yield from _sklearn(model)
    elif kind == "xgboost":
        yield from _frame(model.get_booster(), "Feature", "Split")
    elif kind == "lightgbm":
        yield from _frame(model.booster_, "split_feature", "threshold")
    elif kind == "catboost":
        for column, borders in model.get_borders().items():
            yield from ((column, float(value)) for value in borders)


def _sklearn(model: Any) -> Iterator[tuple[int, float]]:
    if hasattr(model, "tree_"):
        inner = model.tree_.feature >= 0
        pairs = zip(model.tree_.feature[inner], model.tree_.threshold[inner], strict=True)
        yield from ((int(column), float(value)) for column, value in pairs)
    elif hasattr(model, "_predictors"):
        for predictor in np.ravel(np.array(model._predictors, object)):
            nodes = predictor.nodes[~predictor.nodes["is_leaf"].astype(bool)]
            numeric = nodes[~nodes["is_categorical"].astype(bool)]
            pairs = zip(numeric["feature_idx"], numeric["num_threshold"], strict=True)
            yield from ((int(column), float(value)) for column, value in pairs)
    elif type(model).__name__ not in {"Pipeline", "StackingClassifier", "StackingRegressor"}:
        for part in np.ravel(np.array(getattr(model, "estimators_", []), object)):
            yield from _sklearn(part)


def _frame(booster: Any, feature: str, threshold: str) -> Iterator[tuple[int, float]]:
    """XGBoost and LightGBM tell their trees as a DataFrame, with names for the columns."""
    try:
        frame = booster.trees_to_dataframe()
    except Exception:  # noqa: BLE001 - a linear booster has no trees, and says so in many ways
        return
    names = list(booster.feature_names or []) if feature == "Feature" else booster.feature_name()
    where = {name: at for at, name in enumerate(names)}
    for name, value in zip(frame[feature], frame[threshold], strict=True):
        column = where.get(name, int(name[1:]) if str(name)[1:].isdigit() else -1)
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue  # a set of categories, or a leaf
        if column >= 0:
            yield column, number
