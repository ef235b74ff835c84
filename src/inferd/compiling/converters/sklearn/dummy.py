"""Dummies: the same answer for every row."""

from typing import Any

import numpy as np

from inferd.compiling.converters.base import Context, Frame
from inferd.compiling.converters.sklearn.scores import column, plain, repeated
from inferd.compiling.converters.sklearn.tables import require
from inferd.compiling.graph import Value


def _classifier(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(model.n_outputs_ == 1 and not model.sparse_output_, "several outputs")
    prior, strategy = plain(model.class_prior_), model._strategy
    if method == "predict":
        require(strategy in ("prior", "most_frequent", "constant"), f"the strategy {strategy}")
        index = repeated(context, frame, np.array([_label(model, prior)]))
        return context.labels(model.classes_, column(context, index, 0))
    require(method == "predict_proba", f"no {method}")
    if strategy == "prior":
        return repeated(context, frame, prior)
    return repeated(context, frame, np.eye(len(prior))[_label(model, prior)])


def _label(model: Any, prior: Any) -> int:
    """The number of the class that every row gets."""
    if model._strategy != "constant":
        return int(prior.argmax())
    found = np.flatnonzero(np.asarray(model.classes_) == model.constant)
    require(len(found) == 1, "a constant that is no class")
    return int(found[0])


def _regressor(context: Context, model: Any, frame: Frame, method: str) -> Value:
    require(method == "predict", f"no {method}")
    made = repeated(context, frame, model.constant_)
    return context.flat(made) if model.n_outputs_ == 1 else made


EMITTERS = {"DummyClassifier": _classifier, "DummyRegressor": _regressor}
